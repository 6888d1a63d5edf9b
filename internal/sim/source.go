package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// source is the table that commits are made to, and the model of it: what every
// version was, and the bytes of every file that ever was.
type source struct {
	dir      string
	rng      *rand.Rand
	versions []version
	bytes    map[string][]byte // by path, whether the file is still there or not
	born     map[string]int    // by path, the version that brought the file
	gone     map[string]bool   // by path, what vacuum removed
	start    int               // the oldest version whose commit is there
	pending  []byte            // of the newest commit, what is not written yet; nil if all is
	clock    time.Time
	features bool // the table's protocol names features
	files    int  // for names
}

func newSource(dir string, rng *rand.Rand) *source {
	return &source{
		dir: dir, rng: rng,
		bytes: map[string][]byte{}, born: map[string]int{}, gone: map[string]bool{},
		clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// tip is the newest version that is visible, -1 if none is.
func (s *source) tip() int {
	if s.pending != nil {
		return len(s.versions) - 2
	}
	return len(s.versions) - 1
}

func (s *source) newest() *state {
	if len(s.versions) == 0 {
		return &state{id: fmt.Sprintf("pond-%d", s.rng.Uint32()), config: map[string]string{}, live: map[string]file{}, txns: map[string]int64{}, domains: map[string]string{}}
	}
	return s.versions[len(s.versions)-1].clone()
}

// write makes a file of the table with new random content, which does not
// compress.
func (s *source) write(path string, n int) error {
	content := make([]byte, n)
	var key [32]byte
	for i := range key {
		key[i] = byte(s.rng.Uint32())
	}
	if _, err := rand.NewChaCha8(key).Read(content); err != nil {
		return err
	}
	s.bytes[path], s.born[path] = content, len(s.versions)
	return writeFile(filepath.Join(s.dir, filepath.FromSlash(path)), content)
}

func writeFile(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// publish makes st the next version, or only the first half of its commit file
// visible: that of a writer that does not write atomically.
func (s *source) publish(st *state, c *commit, half bool) error {
	v := version{state: st, commit: c.bytes(), changeData: c.changeData, inCommit: c.inCommit, modified: s.tick()}
	s.versions = append(s.versions, v)
	whole := v.commit
	if half {
		cut := s.insideAction(whole)
		whole, s.pending = whole[:cut], whole[cut:]
	}
	return s.writeCommit(whole)
}

// insideAction returns a place in a commit at which it is cut so that one can
// tell: between two actions nobody could.
func (s *source) insideAction(c []byte) int {
	cut := 3 + s.rng.IntN(len(c)-3)
	for c[cut-1] == '\n' || c[cut] == '\n' {
		cut--
	}
	return cut
}

// complete writes the rest of the newest commit.
func (s *source) complete() error {
	s.pending = nil
	return s.writeCommit(s.versions[len(s.versions)-1].commit)
}

func (s *source) writeCommit(content []byte) error {
	n := len(s.versions) - 1
	name := s.commitName(n)
	if err := writeFile(name, content); err != nil {
		return err
	}
	return os.Chtimes(name, time.Time{}, s.versions[n].modified)
}

func (s *source) commitName(v int) string {
	return filepath.Join(s.dir, deltalog.Version(v).CommitPath())
}

// tick moves the clock on, once in a while back, as clocks of hosts do.
func (s *source) tick() time.Time {
	step := time.Duration(s.rng.Int64N(int64(5 * time.Second)))
	if s.rng.IntN(12) == 0 {
		step = -step / 2
	}
	s.clock = s.clock.Add(step)
	return s.clock
}

// checkpoint writes one of a random version.
func (s *source) checkpoint(ctx context.Context) (int, error) {
	v := s.start + s.rng.IntN(s.tip()-s.start+1)
	return v, s.checkpointAt(ctx, v)
}

func (s *source) checkpointAt(ctx context.Context, v int) error {
	table, err := deltalog.OpenDir(s.dir)
	if err != nil {
		return err
	}
	_, err = table.WriteCheckpoint(ctx, deltalog.Version(v), nil)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// cleanUp is the log cleanup of an engine: what lies below a checkpoint goes, by
// some engines also the commit that it is of.
func (s *source) cleanUp(ctx context.Context, c int, ownCommit bool) error {
	if err := s.checkpointAt(ctx, c); err != nil {
		return err
	}
	names, err := os.ReadDir(filepath.Join(s.dir, deltalog.LogDir))
	if err != nil {
		return err
	}
	for _, name := range names {
		var of int
		if n, _ := fmt.Sscanf(name.Name(), "%020d.", &of); n == 1 && of < c {
			if err := os.Remove(filepath.Join(s.dir, deltalog.LogDir, name.Name())); err != nil {
				return err
			}
		}
	}
	s.start = c
	if !ownCommit {
		return nil
	}
	s.start++
	return os.Remove(s.commitName(c))
}

// vacuum removes some of the files that the newest version does without. It
// returns their paths.
func (s *source) vacuum() ([]string, error) {
	needed := s.versions[len(s.versions)-1].files()
	if s.pending != nil { // its writer may yet fail, so the version before counts as well
		for path := range s.versions[len(s.versions)-2].files() {
			needed[path] = true
		}
	}
	var removed []string
	for _, path := range sorted(s.bytes) {
		if needed[path] || s.gone[path] || isExtra(path) || s.rng.IntN(3) == 0 {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, filepath.FromSlash(path))); err != nil {
			return nil, err
		}
		s.gone[path] = true
		removed = append(removed, path)
	}
	return removed, nil
}

// extraAt is the hook that names the host's own files.
func (s *source) extraAt(_ context.Context, v deltalog.Version) ([]string, error) {
	if int(v) >= len(s.versions) {
		return nil, fmt.Errorf("the hook was asked for version %d of %d", v, len(s.versions))
	}
	return s.versions[v].extra, nil
}

const extraDir = "_large_files/"

func isExtra(path string) bool { return strings.HasPrefix(path, extraDir) }

// commit gathers the actions of one version.
type commit struct {
	lines      bytes.Buffer
	changeData []string
	inCommit   int64
	err        error
}

func (c *commit) action(kind string, value any) {
	line, err := json.Marshal(map[string]any{kind: value})
	if err != nil {
		c.err = err
		return
	}
	c.lines.Write(append(line, '\n'))
}

func (c *commit) bytes() []byte { return bytes.Clone(c.lines.Bytes()) }

// inLog is a path as an action states it.
func inLog(path string) string { return (&url.URL{Path: path}).EscapedPath() }
