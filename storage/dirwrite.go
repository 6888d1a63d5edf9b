package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// Create is Creator.Create. If r blocks, it returns only when that Read does. A process
// that is killed leaves nothing behind where the file system can make files without
// names, as most local ones of Linux; elsewhere a temporary file, which no listing shows.
func (d *Dir) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := d.begin(ctx, key); err != nil {
		return d.fail(opCreate, key, err)
	}
	root, err := d.makeRoot()
	if err != nil {
		return d.fail(opCreate, key, err)
	}
	defer root.Close()
	return d.fail(opCreate, key, create(root, key, stream.NewSource(ctx, r, size)))
}

func create(root *atomicfile.Root, key string, src *stream.Source) error {
	err := checkFree(root, key)
	if err == nil {
		if err := makeParent(root, key); err != nil {
			return err
		}
		err = ofSource(src, atomicfile.WriteNew(root, key, src))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Who hears that an object exists may count on it, but its creator may have been
	// stopped before it was durable.
	if serr := syncParents(root, key); serr != nil {
		return serr
	}
	// A folder of that name also answers "exists". If what was in the way is gone
	// again, it did exist.
	return errors.Join(err, checkFolder(root, key))
}

// syncParents makes the name of an object durable, and those of the folders on the way
// to it.
func syncParents(root *atomicfile.Root, key string) error {
	for dir := path.Dir(key); ; dir = path.Dir(dir) {
		if err := root.SyncDir(dir); err != nil || dir == "." {
			return err
		}
	}
}

func checkFolder(root *atomicfile.Root, key string) error {
	if err := checkFree(root, key); errors.Is(err, ErrInvalidKey) {
		return err
	}
	return nil
}

// makeParent makes the folder of key, whose own name is durable then.
func makeParent(root *atomicfile.Root, key string) error {
	dir := path.Dir(key)
	if err := atomicfile.MkdirAll(root, dir); err != nil || dir == "." {
		return err
	}
	// Another creator may have made dir a moment ago and not yet synced
	// its parent. All above is durable: folders are made top down.
	return root.SyncDir(path.Dir(dir))
}

// ofSource returns the error of src, if that is why writing it failed, without the
// file's path: the failure is not the folder's.
func ofSource(src *stream.Source, err error) error {
	if _, failed := src.Finish(); failed != nil {
		return &stream.SourceError{Err: failed}
	}
	return err
}

// makeRoot opens the store's folder, which it makes if need be, and whose name
// is durable on return.
func (d *Dir) makeRoot() (*atomicfile.Root, error) {
	if d.rooted.Load() {
		if root, err := atomicfile.OpenRoot(d.folder); !errors.Is(err, fs.ErrNotExist) {
			return root, err
		}
	}
	if err := atomicfile.MakeFolder(d.folder); err != nil {
		return nil, err
	}
	d.rooted.Store(true)
	return atomicfile.OpenRoot(d.folder)
}
