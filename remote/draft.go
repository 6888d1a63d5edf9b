package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// draftBase gathers what the base of version v says: the commit, a checkpoint,
// and for every live file where it lies.
func (s *session) draftBase(ctx context.Context, state *deltalog.Snapshot, pos *position, v, tip deltalog.Version) (_ *baseDraft, err error) {
	d := &baseDraft{base: bundle.Base{Version: int64(v), Writer: s.opts.Writer}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.remove())
		}
	}()
	if err := s.draftCommit(ctx, d, pos, v); err != nil {
		return nil, err
	}
	both, bctx := errgroup.WithContext(ctx)
	both.Go(func() error { return s.draftCheckpoint(bctx, d, state) })
	both.Go(func() error { return s.draftIndex(bctx, d, state, pos, tip) })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	table := s.opener(nil, func() *portion { return nil })
	d.open = func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		switch path {
		case bundle.IndexPath(int64(v)):
			return d.index.open()
		case d.base.Checkpoint[0].Path:
			return d.checkpoint.open()
		}
		return table(ctx, path)
	}
	return d, nil
}

func (s *session) draftCommit(ctx context.Context, d *baseDraft, pos *position, v deltalog.Version) error {
	c, err := s.scanLocal(ctx, v)
	if err != nil {
		return err
	}
	d.base.Modified, d.base.Operation = c.file.Modified.UTC(), c.Operation
	d.base.Timestamp = deltalog.CommitTimestamp(c.Commit, c.file.Modified)
	if pos.some && pos.last == v {
		if c.SHA256 != pos.commit {
			return diverged(v, c.SHA256, pos.commit)
		}
		d.base.Timestamp = pos.time
	}
	return nil
}

// draftCheckpoint writes the checkpoint to a temporary file.
func (s *session) draftCheckpoint(ctx context.Context, d *baseDraft, state *deltalog.Snapshot) error {
	path := fmt.Sprintf("%s/%s.checkpoint.parquet", deltalog.LogDir, deltalog.Version(d.base.Version))
	d.base.Checkpoint = []bundle.File{{Path: path, Kind: bundle.KindCheckpoint}}
	return d.checkpoint.write("sluice-checkpoint-", func(w io.Writer) error {
		_, err := state.WriteCheckpoint(w)
		return errors.Join(err, ctx.Err())
	})
}

// draftIndex writes the index of all live files that some object has to a
// temporary file, and notes those that none has as to be carried, after those that go
// into parts were stored in them.
func (s *session) draftIndex(ctx context.Context, d *baseDraft, state *deltalog.Snapshot, pos *position, tip deltalog.Version) (err error) {
	live, stored, index := extsort.New(s.opts.Memory/4, ""), extsort.New(s.opts.Memory/4, ""), extsort.New(s.opts.Memory/4, "")
	defer func() { err = errors.Join(err, live.Close(), stored.Close(), index.Close()) }()
	if err := s.addLive(ctx, live, state); err != nil {
		return err
	}
	x := &indexer{session: s, draft: d, index: index, tip: tip, divides: !pos.some || pos.last < state.Version}
	if x.divides { // before the bundles, which overrule them
		if err := s.addParts(ctx, stored, state.Version); err != nil {
			return err
		}
	}
	if pos.some {
		if err := s.addStored(ctx, stored, pos.last); err != nil {
			return err
		}
	}
	for file, err := range join(live, stored) {
		if err != nil {
			return err
		}
		if err := x.add(ctx, file); err != nil {
			return err
		}
	}
	return d.index.write("sluice-index-", func(w io.Writer) error {
		for record, err := range index.Sorted() {
			if err != nil {
				return err
			}
			if _, err := w.Write(record.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// indexKey sorts as IndexEntry.Compare does.
func indexKey(e bundle.IndexEntry) string {
	inBase := 0
	if e.InBase {
		inBase = 1
	}
	return fmt.Sprintf("%020d%d%32s%s", e.Version, inBase, e.Part, e.Path)
}

// addLive adds the paths of all files that version v needs, with their kinds.
func (s *session) addLive(ctx context.Context, live *extsort.Sorter, state *deltalog.Snapshot) error {
	for a, err := range state.Adds() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := live.Add(a.Path, []byte(bundle.KindData)); err != nil {
			return err
		}
		if a.VectorFile == "" {
			continue
		}
		if err := live.Add(a.VectorFile, []byte(bundle.KindDeletionVector)); err != nil {
			return err
		}
	}
	if s.opts.Extra == nil {
		return nil
	}
	paths, err := s.opts.Extra(ctx, state.Version)
	if err != nil {
		return fmt.Errorf("extra files hook: %w", err)
	}
	for _, path := range paths {
		if err := live.Add(path, []byte(bundle.KindExtra)); err != nil {
			return err
		}
	}
	return nil
}

// liveFile is a live file and where the store has it; nil if nowhere.
type liveFile struct {
	path   string
	kind   bundle.Kind
	stored *bundle.IndexEntry
}

// join looks up every live path among the stored ones, both sorted. Of several
// that have a path the last added counts.
func join(live, stored *extsort.Sorter) iter.Seq2[liveFile, error] {
	return func(yield func(liveFile, error) bool) {
		next, stop := iter.Pull2(stored.Sorted())
		defer stop()
		candidate, err, more := next()
		last := ""
		for l, lerr := range live.Sorted() {
			if lerr == nil && l.Key == last {
				continue // named twice
			}
			last = l.Key
			f := liveFile{path: l.Key, kind: bundle.Kind(l.Value)}
			err = errors.Join(err, lerr)
			for err == nil && more && candidate.Key <= l.Key {
				if candidate.Key == l.Key {
					var e bundle.IndexEntry
					e, err = decodeEntry(candidate.Value)
					f.stored = &e
				}
				if err == nil {
					candidate, err, more = next()
				}
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// temporary is a temporary file, empty until it is written.
type temporary struct {
	name string
	size int64 // bytes
}

func (t *temporary) write(pattern string, write func(w io.Writer) error) error {
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return err
	}
	t.name = f.Name()
	w := bufio.NewWriterSize(f, 64<<10)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	info, serr := f.Stat()
	if serr == nil {
		t.size = info.Size()
	}
	return errors.Join(err, serr, f.Close())
}

func (t *temporary) open() (io.ReadCloser, int64, error) {
	f, err := os.Open(t.name)
	if err != nil {
		return nil, 0, err
	}
	return f, t.size, nil
}

// remove removes the file, if it was made.
func (t *temporary) remove() error {
	if t.name == "" {
		return nil
	}
	return os.Remove(t.name)
}
