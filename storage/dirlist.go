package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// List is Reader.List. It reads one folder at a time and only those that can
// hold keys of the answer; its memory depends on the largest folder.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		w := walk{ctx: ctx, prefix: prefix, after: after, shown: &d.shown, yield: yield}
		if err := w.start(d.folder); err != nil && !errors.Is(err, errStop) {
			yield(Info{}, d.fail(opList, fmt.Sprintf("%q", prefix), err))
		}
	}
}

// errStop ends a walk whose caller wants no more.
var errStop = errors.New("stop")

type walk struct {
	ctx           context.Context
	root          *atomicfile.Root
	prefix, after string
	shown         *shown
	yield         func(Info, error) bool
}

func (w *walk) start(folder string) error {
	root, err := atomicfile.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return w.ctx.Err()
	}
	if err != nil {
		return err
	}
	defer root.Close()
	w.root = root
	// Everything that begins with the prefix a/b is in the folder a.
	dir := w.prefix[:strings.LastIndexByte(w.prefix, '/')+1]
	if dir != "" {
		if CheckKey(strings.TrimSuffix(dir, "/")) != nil {
			return nil // no key begins like this
		}
		if err := checkParents(root, dir); errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrInvalidKey) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return w.folder(dir)
}

// folder walks one folder; dir is "" or ends in a slash.
func (w *walk) folder(dir string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := readDir(w.root, cmp.Or(dir, "."))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.entry(dir, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(dir string, e fs.DirEntry) error {
	name := dir + e.Name()
	if e.IsDir() {
		if below := name + "/"; w.wants(below) {
			return w.folder(below)
		}
		return nil
	}
	if !e.Type().IsRegular() || !strings.HasPrefix(name, w.prefix) || name <= w.after || atomicfile.IsTemp(name) || CheckKey(name) != nil {
		return nil
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	info, err := w.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	w.shown.note(name)
	if !w.yield(Info{Key: name, Size: info.Size(), ModTime: info.ModTime()}, nil) {
		return errStop
	}
	return nil
}

// wants reports whether keys that begin with dir, which ends in a slash, can be
// part of the answer.
func (w *walk) wants(dir string) bool {
	fits := strings.HasPrefix(dir, w.prefix) || strings.HasPrefix(w.prefix, dir)
	passed := dir < w.after && !strings.HasPrefix(w.after, dir)
	return fits && !passed
}

// readDir returns the entries of a folder in the order of the keys that they
// stand for: a folder counts with its slash, so that a-b comes before a/c.
func readDir(root *atomicfile.Root, dir string) ([]fs.DirEntry, error) {
	f, err := root.Open(path.Clean(dir))
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(sortName(a), sortName(b)) })
	return entries, err
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}
