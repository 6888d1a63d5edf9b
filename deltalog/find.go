package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// FindTip returns the newest version of a log, whatever is in its commit. It
// lists from the last checkpoint on, and all of the log only where that leaves a
// doubt. Errors are those of Dir.Tip.
func FindTip(ctx context.Context, log LogFiles) (Version, error) {
	last, err := ReadLastCheckpoint(ctx, log)
	if err != nil {
		return 0, err
	}
	l, err := listFrom(ctx, log, last)
	if err != nil {
		return 0, err
	}
	if tip, sure := l.endFrom(last); sure && (last == 0 || l.hasCheckpoint(last)) {
		return tip, nil
	}
	_, tip, err := span(ctx, log)
	return tip, err
}

// FindTipFrom is FindTip for a caller who knows a version that is probably
// there: it lists from that one on.
func FindTipFrom(ctx context.Context, log LogFiles, from Version) (Version, error) {
	l, err := listFrom(ctx, log, from)
	if err != nil {
		return 0, err
	}
	if tip, sure := l.endFrom(from); sure {
		return tip, nil
	}
	return FindTip(ctx, log)
}

// FindStart is Dir.Start for a table that lies elsewhere.
func FindStart(ctx context.Context, log LogFiles) (Version, error) {
	start, _, err := span(ctx, log)
	return start, err
}

// span returns where a reader can begin, and the newest version.
func span(ctx context.Context, log LogFiles) (start, tip Version, err error) {
	l, err := listFrom(ctx, log, 0)
	if err != nil {
		return 0, 0, err
	}
	r, err := l.newestRun(func(v Version) (bool, error) { return opens(ctx, log, v) })
	if err != nil {
		return 0, 0, err
	}
	start, err = l.start(r)
	return start, r.last, err
}

func listFrom(ctx context.Context, log LogFiles, from Version) (listing, error) {
	names, err := log.Names(ctx, from)
	if err != nil {
		return listing{}, noTable(err)
	}
	return newListing(names).from(from), nil
}

// opens reports whether a commit is there, by opening it.
func opens(ctx context.Context, log LogFiles, v Version) (bool, error) {
	f, err := log.Open(ctx, v.CommitPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

func noTable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoTable, err)
	}
	return err
}

// ReadLastCheckpoint is Dir.LastCheckpoint for a table that lies elsewhere.
func ReadLastCheckpoint(ctx context.Context, log LogFiles) (Version, error) {
	f, err := log.Open(ctx, LastCheckpointPath)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	h, err := readHint(contextReader{ctx, f})
	return max(h.Version, 0), errors.Join(err, f.Close())
}
