package deltalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pondworks/sluice/internal/atomicfile"
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

// Place publishes data files of version v before its commit, those that were
// staged under it. They are durable on return. It is for the many files of a
// version that a replica begins with: no version names them yet, so readers do
// not see them. Errors are those of Apply; a file of other bytes that is in the
// way wraps ErrConflict.
func (d *Dir) Place(ctx context.Context, v Version, files []Staged) (err error) {
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
	a := &application{Change: Change{Version: v, Files: files}, dir: d, root: root, touched: map[string]bool{}}
	for _, f := range files {
		if err := errors.Join(ctx.Err(), checkPath(f.Path)); err != nil {
			return err
		}
		if err := a.publishFree(f); err != nil {
			return fmt.Errorf("publish %s: %w", f.Path, err)
		}
	}
	return a.syncTouched(ctx)
}

// publishFree publishes a staged file where nothing else may be.
func (a *application) publishFree(f Staged) error {
	placed, err := a.publish(f)
	if err == nil && !placed {
		err = a.conflictAt(f)
	}
	return err
}

// checkBegin makes sure that the log has nothing but what the change may begin
// above.
func (a *application) checkBegin() error {
	l, err := readLog(a.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(l.commits) == 0 {
		return err
	}
	if newest := l.commits[len(l.commits)-1]; !a.Jump || newest > a.Version {
		return fmt.Errorf("%w: the log has version %d already and cannot begin at %d", ErrConflict, int64(newest), int64(a.Version))
	}
	return nil
}

// publishBeginning puts the files of the checkpoint into the log, sidecars
// first: a checkpoint that names one that is missing is broken.
func (a *application) publishBeginning(ctx context.Context) error {
	for _, sidecars := range []bool{true, false} {
		for _, f := range a.Checkpoint {
			if (path.Dir(f.Path) == sidecarDir) != sidecars {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := a.publishFree(f); err != nil {
				return fmt.Errorf("publish %s: %w", f.Path, err)
			}
		}
	}
	return nil
}

// publishOlder puts the files of an earlier checkpoint into the log. It is only
// a help, so where one of its names is taken the rest is left out, too.
func (a *application) publishOlder(ctx context.Context) error {
	files := slices.SortedFunc(slices.Values(a.Older), func(f, g Staged) int { // sidecars first
		return cmp.Or(cmp.Compare(len(path.Dir(g.Path)), len(path.Dir(f.Path))), cmp.Compare(f.Path, g.Path))
	})
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		placed, err := a.publish(f)
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
func (a *application) dropBelow(ctx context.Context) error {
	if !a.Jump || len(a.Checkpoint) == 0 {
		return nil
	}
	names, err := readNames(a.root, LogDir)
	if err != nil {
		return err
	}
	for _, name := range belowVersion(names, a.Version) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.root.Remove(LogDir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return atomicfile.SyncDir(a.root, LogDir)
}
