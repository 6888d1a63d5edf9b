package disktest

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Disk is a folder together with what of it is durable. The model is a file system
// that promises as little as POSIX does and one thing more, which all file systems
// in use have:
//
//   - what was written to a file since it was last synced may be there after a power
//     cut, or in part, or as zeros, or not at all;
//   - so may be its time;
//   - what changed in the names of a folder since it was last synced is there up to
//     some change, and the later ones are not: the order within a folder is kept.
//     Other folders are independent of it: a file that was moved may be in both, or
//     in neither.
type Disk struct {
	folder  string
	root    *node
	unnamed map[string]*node // files that no name leads to, by the path that steps tell
}

// node is a file or a folder.
type node struct {
	names   map[string]*node // of a folder, else nil: as they are durable
	changes []change         // those that are not

	data        []byte
	time        time.Time
	durable     int       // bytes
	durableTime time.Time // zero: that of the writing
}

// change is one in the names of a folder.
type change struct {
	name string
	to   *node  // nil: removed
	from string // a name that it had in the same folder before, which goes with the change
}

func newFolder() *node { return &node{names: map[string]*node{}} }

// lookup finds a name as it stands.
func (n *node) lookup(name string) *node {
	for _, c := range slices.Backward(n.changes) {
		switch name {
		case c.name:
			return c.to
		case c.from:
			return nil
		}
	}
	return n.names[name]
}

// list returns the names after the first of the changes.
func (n *node) list(changes int) map[string]*node {
	names := map[string]*node{}
	for name, to := range n.names {
		names[name] = to
	}
	for _, c := range n.changes[:changes] {
		delete(names, c.from)
		if names[c.name] = c.to; c.to == nil {
			delete(names, c.name)
		}
	}
	return names
}

func (n *node) put(name string, to *node) { n.changes = append(n.changes, change{name: name, to: to}) }

func (n *node) find(rel string) (*node, error) {
	if rel == "." {
		return n, nil
	}
	for _, name := range strings.Split(filepath.ToSlash(rel), "/") {
		if n.names == nil {
			return nil, fmt.Errorf("%s: no folder on the way", rel)
		}
		if n = n.lookup(name); n == nil {
			return nil, fmt.Errorf("%s: %w", rel, fs.ErrNotExist)
		}
	}
	return n, nil
}

// sync makes the bytes of a file durable, or the names of a folder.
func (n *node) sync() {
	if n.names == nil {
		n.durable, n.durableTime = len(n.data), n.time
		return
	}
	n.names, n.changes = n.list(len(n.changes)), nil
}

func (n *node) syncAll() {
	n.sync()
	for _, below := range n.names {
		below.syncAll()
	}
}

// removeAll removes what is below a folder.
func (n *node) removeAll() {
	for name, to := range n.list(len(n.changes)) {
		to.removeAll()
		n.put(name, nil)
	}
}

// clone copies a tree all of which is durable.
func (n *node) clone() *node {
	c := *n
	if n.names != nil {
		c.names = map[string]*node{}
		for name, to := range n.names {
			c.names[name] = to.clone()
		}
	}
	return &c
}

// place finds the folder of a path and the name in it.
func (d *Disk) place(path string) (*node, string, error) {
	rel, err := filepath.Rel(d.folder, path)
	if err != nil {
		return nil, "", err
	}
	dir, err := d.root.find(filepath.Dir(rel))
	return dir, filepath.Base(rel), err
}

func (d *Disk) apply(s *atomicfile.Step) error {
	if s.Path() == d.folder {
		return d.applyToRoot(s)
	}
	dir, name, err := d.place(s.Path())
	if err != nil {
		return err
	}
	n := dir.lookup(name)
	if n == nil {
		n = d.unnamed[s.Path()]
	}
	switch s.Do {
	case atomicfile.StepMkdir:
		dir.put(name, newFolder())
	case atomicfile.StepCreate:
		dir.put(name, &node{})
	case atomicfile.StepUnnamed:
		d.unnamed[s.Path()] = &node{}
	case atomicfile.StepRemoveAll:
		if n != nil {
			n.removeAll()
			dir.put(name, nil)
		}
	default:
		if n == nil {
			return fs.ErrNotExist
		}
		return d.change(s, dir, name, n)
	}
	return nil
}

