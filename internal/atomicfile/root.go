package atomicfile

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Root is an os.Root, to which changes are made by its own methods alone: each is
// a Step.
type Root struct {
	*os.Root
	folder string
}

// OpenRoot opens a folder.
func OpenRoot(folder string) (*Root, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &Root{root, folder}, nil
}

// OpenRoot opens a folder below.
func (r *Root) OpenRoot(name string) (*Root, error) {
	root, err := r.Root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Root{root, filepath.Join(r.folder, filepath.FromSlash(name))}, nil
}

func (r *Root) take(what, name string, do func(*Step) error) error {
	err := take(Step{Do: what, Folder: r.folder, Name: name}, do)
	if e, ok := err.(*fs.PathError); ok && !filepath.IsAbs(e.Path) { // which folder is it?
		return &fs.PathError{Op: e.Op, Path: filepath.Join(r.folder, e.Path), Err: e.Err}
	}
	return err
}

// Mkdir makes a folder.
func (r *Root) Mkdir(name string, perm fs.FileMode) error {
	return r.take(StepMkdir, name, func(*Step) error { return r.Root.Mkdir(name, perm) })
}

// MkdirAll makes a folder and those above it that are missing.
func (r *Root) MkdirAll(name string, perm fs.FileMode) error {
	_, err := r.Stat(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return err // if it is no folder, opening it will say
	}
	if err := r.MkdirAll(path.Dir(name), perm); err != nil {
		return err
	}
	if err := r.Mkdir(name, perm); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Create makes a new file to be written.
func (r *Root) Create(name string) (f *File, err error) {
	err = r.take(StepCreate, name, func(*Step) error {
		file, err := r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		f = &File{file, r.folder, name}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// createUnnamed makes a new file in dir to be written, which no name leads to. An error
// wraps errors.ErrUnsupported if the system or the file system cannot. The name that steps
// tell is only for whoever watches them.
func (r *Root) createUnnamed(dir string) (f *File, err error) {
	name := path.Join(dir, tempPrefix+rand.Text())
	err = r.take(StepUnnamed, name, func(*Step) error {
		file, err := openUnnamed(r.Root, dir)
		f = &File{file, r.folder, name}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// linkUnnamed gives a file of createUnnamed a name, which must be free.
func (r *Root) linkUnnamed(f *File, to string) error {
	return take(Step{Do: StepLink, Folder: r.folder, Name: f.name, ToFolder: r.folder, ToName: to}, func(*Step) error {
		return linkUnnamed(f.file, r.Root, to)
	})
}

// Remove removes a file or an empty folder.
func (r *Root) Remove(name string) error {
	return r.take(StepRemove, name, func(*Step) error { return r.Root.Remove(name) })
}

// RemoveAll removes what is there, if anything, and what is below it.
func (r *Root) RemoveAll(name string) error {
	return r.take(StepRemoveAll, name, func(*Step) error { return r.Root.RemoveAll(name) })
}

// Rename gives a file another name, replacing what is there.
func (r *Root) Rename(from, to string) error {
	return take(Step{Do: StepRename, Folder: r.folder, Name: from, ToFolder: r.folder, ToName: to}, func(*Step) error {
		return r.Root.Rename(from, to)
	})
}

// Link gives a file another name, which must be free.
func (r *Root) Link(from, to string) error {
	return take(Step{Do: StepLink, Folder: r.folder, Name: from, ToFolder: r.folder, ToName: to}, func(*Step) error {
		return r.Root.Link(from, to)
	})
}

// SetTime sets the modification time of a file.
func (r *Root) SetTime(name string, t time.Time) error {
	return take(Step{Do: StepSetTime, Folder: r.folder, Name: name, Time: t}, func(*Step) error {
		return r.Chtimes(name, time.Time{}, t)
	})
}

// SyncFile makes a file's bytes and time durable.
func (r *Root) SyncFile(name string) error {
	// Windows does not sync what is open only for reading.
	f, err := r.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join((&File{f, r.folder, name}).Sync(), f.Close())
}

// SyncDir makes the names in folder dir durable. Windows has no such call and
// needs none; see syncedDir for file systems that have none.
func (r *Root) SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := r.Open(dir)
	if err != nil {
		return err
	}
	err = syncedDir(r.take(StepSyncDir, dir, func(*Step) error { return d.Sync() }))
	return errors.Join(err, d.Close())
}

// syncedDir is the error of the fsync of a folder, but nil if the file system has no such
// call: some of FUSE and of networks (SMB) answer EINVAL or ENOTSUP, and decide by themselves
// when names are durable. Databases go on there, too. EINVAL from a folder that was opened
// a moment ago can mean nothing else, and no write that failed is told of by either.
func syncedDir(err error) error {
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// File is a file to be written.
type File struct {
	file         *os.File
	folder, name string
}

// Write appends p.
func (f *File) Write(p []byte) (n int, err error) {
	err = take(Step{Do: StepWrite, Folder: f.folder, Name: f.name, Data: p}, func(s *Step) (err error) {
		n, err = f.file.Write(s.Data)
		return err
	})
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// Sync makes the file's bytes and time durable.
func (f *File) Sync() error {
	return take(Step{Do: StepSync, Folder: f.folder, Name: f.name}, func(*Step) error { return f.file.Sync() })
}

// content reads the file from its start.
func (f *File) content() io.Reader { return io.NewSectionReader(f.file, 0, math.MaxInt64) }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
