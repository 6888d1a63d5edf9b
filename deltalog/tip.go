package deltalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Tip returns the newest version, from a listing of the log. A newest commit
// that is empty or ends in the middle is not there yet. Wraps ErrNoTable if
// there is no log or no complete commit, ErrUnsupported if commits are missing
// but a checkpoint makes up for them, ErrCorrupt if nothing does.
func (d *Dir) Tip(ctx context.Context) (Version, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	root, err := d.open()
	if err != nil {
		return 0, noTable(err)
	}
	defer root.Close()
	l, err := readLog(root)
	if err != nil {
		return 0, noTable(err)
	}
	tip, err := l.tip(func(v Version) (bool, error) { return hasCommit(root, v) })
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.folder, err)
	}
	return d.complete(ctx, tip)
}

func noTable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoTable, err)
	}
	return err
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
	root, err := d.open()
	if err != nil {
		return 0, noTable(err)
	}
	defer root.Close()
	tip, sure, err := lookUpward(ctx, root, from)
	if err != nil {
		return 0, err
	}
	if !sure {
		return d.Tip(ctx)
	}
	return d.complete(ctx, tip)
}

// lookUpward finds the end of the commits that follow from without a gap. sure
// is false if from is not there or something lies above that end.
func lookUpward(ctx context.Context, root *os.Root, from Version) (tip Version, sure bool, err error) {
	there, err := hasCommit(root, from)
	if err != nil || !there {
		return 0, false, err
	}
	for tip = from; there; {
		if err := ctx.Err(); err != nil {
			return 0, false, err
		}
		if there, err = hasCommit(root, tip+1); err != nil {
			return 0, false, err
		}
		if there {
			tip++
		}
	}
	for v := tip + 2; v <= tip+1+lookAhead; v++ {
		if there, err := hasCommit(root, v); err != nil || there {
			return 0, false, err
		}
	}
	last, err := lastCheckpoint(root)
	return tip, last <= tip, err
}

// hasCommit reports whether a commit file has this name, whatever is in it.
func hasCommit(root *os.Root, v Version) (bool, error) {
	_, err := root.Lstat(v.CommitPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// maxHint bounds, in bytes, what is read of the hint file; it holds a few
// numbers and at most a schema.
const maxHint = 16 << 20

// lastCheckpoint reads the version from the hint file, 0 if the file is absent
// or makes no sense: it is only a hint.
func lastCheckpoint(root *os.Root) (Version, error) {
	f, err := root.Open(LogDir + "/_last_checkpoint")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxHint))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return 0, err
	}
	var hint struct {
		Version Version `json:"version"`
	}
	if json.Unmarshal(b, &hint) != nil {
		return 0, nil
	}
	return hint.Version, nil
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
