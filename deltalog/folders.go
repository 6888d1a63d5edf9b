package deltalog

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"sync"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// maxFolders is how many folders of a table are kept open at once.
const maxFolders = 64

// folder opens a folder of the table, making it if need be, and keeps it open.
// What it returns is good until the next call.
func (a *application) folder(dir string) (*atomicfile.Folder, error) {
	a.touch(dir)
	if f, ok := a.folders[dir]; ok {
		return f, nil
	}
	if len(a.folders) == maxFolders {
		if err := a.closeFolders(); err != nil {
			return nil, err
		}
	}
	f, err := atomicfile.OpenFolder(a.root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := a.root.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		f, err = atomicfile.OpenFolder(a.root, dir)
	}
	if err == nil {
		a.folders[dir] = f
	}
	return f, err
}

func (a *application) closeFolders() error {
	var err error
	for _, f := range a.folders {
		err = errors.Join(err, f.Close())
	}
	clear(a.folders)
	return err
}

// touch notes that names in dir and on the way to it may be new. All folders
// above it count: an attempt that crashed may have made them and not synced
// them.
func (a *application) touch(dir string) {
	for ; !a.touched[dir]; dir = path.Dir(dir) {
		a.touched[dir] = true // ends at ".", whose folder is "."
	}
}

// syncTouched makes the names in all touched folders durable.
func (a *application) syncTouched(ctx context.Context) error {
	dirs := make([]string, 0, len(a.touched))
	for dir := range a.touched {
		dirs = append(dirs, dir)
	}
	clear(a.touched)
	if a.relaxed || len(dirs) == 0 {
		return nil
	}
	if len(dirs) > syncOneByOne {
		if err := syncAll(a.root); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return atOnce(ctx, dirs, func(dir string) error { return a.root.SyncDir(dir) })
}

// syncAll makes everything on the table's file system durable, or returns an error
// wrapping errors.ErrUnsupported.
func syncAll(root *atomicfile.Root) error {
	top, err := atomicfile.OpenFolder(root, ".")
	if err != nil {
		return err
	}
	return errors.Join(top.SyncAll(), top.Close())
}

// syncTable makes all that is in the table durable, whoever wrote it.
func syncTable(ctx context.Context, root *atomicfile.Root) error {
	err := syncAll(root)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case e.IsDir():
			return root.SyncDir(name)
		case e.Type().IsRegular():
			return root.SyncFile(name)
		}
		return nil
	})
}

// syncStaged makes the bytes of staged files durable.
func (a *application) syncStaged(ctx context.Context, files []Staged) error {
	stages := map[*stage]bool{}
	var staged []*stagedFile
	for _, f := range files {
		if f.at != nil {
			staged = append(staged, f.at)
			stages[f.at.stage] = true
		}
	}
	if a.relaxed || len(staged) == 0 {
		return ctx.Err()
	}
	if len(staged) > syncOneByOne {
		// Each from its stage, which was opened before the files were written: so
		// no failure to write them can be missed.
		var err error
		for s := range stages {
			err = errors.Join(err, s.SyncAll())
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return errors.Join(err, ctx.Err())
		}
	}
	return atOnce(ctx, staged, func(f *stagedFile) error {
		err := f.SyncFile(f.name)
		if errors.Is(err, fs.ErrNotExist) { // used up; publishing settles that
			return nil
		}
		return err
	})
}

// syncOneByOne is up to how many files or folders are synced each for itself.
// Beyond, one call for the whole file system is cheaper (docs/BENCHMARKS.md).
const syncOneByOne = 8

// atOnce calls f for each of several things to sync, a few at a time: the disk
// serves many that wait for it as fast as one. It returns the first error.
func atOnce[T any](ctx context.Context, things []T, f func(T) error) error {
	work := make(chan T)
	var once sync.Once
	var failed error
	var running sync.WaitGroup
	for range min(len(things), syncOneByOne) {
		running.Go(func() {
			for t := range work {
				if err := f(t); err != nil {
					once.Do(func() { failed = err })
				}
			}
		})
	}
	for _, t := range things {
		if ctx.Err() != nil {
			break
		}
		work <- t
	}
	close(work)
	running.Wait()
	return errors.Join(failed, ctx.Err())
}
