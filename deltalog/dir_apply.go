package deltalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Apply publishes versions in order: the files of all, and when these are
// durable their commit files, each by exclusive create and with Change.Modified
// as its time. The files of a Change.Checkpoint come between: a commit without the
// ones below it must never be seen before the checkpoint that makes up for them,
// for some engines would open the table with rows missing.
//
// It returns how many of the changes are visible, also with an error, which is
// about the first of the others. The same version with the same commit being
// there already is success, and so is a file with the same bytes. Wraps
// ErrConflict if the version, or a file that another version names, is there
// with other content; fs.ErrNotExist if the version before is not there and no
// checkpoint makes up for it, or a file was neither staged nor published
// before; ErrCorrupt if the batch makes no sense.
//
// All is durable on return, unless Batch.Relaxed; if only that fails, the error
// comes with all versions visible, and applying them again settles it. What was
// staged for a version that failed may be used up. Files that were published
// before it are harmless: no version names them, and the next attempt takes them
// over.
func (d *Dir) Apply(ctx context.Context, b Batch) (applied int, err error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	err = d.work(ctx, b.Relaxed, func(a *application) error {
		applied, err = a.run(ctx, b.Changes)
		return err
	})
	return applied, err
}

// application is one Apply or Place at work.
type application struct {
	dir     *Dir
	root    *atomicfile.Root
	relaxed bool
	folders map[string]*atomicfile.Folder // open ones
	touched map[string]bool               // folders whose names must be durable before a commit

	bulk bool // there is so much to do that listing folders pays
}

// work lets f work on the table's folder, alone.
func (d *Dir) work(ctx context.Context, relaxed bool, f func(*application) error) (err error) {
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
	a := &application{dir: d, root: root, relaxed: relaxed, folders: map[string]*atomicfile.Folder{}, touched: map[string]bool{}}
	defer func() { err = errors.Join(err, a.closeFolders()) }()
	if err = f(a); err != nil && !relaxed {
		d.broken.Store(true)
	}
	return err
}

// Check refuses a batch that no run of versions could be, with an error wrapping
// ErrCorrupt or ErrUnsupported.
func (b Batch) Check() error {
	for i := range b.Changes {
		c := &b.Changes[i]
		if err := c.check(); err != nil {
			return err
		}
		if i == 0 {
			continue
		}
		if before := b.Changes[i-1].Version; c.Version != before+1 && (c.Version <= before || len(c.Checkpoint) == 0) {
			return fmt.Errorf("%w: version %d follows %d in a batch", ErrCorrupt, int64(c.Version), int64(before))
		}
	}
	return nil
}

// check refuses a change that no version could be.
func (c *Change) check() error {
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
	for _, f := range c.All() {
		if err := f.check(); err != nil {
			return err
		}
	}
	return nil
}

// check makes sure that what was staged is what is to be published.
func (f Staged) check() error {
	if f.at == nil {
		return nil
	}
	is := f.at.is
	if is.Path != f.Path || is.Size != f.Size || is.SHA256 != f.SHA256 {
		return fmt.Errorf("%w: %s of %d bytes, sha256 %x, was staged as %s of %d bytes, sha256 %x", ErrCorrupt, f.Path, f.Size, f.SHA256, is.Path, is.Size, is.SHA256)
	}
	return nil
}

// bulkChanges is from how many versions on a batch pays for listing the log.
const bulkChanges = 64

// run applies the changes in rounds. One is enough, unless a version begins the
// log or has something in its way: then all below it must be visible first.
func (a *application) run(ctx context.Context, changes []Change) (applied int, err error) {
	a.bulk = len(changes) > bulkChanges
	for applied < len(changes) && err == nil {
		var n int
		n, err = a.round(ctx, changes[applied:])
		applied += n
	}
	return applied, err
}

// round applies the first change and as many of the others as can go with it.
// The order is such that a crash at any point leaves each version either absent
// or complete: bytes, files, folders, commits. Bytes come first, so that no name
// is ever seen, after a crash, on half a file.
func (a *application) round(ctx context.Context, changes []Change) (int, error) {
	first := &changes[0]
	there, err := a.isApplied(first)
	if err != nil {
		return 0, err
	}
	if there {
		return 1, errors.Join(removeStaged(first.All()), a.dropBelow(ctx, first))
	}
	if err := a.checkPrevious(first); err != nil {
		return 0, err
	}
	placed, err := a.placeAll(ctx, changes)
	if placed == 0 || ctx.Err() != nil {
		return 0, errors.Join(err, ctx.Err())
	}
	n, cerr := a.commitAll(ctx, changes[:placed])
	if cerr != nil {
		return n, cerr
	}
	return n, err
}

