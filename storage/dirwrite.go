package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"

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
	if err := checkFree(root, key); err != nil {
		return err
	}
	temp, err := writeTemp(root, key, src)
	if err != nil {
		return err
	}
	err = atomicfile.PublishNew(root, temp, key)
	if errors.Is(err, fs.ErrExist) {
		// A folder of that name also answers "exists". If what was in the way
		// is gone again, it did exist.
		return errors.Join(err, checkFolder(root, key))
	}
	return err
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
	root, err := atomicfile.OpenRoot(d.folder)
	if errors.Is(err, fs.ErrNotExist) {
		if err := atomicfile.MakeFolder(d.folder); err != nil {
			return nil, err
		}
		return atomicfile.OpenRoot(d.folder)
	}
	if err != nil || d.rooted.Load() {
		return root, err
	}
	// Another process may have made it a moment ago and not yet synced.
	if err := syncParent(d.folder); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	d.rooted.Store(true)
	return root, nil
}

// syncParent makes the name of folder durable. A parent that we may not read is
// none that this program could have made the folder in.
func syncParent(folder string) error {
	parent, err := atomicfile.OpenRoot(filepath.Dir(folder))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := parent.SyncDir("."); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
