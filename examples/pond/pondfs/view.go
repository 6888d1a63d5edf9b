package pondfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pondworks/sluice/deltalog"
)

// View is the pond as it was at one version of its table. It reads a directory
// when it is asked for it. Not to be used by two goroutines at once.
type View struct {
	Version deltalog.Version

	fs    *FS
	parts map[string][]addAction      // live data files by partition
	dirs  map[string]map[string]Entry // directories that were read: newest entry by path
}

// Newest is a version for At that stands for the newest one.
const Newest deltalog.Version = -1

// At returns the pond at a version. It wraps deltalog.ErrNoTable if there is no
// table, fs.ErrNotExist if there is no such version.
func (f *FS) At(ctx context.Context, v deltalog.Version) (_ *View, err error) {
	tip, err := f.table.Tip(ctx)
	switch {
	case err != nil:
		return nil, err
	case v == Newest:
		v = tip
	case v > tip:
		return nil, fmt.Errorf("there is no version %d yet: the newest is %d", int64(v), int64(tip))
	}
	s, err := f.table.Snapshot(ctx, v, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	view := &View{Version: v, fs: f, parts: map[string][]addAction{}, dirs: map[string]map[string]Entry{}}
	for add, err := range s.Adds() {
		if err != nil {
			return nil, err
		}
		a, err := parseAdd(add)
		if err != nil {
			return nil, err
		}
		view.parts[a.part()] = append(view.parts[a.part()], a)
	}
	return view, nil
}

// dir returns the newest entry of each path in a directory, removed ones among
// them.
func (v *View) dir(name string) (map[string]Entry, error) {
	if known, ok := v.dirs[name]; ok {
		return known, nil
	}
	entries := map[string]Entry{}
	for _, a := range v.parts[partID(name)] {
		err := scan(v.fs, a.path, func(e Entry) error {
			if e.Version > entries[e.Path].Version {
				e.source = a.path
				entries[e.Path] = e
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	v.dirs[name] = entries
	return entries, nil
}

// Stat returns the entry of a path. It wraps fs.ErrNotExist.
func (v *View) Stat(name string) (Entry, error) {
	if name == "/" {
		return Entry{Path: "/", Kind: KindDirectory}, nil
	}
	entries, err := v.dir(path.Dir(name))
	if err != nil {
		return Entry{}, err
	}
	e, ok := entries[name]
	if !ok || e.Kind == KindRemoved {
		return Entry{}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return e, nil
}

// List returns what is in a directory, by name, or the file of that name. It
// wraps fs.ErrNotExist.
func (v *View) List(name string) ([]Entry, error) {
	e, err := v.Stat(name)
	if err != nil || e.Kind != KindDirectory {
		return []Entry{e}, err
	}
	entries, err := v.dir(name)
	if err != nil {
		return nil, err
	}
	list := slices.Collect(maps.Values(entries))
	list = slices.DeleteFunc(list, func(e Entry) bool { return e.Kind == KindRemoved })
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// Open opens a file. It wraps fs.ErrNotExist, and ErrPath for a directory.
func (v *View) Open(name string) (io.ReadCloser, error) {
	e, err := v.Stat(name)
	if err != nil {
		return nil, err
	}
	switch e.Kind {
	case KindLarge:
		return v.fs.openLarge(e.SHA256)
	case KindDirectory:
		return nil, fmt.Errorf("%w: %s is a directory", ErrPath, name)
	}
	var content []byte
	found := errors.New("found")
	err = scan(v.fs, e.source, func(r row) error {
		if r.Path == e.Path && r.Version == e.Version {
			content = r.Content
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		return nil, fmt.Errorf("%s in %s: %w", name, e.source, errors.Join(deltalog.ErrCorrupt, err))
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}
