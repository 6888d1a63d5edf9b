package pondfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pondworks/sluice/deltalog"
)

// Tx gathers the changes of one commit. They are seen by later changes of the
// same Tx.
type Tx struct {
	*View
	rows map[string][]row // by directory
}

// ErrNoChange: a commit that would change nothing was not made.
var ErrNoChange = errors.New("nothing to commit")

// Put writes a new version of a file, and the directories above it that are
// missing.
func (t *Tx) Put(name string, c Content) error {
	old, err := t.Stat(name)
	if err == nil && old.Kind == KindDirectory {
		return fmt.Errorf("%w: %s is a directory", ErrPath, name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.Mkdir(path.Dir(name)); err != nil {
		return err
	}
	r := row{Kind: KindFile, Content: c.inline, Size: c.size, SHA256: c.sha256}
	if c.large {
		r.Kind = KindLarge
	}
	return t.add(name, r)
}

// Mkdir makes a directory and those above it that are missing; it is no error
// if there is nothing to do.
func (t *Tx) Mkdir(name string) error {
	e, err := t.Stat(name)
	if err == nil {
		if e.Kind != KindDirectory {
			return fmt.Errorf("%w: %s is a file", ErrPath, name)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.Mkdir(path.Dir(name)); err != nil {
		return err
	}
	return t.add(name, row{Kind: KindDirectory})
}

// Remove removes a file or an empty directory. Older versions keep it.
func (t *Tx) Remove(name string) error {
	e, err := t.Stat(name)
	if err != nil {
		return err
	}
	if e.Kind == KindDirectory {
		list, err := t.List(name)
		if err != nil {
			return err
		}
		if len(list) > 0 || name == "/" {
			return fmt.Errorf("%w: the directory %s is not empty", ErrPath, name)
		}
	}
	return t.add(name, row{Kind: KindRemoved})
}

// add appends the next version of a path.
func (t *Tx) add(name string, r row) error {
	dir := path.Dir(name)
	entries, err := t.dir(dir)
	if err != nil {
		return err
	}
	r.Path, r.Version = name, entries[name].Version+1
	entries[name] = r.entry()
	t.rows[dir] = append(t.rows[dir], r)
	return nil
}

// Commit makes one new version of the changes that build asks for, and returns
// its number. If another writer takes that number first, build is called again
// on top of what that one did. It returns ErrNoChange if build asks for nothing.
// After an error the pond is as it was, save after one that says that the version
// is there, but may not survive a power cut.
func (f *FS) Commit(ctx context.Context, info Info, build func(*Tx) error) (deltalog.Version, error) {
	return f.retry(ctx, func(view *View) ([]object, []string, error) {
		t := &Tx{View: view, rows: map[string][]row{}}
		if err := build(t); err != nil {
			return nil, nil, err
		}
		if len(t.rows) == 0 {
			return nil, nil, ErrNoChange
		}
		actions, written, err := f.writeRows(t.rows)
		return append([]object{info.action("WRITE", time.Now())}, actions...), written, err
	})
}

// retry publishes what attempt makes of the newest version as the next one. Data
// files of an attempt that came to nothing are removed.
func (f *FS) retry(ctx context.Context, attempt func(*View) (actions []object, written []string, err error)) (deltalog.Version, error) {
	for {
		view, err := f.At(ctx, Newest)
		if err != nil {
			return 0, err
		}
		actions, written, err := attempt(view)
		if err == nil {
			err = f.publish(view.Version+1, actions)
		}
		if err == nil || errors.Is(err, errInPlace) { // its data files are needed
			return view.Version + 1, err
		}
		for _, path := range written {
			err = errors.Join(err, os.Remove(filepath.Join(f.dir, filepath.FromSlash(path))))
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
	}
}

// writeRows writes one data file for each directory.
func (f *FS) writeRows(rows map[string][]row) (actions []object, written []string, err error) {
	for _, dir := range slices.Sorted(maps.Keys(rows)) {
		action, path, err := f.writePart(partID(dir), func(add func(row) error) error {
			for _, r := range rows[dir] {
				if err := add(r); err != nil {
					return err
				}
			}
			return nil
		}, true)
		if path != "" {
			written = append(written, path)
		}
		if err != nil {
			return nil, written, err
		}
		actions = append(actions, action)
	}
	return actions, written, nil
}

// writePart writes the data file of the rows that fill adds, and returns the
// action that names it.
func (f *FS) writePart(part string, fill func(add func(row) error) error, dataChange bool) (object, string, error) {
	path := fmt.Sprintf("part_id=%s/part-00001-%s.snappy.parquet", part, uuid.NewString())
	w, err := f.newWriter(path)
	if err != nil {
		return nil, "", err
	}
	var large []string
	rows := 0
	err = fill(func(r row) error {
		if r.Kind == KindLarge {
			large = append(large, r.SHA256)
		}
		rows++
		_, err := w.rows.Write([]row{r})
		return err
	})
	size, cerr := w.close()
	if err = errors.Join(err, cerr); err != nil {
		return nil, path, err
	}
	add := object{
		"path": path, "partitionValues": object{"part_id": part}, "size": size, "modificationTime": time.Now().UnixMilli(),
		"dataChange": dataChange, "stats": fmt.Sprintf(`{"numRecords":%d}`, rows),
	}
	if len(large) > 0 {
		slices.Sort(large)
		add["tags"] = object{largeTag: strings.Join(slices.Compact(large), ",")}
	}
	return object{"add": add}, path, nil
}