// placeAll puts the files of changes in place. placed says how many of the
// changes have theirs; an error is about the one after these.
func (a *application) placeAll(ctx context.Context, changes []Change) (placed int, err error) {
	ready, err := setTimes(changes)
	if ready == 0 {
		return 0, err
	}
	var files []Staged
	for i := range changes[:ready] {
		files = append(files, changes[i].All()...)
	}
	if serr := a.syncStaged(ctx, files); serr != nil {
		return 0, serr
	}
	for i := range changes[:ready] {
		switch done, perr := a.publishFiles(ctx, &changes[i], i == 0); {
		case perr != nil:
			return i, perr
		case !done:
			return i, nil
		}
	}
	return ready, err
}

// setTimes gives the staged commits their times, before anybody sees them: Delta
// reads the time of a version from it. It returns how many have theirs, and the
// error of the one after these.
func setTimes(changes []Change) (int, error) {
	for i := range changes {
		c := &changes[i]
		if c.Commit.at == nil {
			return i, fmt.Errorf("%s was not staged: %w", c.Commit.Path, fs.ErrNotExist)
		}
		if err := c.Commit.at.SetTime(c.Commit.at.name, c.Modified); err != nil {
			return i, fmt.Errorf("%s: %w", c.Commit.Path, err)
		}
	}
	return len(changes), nil
}

// commitAll makes the versions visible, whose files are in place, and returns
// how many are. That a log's folder keeps the order of names, so that a crash of
// the system leaves no hole in it, is asked of the file system, as all do that
// have a journal or never change in place.
func (a *application) commitAll(ctx context.Context, changes []Change) (n int, err error) {
	if _, err := a.folder(LogDir); err != nil { // it may be new
		return 0, err
	}
	if err := a.syncTouched(ctx); err != nil {
		return 0, err
	}
	for i := range changes {
		if err = a.commit(&changes[i]); err != nil {
			break
		}
		n++
	}
	if n > 0 {
		err = errors.Join(err, a.syncLog())
	}
	for i := range changes[:n] {
		err = errors.Join(err, a.dropBelow(ctx, &changes[i]))
	}
	return n, err
}

// commit makes one version visible.
func (a *application) commit(c *Change) error {
	if err := a.publishBeginning(c); err != nil {
		return err
	}
	if err := a.publishOlder(c); err != nil {
		return err
	}
	if err := a.removeChecksum(c, c.Commit.Path); err != nil {
		return err
	}
	log, err := a.folder(LogDir)
	if err != nil {
		return err
	}
	err = c.Commit.at.MoveNew(c.Commit.at.name, log, path.Base(c.Commit.Path))
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Somebody who does not know the lock was faster, such as the host itself.
	if _, err := a.isApplied(c); err != nil {
		return err
	}
	return removeStaged([]Staged{c.Commit})
}

// isApplied reports whether the version is there with the same commit. That
// its name is durable is made sure of once more: the attempt that published it
// may have failed at just that.
func (a *application) isApplied(c *Change) (bool, error) {
	got, err := hashFile(a.root, c.Commit.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && got != c.Commit.SHA256 {
		err = conflict(c.Commit, got)
	}
	if err != nil {
		return false, err
	}
	return true, a.syncLog()
}

// syncLog makes the names in the log durable.
func (a *application) syncLog() error {
	if a.relaxed {
		return nil
	}
	log, err := a.folder(LogDir)
	if err != nil {
		return err
	}
	return log.Sync()
}

func conflict(want Staged, got [sha256.Size]byte) error {
	return fmt.Errorf("%w: %s has sha256 %x, to be applied is %x", ErrConflict, want.Path, got, want.SHA256)
}

func (a *application) checkPrevious(c *Change) error {
	if len(c.Checkpoint) > 0 {
		return a.checkBegin(c)
	}
	if c.Version == 0 {
		return nil
	}
	if _, err := a.root.Lstat((c.Version - 1).CommitPath()); err != nil {
		return fmt.Errorf("the version before: %w", err)
	}
	return nil
}

// removeStaged removes what was staged for nothing, because it turned out to be
// there already.
func removeStaged(files []Staged) error {
	for _, f := range files {
		if f.at == nil {
			continue
		}
		if err := f.at.Remove(f.at.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
