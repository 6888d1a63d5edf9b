package disktest

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Recording is what was done to the files below a folder, step by step.
type Recording struct {
	folder string
	before *node // what was there
	steps  []atomicfile.Step
	mu     sync.Mutex
	stop   func()
}

// Record notes each step below a folder until Stop. What is there already is
// durable.
func Record(t testing.TB, folder string) *Recording {
	t.Helper()
	r := &Recording{folder: folder, before: load(t, folder)}
	r.stop = atomicfile.Intercept(r.step)
	return r
}

// Stop ends the recording, for good.
func (r *Recording) Stop() { r.stop() }

// Steps returns how many steps were taken.
func (r *Recording) Steps() int { return len(r.steps) }

func (r *Recording) step(s *atomicfile.Step, do func() error) error {
	if !below(r.folder, s.Path()) {
		return do()
	}
	// One at a time, so that the order is that in which they took effect.
	r.mu.Lock()
	defer r.mu.Unlock()
	err := do()
	if err == nil {
		noted := *s
		noted.Data = bytes.Clone(s.Data)
		r.steps = append(r.steps, noted)
	}
	return err
}

// String lists the steps.
func (r *Recording) String() string {
	var b strings.Builder
	for i, s := range r.steps {
		fmt.Fprintf(&b, "%d %s %s", i+1, s.Do, strings.TrimPrefix(s.Path(), r.folder))
		if s.ToName != "" {
			fmt.Fprintf(&b, " %s", strings.TrimPrefix(s.ToPath(), r.folder))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// After returns the disk as it was after the first n steps.
func (r *Recording) After(t testing.TB, n int) *Disk {
	t.Helper()
	d := &Disk{folder: r.folder, root: r.before.clone(), unnamed: map[string]*node{}}
	for i := range r.steps[:n] {
		if err := d.apply(&r.steps[i]); err != nil {
			t.Fatalf("step %d, %s %s: %v", i+1, r.steps[i].Do, r.steps[i].Path(), err)
		}
	}
	return d
}

// load reads a folder, which need not exist.
func load(t testing.TB, folder string) *node {
	t.Helper()
	root := newFolder()
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		n := newFolder()
		if !e.IsDir() {
			info, err := e.Info()
			if err != nil {
				return err
			}
			n = &node{time: info.ModTime()}
			if n.data, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		dir, err := root.find(filepath.Dir(rel))
		if err != nil {
			return err
		}
		dir.put(filepath.Base(rel), n)
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	root.syncAll()
	return root
}

// Resume records on, with what was done until the first n steps as it was then: as
// if the process had ended after them, and another goes on now. The folder must be in
// that state.
func (r *Recording) Resume(n int) *Recording {
	on := &Recording{folder: r.folder, before: r.before, steps: slices.Clone(r.steps[:n])}
	on.stop = atomicfile.Intercept(on.step)
	return on
}

// RequireComplete fails the test unless the steps account for all that is in the
// folder: nothing was done past them.
func (r *Recording) RequireComplete(t testing.TB) {
	t.Helper()
	want := map[string]string{}
	r.After(t, len(r.steps)).root.texts("", want)
	got := map[string]string{}
	load(t, r.folder).texts("", got)
	if !maps.Equal(want, got) {
		t.Fatalf("by its steps the folder has %q, and really has %q:\n%s", slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), r)
	}
}

// texts are the contents of all files, and an entry for each folder.
func (n *node) texts(path string, into map[string]string) {
	if n.names == nil {
		into[path] = string(n.data)
		return
	}
	into[path+"/"] = ""
	for name, to := range n.list(len(n.changes)) {
		to.texts(path+"/"+name, into)
	}
}
