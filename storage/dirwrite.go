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

// Create is Creator.Create. If r blocks, it returns only when that Read does. A
// crash may leave a temporary file behind, which no listing shows.
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
		var temp string
		if temp, err = writeTemp(root, key, src); err != nil {
			return err
		}
		err = atomicfile.PublishNew(root, temp, key)
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

// writeTemp writes src into a durable temporary file beside key, in a folder
// whose own name is durable too.
func writeTemp(root *atomicfile.Root, key string, src *stream.Source) (temp string, err error) {
	dir := path.Dir(key)
	if err := atomicfile.MkdirAll(root, dir); err != nil {
		return "", err
	}
	if dir != "." {
		// Another creator may have made dir a moment ago and not yet synced
		// its parent. All above is durable: folders are made top down.
		if err := root.SyncDir(path.Dir(dir)); err != nil {
			return "", err
		}
	}
	temp, _, err = atomicfile.WriteTemp(root, dir, src)
	if _, failed := src.Finish(); failed != nil {
		// Without the file's path: the failure is not the folder's.
		return "", &stream.SourceError{Err: failed}
	}
	return temp, err
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
