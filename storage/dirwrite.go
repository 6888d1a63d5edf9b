package storage

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
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

func create(root *os.Root, key string, src *stream.Source) error {
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

func checkFolder(root *os.Root, key string) error {
	if err := checkFree(root, key); errors.Is(err, ErrInvalidKey) {
		return err
	}
	return nil
}

// writeTemp writes src into a durable temporary file beside key, in a folder
// whose own name is durable too.
func writeTemp(root *os.Root, key string, src *stream.Source) (temp string, err error) {
	dir := path.Dir(key)
	if err := atomicfile.MkdirAll(root, dir); err != nil {
		return "", err
	}
	if dir != "." {
		// Another creator may have made dir a moment ago and not yet synced
		// its parent. All above is durable: folders are made top down.
		if err := atomicfile.SyncDir(root, path.Dir(dir)); err != nil {
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
func (d *Dir) makeRoot() (*os.Root, error) {
	root, err := os.OpenRoot(d.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return d.newRoot()
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
	parent, err := os.OpenRoot(filepath.Dir(folder))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := atomicfile.SyncDir(parent, "."); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func (d *Dir) newRoot() (*os.Root, error) {
	above := filepath.Dir(d.folder)
	for above != filepath.Dir(above) {
		if _, err := os.Stat(above); !errors.Is(err, fs.ErrNotExist) {
			break // whatever is wrong with it, opening it will say
		}
		above = filepath.Dir(above)
	}
	if err := makeFolders(above, d.folder); err != nil {
		return nil, err
	}
	return os.OpenRoot(d.folder)
}

func makeFolders(above, folder string) error {
	rel, err := filepath.Rel(above, folder)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(above)
	if err != nil {
		return err
	}
	defer root.Close()
	return atomicfile.MkdirAll(root, filepath.ToSlash(rel))
}
