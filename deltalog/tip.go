package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Tip returns the newest version, from a listing of the log. A newest commit
// that is empty or ends in the middle is not there yet. Wraps ErrNoTable if
// there is no log or no complete commit, ErrCorrupt if commits are missing and no
// complete checkpoint makes up for them, ErrUnsupported if one does but no commit
// follows.
func (d *Dir) Tip(ctx context.Context) (Version, error) {
	tip, err := FindTip(ctx, dirLog{d})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.folder, err)
	}
	return d.complete(ctx, tip)
}

// Start returns the oldest version at which a reader of the log can begin and
// go on to the newest one: 0 if all commits are there, else the first above the
// hole that has its commit and a complete checkpoint, which may be that of the
// version before. Errors are those of Tip.
func (d *Dir) Start(ctx context.Context) (Version, error) {
	start, err := FindStart(ctx, dirLog{d})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.folder, err)
	}
	return start, nil
}

// complete returns tip, or the version before if the commit of tip is not
// wholly there yet.
func (d *Dir) complete(ctx context.Context, tip Version) (Version, error) {
	f, err := d.OpenCommit(ctx, tip)
	if err != nil {
		return 0, err
	}
	err = eachValue(contextReader{ctx, f}, func([]byte) error { return nil })
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case errors.Is(err, ErrIncomplete) && tip == 0:
		return 0, fmt.Errorf("%w: commit 0 is not complete yet", ErrNoTable)
	case errors.Is(err, ErrIncomplete):
		return tip - 1, nil
	case errors.Is(err, ErrCorrupt):
		return tip, nil // it is there; whoever reads it learns what is wrong
	}
	return tip, err
}

// lookAhead is how many names above the end are tried to notice a hole.
const lookAhead = 8

// TipFrom does what Tip does by looking upward from version from, which costs
// the same however long the log is. If from is not there, or a commit above the
// end or the last checkpoint says that the end is a hole, it lists.
func (d *Dir) TipFrom(ctx context.Context, from Version) (Version, error) {
	folder, release, err := d.reading(ctx)
	if err != nil {
		return 0, noTable(err)
	}
	defer release()
	tip, sure, err := lookUpward(ctx, folder, from)
	if err != nil {
		return 0, err
	}
	last, err := d.LastCheckpoint(ctx)
	if err != nil {
		return 0, err
	}
	if !sure || last > tip {
		return d.Tip(ctx)
	}
	return d.complete(ctx, tip)
}

// lookUpward finds the end of the commits that follow from without a gap. sure
// is false if from is not there or something lies above that end.
func lookUpward(ctx context.Context, folder *atomicfile.Held, from Version) (tip Version, sure bool, err error) {
	there, err := hasCommit(folder, from)
	if err != nil || !there {
		return 0, false, err
	}
	for tip = from; there; {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		if there, err = hasCommit(folder, tip+1); err != nil {
			return 0, false, err
		}
		if there {
			tip++
		}
	}
	for v := tip + 2; v <= tip+1+lookAhead; v++ {
		if there, err := hasCommit(folder, v); err != nil || there {
			return 0, false, err
		}
	}
	return tip, true, nil
}

// hasCommit reports whether a commit file has this name, whatever is in it.
func hasCommit(folder *atomicfile.Held, v Version) (bool, error) {
	_, err := folder.Lstat(v.CommitPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// LastCheckpoint returns the version of the newest checkpoint as the hint file
// has it, 0 if there is none or the file is absent or makes no sense.
func (d *Dir) LastCheckpoint(ctx context.Context) (Version, error) {
	return ReadLastCheckpoint(ctx, dirLog{d})
}

// versions returns the versions that the log has, ascending; none if there is
// no log.
func (d *Dir) versions() ([]Version, error) {
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	l, err := readLog(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return l.commits, err
}