// applyToRoot is for steps that are about the folder itself, whose own name is not
// part of the model.
func (d *Disk) applyToRoot(s *atomicfile.Step) error {
	switch s.Do {
	case atomicfile.StepMkdir:
	case atomicfile.StepSyncDir:
		d.root.sync()
	case atomicfile.StepSyncAll:
		d.root.syncAll()
	default:
		return fmt.Errorf("not expected of the folder itself")
	}
	return nil
}

// change applies a step to what is there.
func (d *Disk) change(s *atomicfile.Step, dir *node, name string, n *node) error {
	switch s.Do {
	case atomicfile.StepWrite:
		n.data = append(n.data[:len(n.data):len(n.data)], s.Data...)
	case atomicfile.StepSetTime:
		n.time = s.Time
	case atomicfile.StepSync, atomicfile.StepSyncDir:
		n.sync()
	case atomicfile.StepSyncAll:
		d.root.syncAll()
	case atomicfile.StepRemove:
		dir.put(name, nil)
	case atomicfile.StepRename, atomicfile.StepMove, atomicfile.StepLink:
		return d.rename(s, dir, name, n)
	default:
		return fmt.Errorf("unknown step")
	}
	return nil
}

func (d *Disk) rename(s *atomicfile.Step, dir *node, name string, n *node) error {
	to, toName, err := d.place(s.ToPath())
	switch {
	case err != nil:
		return err
	case s.Do == atomicfile.StepLink:
		to.put(toName, n)
	case to == dir:
		dir.changes = append(dir.changes, change{toName, n, name})
	default:
		to.put(toName, n)
		dir.put(name, nil)
	}
	return nil
}

// Loss decides what is left of what was not durable.
type Loss struct {
	// Changes returns how many of n changes in the names of a folder are left.
	Changes func(n int) int
	// Bytes returns how many of n bytes of a file are left, and whether zeros stand
	// for the others.
	Bytes func(n int) (left int, zeros bool)
}

var (
	// None loses nothing, as the end of a process does.
	None = Loss{func(n int) int { return n }, func(n int) (int, bool) { return n, false }}
	// Unsynced loses all that was not synced.
	Unsynced = Loss{func(int) int { return 0 }, func(int) (int, bool) { return 0, false }}
)

// Losses are what a power cut may take after some step, from all that was not synced
// to this and that.
func Losses(step int) map[string]Loss {
	names := func(n int) int { return n }
	all := map[string]Loss{
		"all that is not synced": Unsynced,
		"bytes":                  {names, func(int) (int, bool) { return 0, false }},
		"bytes, zeros in place":  {names, func(int) (int, bool) { return 0, true }},
		"half of the bytes":      {names, func(n int) (int, bool) { return n / 2, false }},
	}
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, uint64(step)))
		all[fmt.Sprint("this and that, seed ", seed)] = Loss{
			func(n int) int { return r.IntN(n + 1) },
			func(n int) (int, bool) { return r.IntN(n + 1), r.IntN(2) == 0 },
		}
	}
	return all
}

// WriteTo writes what a power cut leaves into an empty folder.
func (d *Disk) WriteTo(t testing.TB, folder string, loss Loss) {
	t.Helper()
	if err := d.root.writeTo(folder, loss); err != nil {
		t.Fatal(err)
	}
}

func (n *node) writeTo(path string, loss Loss) error {
	if n.names == nil {
		return n.writeFile(path, loss)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	names := n.list(loss.Changes(len(n.changes)))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := names[name].writeTo(filepath.Join(path, name), loss); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) writeFile(path string, loss Loss) error {
	left, zeros := loss.Bytes(len(n.data) - n.durable)
	data := slices.Clone(n.data[:n.durable+left])
	if zeros {
		data = append(data, make([]byte, len(n.data)-len(data))...)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	at := n.durableTime
	if left == len(n.data)-n.durable && !n.time.IsZero() && loss.Changes(1) == 1 {
		at = n.time
	}
	if at.IsZero() {
		return nil
	}
	return os.Chtimes(path, time.Time{}, at)
}
