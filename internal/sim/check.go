package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pondworks/sluice/deltalog"
)

// check compares all that can be seen of a replica with the model: its commits
// byte by byte with their times, its state at the newest and at one other
// version, the files of these, and that nothing else lies in its log.
func (w *World) check(ctx context.Context, r *replica) error {
	table, err := deltalog.OpenDir(r.dir)
	if err != nil {
		return err
	}
	start, err := table.Start(ctx)
	if err != nil {
		return err
	}
	tip, err := table.Tip(ctx)
	if err != nil {
		return err
	}
	r.start, r.tip = int(start), int(tip)
	if r.tip > w.source.tip() {
		return fmt.Errorf("it is at version %d, the source at %d", r.tip, w.source.tip())
	}
	if err := w.checkLog(r); err != nil {
		return err
	}
	for _, v := range []int{r.tip, r.start + w.rng.IntN(r.tip-r.start+1)} {
		if err := w.checkVersion(ctx, table, r, v); err != nil {
			return fmt.Errorf("version %d: %w", v, err)
		}
	}
	return nil
}

// checkLog compares the commits, and makes sure that the hint leads somewhere.
func (w *World) checkLog(r *replica) error {
	names, err := os.ReadDir(filepath.Join(r.dir, deltalog.LogDir))
	if err != nil {
		return err
	}
	commits, checkpoints := 0, map[int64]bool{}
	for _, name := range names {
		if v, ok := deltalog.ParseCommitName(name.Name()); ok {
			commits++
			if err := w.checkCommit(r, int(v), name); err != nil {
				return fmt.Errorf("version %d: %w", v, err)
			}
			continue
		}
		var v int64
		if n, _ := fmt.Sscanf(name.Name(), "%020d.checkpoint.parquet", &v); n == 1 {
			checkpoints[v] = true
		} else if name.Name() != "_last_checkpoint" {
			return fmt.Errorf("%s lies in the log", name.Name())
		}
	}
	if want := r.tip - r.start + 1; commits != want {
		return fmt.Errorf("%d commits in a log from %d to %d", commits, r.start, r.tip)
	}
	hint, err := os.ReadFile(filepath.Join(r.dir, deltalog.LogDir, "_last_checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var h struct{ Version int64 }
	if err := errors.Join(err, json.Unmarshal(hint, &h)); err != nil {
		return err
	}
	if !checkpoints[h.Version] {
		return fmt.Errorf("the last checkpoint is said to be %d, there are %v", h.Version, slices.Sorted(maps.Keys(checkpoints)))
	}
	return nil
}

func (w *World) checkCommit(r *replica, v int, entry fs.DirEntry) error {
	if v < r.start || v > r.tip {
		return fmt.Errorf("outside %d to %d", r.start, r.tip)
	}
	got, err := os.ReadFile(filepath.Join(r.dir, deltalog.LogDir, entry.Name()))
	if err != nil {
		return err
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	want := w.source.versions[v]
	if !bytes.Equal(got, want.commit) {
		return errors.New("the commit has other bytes")
	}
	if !info.ModTime().Equal(want.modified) {
		return fmt.Errorf("the commit is of %s, want %s", info.ModTime(), want.modified)
	}
	return nil
}

// checkVersion compares the state at a version, and the bytes of its files.
func (w *World) checkVersion(ctx context.Context, table *deltalog.Dir, r *replica, v int) (err error) {
	got, err := readState(ctx, table, v)
	if err != nil {
		return err
	}
	want := w.source.versions[v]
	for what, pair := range map[string][2]any{
		"table id":      {got.id, want.id},
		"protocol":      {normal(got.protocol), normal(want.protocol)},
		"configuration": {got.config, want.config},
		"transactions":  {got.txns, want.txns},
		"domains":       {got.domains, want.domains},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			return fmt.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
	if err := sameLive(got.live, want.live); err != nil {
		return err
	}
	paths := want.files()
	if v > r.start { // a replica that begins at v has no change data of it
		for _, path := range want.changeData {
			paths[path] = true
		}
	}
	for _, path := range sorted(paths) {
		if err := w.checkFile(r, path); err != nil {
			return err
		}
	}
	return nil
}

func normal(p protocol) protocol {
	for _, list := range []*[]string{&p.Reader, &p.Writer} {
		*list = slices.Sorted(slices.Values(*list))
	}
	return p
}

func sameLive(got, want map[string]file) error {
	for _, path := range sorted(want) {
		g, there := got[path]
		if !there {
			return fmt.Errorf("%s is not live", path)
		}
		f := want[path]
		g.Change = f.Change // checkpoints do not keep it
		if f.Vector != nil {
			v := *f.Vector
			v.file = ""
			f.Vector = &v
		}
		if !reflect.DeepEqual(g, f) {
			return fmt.Errorf("%s: got %+v, want %+v", path, g, f)
		}
	}
	for _, path := range sorted(got) {
		if _, there := want[path]; !there {
			return fmt.Errorf("%s is live", path)
		}
	}
	return nil
}

// checkFile compares a file. It may be missing if the source had lost it before
// it was pushed, or if it was vacuumed here.
func (w *World) checkFile(r *replica, path string) error {
	got, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(path)))
	if errors.Is(err, fs.ErrNotExist) && (w.excused[path] || r.vacuumed[path]) {
		w.Counts["files excused"]++
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(got, w.source.bytes[path]) {
		return fmt.Errorf("%s has other bytes", path)
	}
	w.Counts["files compared"]++
	return nil
}

// readState reads the state of a table at a version as the model has it.
func readState(ctx context.Context, table *deltalog.Dir, v int) (_ *state, err error) {
	s, err := table.Snapshot(ctx, deltalog.Version(v), &deltalog.SnapshotOptions{Memory: 4096})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	st := &state{
		id: s.Metadata.ID, config: s.Metadata.Configuration,
		protocol: protocol{s.Protocol.MinReaderVersion, s.Protocol.MinWriterVersion, s.Protocol.ReaderFeatures, s.Protocol.WriterFeatures},
		live:     map[string]file{}, txns: map[string]int64{}, domains: map[string]string{},
	}
	for add, err := range s.Adds() {
		if err != nil {
			return nil, err
		}
		var f file
		if err := json.Unmarshal(add.JSON, &f); err != nil {
			return nil, err
		}
		if f.Path, err = url.PathUnescape(f.Path); err != nil {
			return nil, err
		}
		if _, twice := st.live[f.Path]; twice {
			return nil, fmt.Errorf("%s is live twice", f.Path)
		}
		st.live[f.Path] = f
	}
	for t, err := range s.Transactions() {
		if err != nil {
			return nil, err
		}
		st.txns[strings.Clone(t.AppID)] = t.Version
	}
	for d, err := range s.Domains() {
		if err != nil {
			return nil, err
		}
		var domain struct{ Configuration string }
		if err := json.Unmarshal(d.JSON, &domain); err != nil {
			return nil, err
		}
		st.domains[strings.Clone(d.Name)] = domain.Configuration
	}
	return st, nil
}
