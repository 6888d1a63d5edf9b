package deltalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Apply publishes the staged files of c.Version and then, when all are
// durable, its commit file by exclusive create, with c.Modified as its time. The
// files of c.Checkpoint come between: a commit without the ones below it must
// never be seen before the checkpoint that makes up for them, for some engines
// would open the table with rows missing.
//
// The same version with the same commit being there already is success. Wraps
// ErrConflict if the version, or a file that another version names, is there
// with other content; fs.ErrNotExist if the version before is not there and no
// checkpoint makes up for it, or a
// file was neither staged nor published before; ErrCorrupt if c makes no sense.
//
// After a failure the version is not visible, save when the very last step
// fails, which makes its name durable; applying it again then settles it. What
// was staged may be gone after a failure. Files that were published before it
// are harmless: no version names them, and the next attempt takes them over.
func (d *Dir) Apply(ctx context.Context, c Change) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	root, err := d.make()
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := lock(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock.Close()) }()
	a := &application{Change: c, dir: d, root: root, touched: map[string]bool{}}
	return a.run(ctx)
}

// check refuses a change that no version could be.
func (c Change) check() error {
	if c.Version < 0 || c.Commit.Path != c.Version.CommitPath() {
		return fmt.Errorf("%w: %q as the commit of version %d", ErrCorrupt, c.Commit.Path, int64(c.Version))
	}
	seen := make(map[string]bool, len(c.Files))
	for _, f := range c.Files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("%w: %s is there twice", ErrCorrupt, f.Path)
		}
		seen[f.Path] = true
	}
	for _, f := range c.Checkpoint {
		if of, ok := checkpointOf(f.Path); !ok || of >= 0 && of != c.Version {
			return fmt.Errorf("%w: %s in a checkpoint of version %d", ErrCorrupt, f.Path, int64(c.Version))
		}
	}
	for _, f := range c.Older {
		if of, ok := checkpointOf(f.Path); !ok || of >= c.Version {
			return fmt.Errorf("%w: %s as part of a checkpoint below version %d", ErrCorrupt, f.Path, int64(c.Version))
		}
	}
	return nil
}

// application is one Apply at work.
type application struct {
	Change
	dir     *Dir
	root    *os.Root
	touched map[string]bool // folders whose names must be durable before the commit
}

// run is in the order that a crash at any point leaves the version either
// absent or complete: files, folders, commit.
func (a *application) run(ctx context.Context) error {
	there, err := a.isApplied()
	if err != nil {
		return err
	}
	if there {
		return errors.Join(a.removeStaged(), a.dropBelow(ctx))
	}
	if err := a.checkPrevious(); err != nil {
		return err
	}
	if err := a.publishFiles(ctx); err != nil {
		return err
	}
	if err := a.publishBeginning(ctx); err != nil {
		return err
	}
	if err := a.publishOlder(ctx); err != nil {
		return err
	}
	if err := a.makeDir(LogDir); err != nil {
		return err
	}
	if err := a.syncTouched(ctx); err != nil {
		return err
	}
	if err := a.publishCommit(); err != nil {
		return err
	}
	return a.dropBelow(ctx)
}

// isApplied reports whether the version is there with the same commit. That
// its name is durable is made sure of once more: the attempt that published it
// may have failed at just that.
func (a *application) isApplied() (bool, error) {
	got, err := hashFile(a.root, a.Commit.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && got != a.Commit.SHA256 {
		err = conflict(a.Commit, got)
	}
	if err != nil {
		return false, err
	}
	return true, atomicfile.SyncDir(a.root, LogDir)
}

func conflict(want Staged, got [sha256.Size]byte) error {
	return fmt.Errorf("%w: %s has sha256 %x, to be applied is %x", ErrConflict, want.Path, got, want.SHA256)
}

func (a *application) checkPrevious() error {
	if len(a.Checkpoint) > 0 {
		return a.checkBegin()
	}
	if a.Version == 0 {
		return nil
	}
	if _, err := a.root.Lstat((a.Version - 1).CommitPath()); err != nil {
		return fmt.Errorf("the version before: %w", err)
	}
	return nil
}

// touch notes that names on the way to a file may be new. All folders above it
// count: an attempt that crashed may have made them and not synced them.
func (a *application) touch(file string) {
	for dir := path.Dir(file); !a.touched[dir]; dir = path.Dir(dir) {
		a.touched[dir] = true // ends at ".", whose folder is "."
	}
}

func (a *application) makeDir(dir string) error {
	a.touch(dir)
	return a.root.MkdirAll(dir, 0o755)
}

// syncTouched syncs each folder once, however many files went there.
func (a *application) syncTouched(ctx context.Context) error {
	for dir := range a.touched {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := atomicfile.SyncDir(a.root, dir); err != nil {
			return err
		}
	}
	return nil
}

// publishCommit makes the version visible. The time is set before that: Delta
// reads the time of the version from it.
func (a *application) publishCommit() error {
	staged := stagePath(a.Version, a.Commit.Path, a.Commit.SHA256)
	if err := checkStaged(a.root, staged, a.Commit); err != nil {
		return err
	}
	if err := setTime(a.root, staged, a.Modified); err != nil {
		return err
	}
	if err := a.removeChecksum(a.Commit.Path); err != nil {
		return err
	}
	err := atomicfile.PublishNew(a.root, staged, a.Commit.Path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Somebody who does not know the lock was faster, such as the host itself.
	_, err = a.isApplied()
	return err
}

// setTime durably sets the modification time of a file.
func setTime(root *os.Root, name string, t time.Time) error {
	if err := root.Chtimes(name, time.Time{}, t); err != nil {
		return err
	}
	return syncFile(root, name)
}

// syncFile makes a file's bytes and time durable. Windows does not sync what is
// open only for reading.
func syncFile(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// removeStaged removes what was staged for a version that turned out to be
// there already.
func (a *application) removeStaged() error {
	for _, f := range slices.Concat(a.Files, a.Checkpoint, a.Older, []Staged{a.Commit}) {
		err := a.root.Remove(stagePath(a.Version, f.Path, f.SHA256))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
