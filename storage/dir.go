package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/internal/errdef"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// Dir is a Store in a local folder: the key a/b is the file a/b. It is also a
// Deleter and an Overwriter.
//
// Objects are published by an exclusive hard link and are durable, folders
// included, when Create returns; on a file system without hard links Create
// fails. Any number of processes may use one folder at once. Symbolic links and
// other irregular files in it are no objects: they are neither listed nor opened.
//
// Unlike a bucket a folder cannot hold both a key a and a key a/b: the later one
// is refused with an error wrapping ErrInvalidKey, also when the folder a is only
// left over, since folders that become empty stay. Where the file system
// ignores case, so do its keys.
type Dir struct {
	folder string      // absolute
	rooted atomic.Bool // folder's own name is known to be durable
	shown  shown       // to the user of this Dir
	put    sync.Mutex  // makes compare-and-replace one step for this Dir
}

var (
	_ Store      = (*Dir)(nil)
	_ Deleter    = (*Dir)(nil)
	_ Overwriter = (*Dir)(nil)
)

// OpenDir returns the store in folder. The folder need not exist: until the
// first Create or Put makes it, the store is empty. Anything else than a folder
// at that place is an error, and so are no folder at all and a URL, which Open takes.
//
// What Create and Put acknowledge is durable as far as the file system keeps its word.
// Where it has no fsync of folders (some of FUSE and SMB answer EINVAL or ENOTSUP), an
// object's bytes are, and its name when that file system sees fit: a power cut may take
// an object that was acknowledged, as a whole.
func OpenDir(folder string) (*Dir, error) {
	if folder == "" || strings.Contains(folder, "://") {
		return nil, fmt.Errorf("%w: %q is not a folder", ErrInvalidConfig, folder)
	}
	abs, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is not a folder", ErrInvalidConfig, abs)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, dirClass(err)
	}
	return &Dir{folder: abs}, nil
}

// Folder returns the absolute path of the store's folder.
func (d *Dir) Folder() string { return d.folder }

func joinFolder(folder, prefix string) string {
	return filepath.Join(folder, filepath.FromSlash(prefix))
}

// Open is Reader.Open.
func (d *Dir) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if off < 0 {
		return nil, fmt.Errorf("open %s: negative offset %d", key, off)
	}
	if err := d.begin(ctx, key); err != nil {
		return nil, d.fail(opOpen, key, err)
	}
	f, size, err := d.openFile(key)
	if err != nil {
		return nil, d.fail(opOpen, key, err)
	}
	d.shown.note(key)
	left := stream.BytesIn(size, off, n)
	return &stream.Body{
		Ctx: ctx, Left: left, Src: sectionCloser{io.NewSectionReader(f, off, left), f},
		Fail: func(err error) error { return d.fail(opRead, key, err) },
	}, nil
}

type sectionCloser struct {
	*io.SectionReader
	io.Closer
}

// openFile opens an object and tells its size in bytes.
func (d *Dir) openFile(key string) (*os.File, int64, error) {
	root, err := atomicfile.OpenRoot(d.folder)
	if err != nil {
		return nil, 0, err
	}
	defer root.Close() // the file outlives it
	// Looking before opening: opening a pipe would block.
	if _, err := lookup(root, key); err != nil {
		return nil, 0, err
	}
	f, err := root.Open(key)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Delete is Deleter.Delete. Folders that become empty stay.
func (d *Dir) Delete(ctx context.Context, key string) error {
	if err := d.begin(ctx, key); err != nil {
		return d.fail(opDelete, key, err)
	}
	err := d.remove(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.fail(opDelete, key, err)
}

func (d *Dir) remove(key string) error {
	root, err := atomicfile.OpenRoot(d.folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := lookup(root, key); err != nil {
		return err
	}
	if err := root.Remove(key); err != nil {
		return err
	}
	return root.SyncDir(path.Dir(key))
}

// begin does what every operation on one key begins with.
func (d *Dir) begin(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if atomicfile.IsTemp(key) {
		return fmt.Errorf("%w %q: names like this are the folder store's own temporary files", ErrInvalidKey, key)
	}
	return ctx.Err()
}

// fail adds operation, key, folder and class; nil stays nil.
func (d *Dir) fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s in %s: %w", op, key, d.folder, dirClass(err))
}

// dirClass adds the sentinel. Any other error of the system, such as a full
// disk, passes as it is: it is not the kind that goes away by trying again.
func dirClass(err error) error {
	switch {
	case Class(err) != nil, errors.Is(err, errdef.ErrUnsupported):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %w", ErrExists, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case errors.Is(err, stream.ErrLess): // cut short while it was read
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
