package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// checkpointOf reports whether path is that of a checkpoint's file in the log,
// and of which version: -1 for a sidecar, whose name does not tell.
func checkpointOf(p string) (v Version, ok bool) {
	dir, name := path.Split(p)
	switch dir {
	case LogDir + "/":
		c, ok := parseCheckpointName(name)
		return c.version, ok
	case sidecarDir + "/":
		return -1, strings.HasSuffix(name, ".parquet") && name[0] != '.'
	}
	return 0, false
}

// sidecars returns those of a checkpoint's files that readers do not see before
// the checkpoint names them.
func sidecars(checkpoint []Staged) []Staged {
	var found []Staged
	for _, f := range checkpoint {
		if path.Dir(f.Path) == sidecarDir {
			found = append(found, f)
		}
	}
	return found
}

// Place publishes data files before the commit that names them. They are
// durable on return, unless relaxed, as in Batch. It is for the many files of a
// version that a replica begins with, or of one that brings too many for a Change: no
// version names them yet, so readers do not see them. Errors are those of Apply; a file
// of other bytes that is in the way wraps ErrConflict, and nothing is replaced. Apply
// takes all files of such a call still, and replaces what it may.
func (d *Dir) Place(ctx context.Context, files []Staged, relaxed bool) error {
	for _, f := range files {
		if err := errors.Join(checkPath(f.Path), f.check()); err != nil {
			return err
		}
	}
	return d.work(ctx, relaxed, func(a *application) error {
		if err := a.syncStaged(ctx, files); err != nil {
			return err
		}
		none := &Change{}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := a.publishFree(none, f); err != nil {
				return err
			}
		}
		return a.syncTouched(ctx)
	})
}

// publishFree publishes a staged file where nothing else may be.
func (a *application) publishFree(c *Change, f Staged) error {
	placed, err := a.publish(c, f)
	if err == nil && !placed {
		err = a.conflictAt(f)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", f.Path, err)
	}
	return nil
}

// checkBegin makes sure that the log has nothing but what the change may begin
// above.
func (a *application) checkBegin(c *Change) error {
	names, err := readNames(a.root, LogDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.CheckBegin(names)
}

// publishBeginning puts the files of the checkpoint into the log, durable before
// the commit is seen. Its sidecars are there already: a checkpoint that names one
// that is missing is broken.
func (a *application) publishBeginning(c *Change) error {
	if len(c.Checkpoint) == 0 {
		return nil
	}
	for _, f := range c.Checkpoint {
		if path.Dir(f.Path) == sidecarDir {
			continue
		}
		if err := a.publishFree(c, f); err != nil {
			return err
		}
	}
	return a.syncLog()
}

// publishOlder puts the files of an earlier checkpoint into the log, whose
// version is visible by now. It is only a help, so where one of its names is
// taken the rest is left out, too.
func (a *application) publishOlder(c *Change) error {
	for _, f := range SidecarsFirst(c.Older) {
		placed, err := a.publish(c, f)
		if err != nil {
			return fmt.Errorf("publish %s: %w", f.Path, err)
		}
		if !placed {
			return nil
		}
	}
	return nil
}

// dropBelow removes from the log what lies below a version that it jumped to, as
// metadata cleanup does. The newest checkpoint makes the log whole at any moment
// of it.
func (a *application) dropBelow(ctx context.Context, c *Change) error {
	if !c.Jump {
		return nil
	}
	names, err := readNames(a.root, LogDir)
	if err != nil {
		return err
	}
	for _, name := range c.Below(names) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.root.Remove(LogDir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return a.syncLog()
}
