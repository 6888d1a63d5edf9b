package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
)

// Held is a folder that is kept open while many of the files below it are read. Symbolic
// links are followed only inside it, on Linux some long chains of them, too, which os.Root
// refuses. Its methods may be called by many goroutines at once.
type Held struct {
	root  *os.Root
	dir   *os.File // the same folder, for what os.Root has no call for
	users atomic.Int64
}

// Hold opens a folder. Who does releases it.
func Hold(folder string) (*Held, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	h := &Held{root: root, dir: dir}
	h.users.Store(1)
	return h, nil
}

// Borrow keeps the folder open for one more user, who releases it, unless ok is false: then
// all had released it.
func (h *Held) Borrow() (ok bool) {
	for {
		n := h.users.Load()
		if n <= 0 {
			return false
		}
		if h.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release closes the folder when nobody uses it any more. Files opened from it stay open.
func (h *Held) Release() error {
	if h.users.Add(-1) > 0 {
		return nil
	}
	return errors.Join(h.root.Close(), h.dir.Close())
}

// Open opens a file to be read; more flags may be given.
func (h *Held) Open(name string, flags int) (*os.File, error) {
	if f, err := openBeneath(h.dir, name, os.O_RDONLY|flags); err == nil {
		return f, nil
	}
	return h.root.OpenFile(name, os.O_RDONLY|flags, 0) // whose error is the one to tell
}

// Stat tells what is there, as os.Root.Stat does.
func (h *Held) Stat(name string) (fs.FileInfo, error) { return h.root.Stat(name) }

// Lstat tells what is there, a link too, as os.Root.Lstat does.
func (h *Held) Lstat(name string) (fs.FileInfo, error) { return h.root.Lstat(name) }

// RegularSize tells the size of a regular file in bytes. ok is false for what is none or not
// there, and where the system has no short way to tell: Stat says which.
func (h *Held) RegularSize(name string) (size int64, ok bool) { return sizeBeneath(h.dir, name) }

// ReadNames returns the names in a folder below, in no order.
func (h *Held) ReadNames(name string) ([]string, error) {
	f, err := h.root.Open(name)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	return names, errors.Join(err, f.Close())
}
