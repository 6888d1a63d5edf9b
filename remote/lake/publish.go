package lake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// publish creates the object of a staged file. One that is there already must
// have the same bytes, else the error wraps deltalog.ErrConflict: an object is
// never half-written, so other bytes are somebody else's.
func (t *Table) publish(ctx context.Context, f deltalog.Staged) error {
	err := t.create(ctx, f)
	if errors.Is(err, storage.ErrExists) {
		err = t.requireSame(ctx, f)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", f.Path, asTable(err))
	}
	return t.spool.drop(f)
}

// create returns an error that wraps storage.ErrExists if the key is taken,
// whatever is there.
func (t *Table) create(ctx context.Context, f deltalog.Staged) error {
	file, err := t.spool.open(f)
	if errors.Is(err, fs.ErrNotExist) {
		// An attempt that was broken off may have published it.
		if there, ierr := t.isThere(ctx, f.Path); ierr != nil || !there {
			return errors.Join(ierr, err)
		}
		return storage.ErrExists
	}
	if err != nil {
		return err
	}
	err = t.store.Create(ctx, f.Path, file, f.Size)
	return errors.Join(err, file.Close())
}

func (t *Table) isThere(ctx context.Context, key string) (bool, error) {
	r, err := t.open(ctx, key, 0, 1)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// requireSame returns an error wrapping deltalog.ErrConflict unless the object
// has the bytes of f.
func (t *Table) requireSame(ctx context.Context, f deltalog.Staged) error {
	got, err := t.hash(ctx, f.Path)
	if err == nil && got != f.SHA256 {
		err = fmt.Errorf("%w: %s has sha256 %x, to be applied is %x", deltalog.ErrConflict, f.Path, got, f.SHA256)
	}
	return err
}

func (t *Table) hash(ctx context.Context, key string) (sum [sha256.Size]byte, err error) {
	r, err := t.open(ctx, key, 0, -1)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}

// publishAll publishes files in parallel, and ends at the first error.
func (t *Table) publishAll(ctx context.Context, files []deltalog.Staged) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(t.opts.Concurrency)
	for _, f := range files {
		if gctx.Err() != nil {
			break
		}
		group.Go(func() error { return t.publish(gctx, f) })
	}
	return errors.Join(group.Wait(), ctx.Err())
}

// publishEach publishes the files of all changes in parallel, and returns how
// many of the changes have all of theirs before one has not, and why. What comes
// after a failure is not begun.
func (t *Table) publishEach(ctx context.Context, changes []deltalog.Change) (int, error) {
	var mu sync.Mutex // guards what follows
	placed, failed := len(changes), error(nil)
	wanted := func(i int) bool {
		mu.Lock()
		defer mu.Unlock()
		return i < placed
	}
	var group errgroup.Group
	group.SetLimit(t.opts.Concurrency)
	begun := map[spoolKey]bool{} // a later change may bring the same file again
	for i := range changes {
		for _, f := range changes[i].Files {
			if begun[keyOf(f)] {
				continue
			}
			begun[keyOf(f)] = true
			group.Go(func() error {
				if !wanted(i) {
					return nil
				}
				err := t.publish(ctx, f)
				mu.Lock()
				defer mu.Unlock()
				if err != nil && i < placed {
					placed, failed = i, err
				}
				return nil
			})
		}
	}
	err := group.Wait()
	return placed, errors.Join(err, failed)
}

// Place publishes data files before the commit that names them, as
// deltalog.Dir.Place does. They are durable on return, relaxed or not.
func (t *Table) Place(ctx context.Context, files []deltalog.Staged, _ bool) error {
	for _, f := range files {
		if err := errors.Join(deltalog.CheckPath(f.Path), checkPath(f.Path)); err != nil {
			return err
		}
	}
	return t.publishAll(ctx, files)
}

// deleteAll deletes files of the log by their names.
func (t *Table) deleteAll(ctx context.Context, names []string) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(t.opts.Concurrency)
	for _, name := range names {
		if gctx.Err() != nil {
			break
		}
		group.Go(func() error { return t.deleter.Delete(gctx, deltalog.LogDir+"/"+name) })
	}
	return errors.Join(group.Wait(), ctx.Err())
}
