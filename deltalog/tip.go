package deltalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listing is what the names in a log's folder say.
type listing struct {
	commits     []Version // ascending
	checkpoints []Version // ascending, each once; parts are not counted
}

// readLog lists the log. What is neither commit nor checkpoint is ignored:
// temporary files, checksums, compacted logs, staged commits.
func readLog(root *os.Root) (listing, error) {
	names, err := readNames(root, LogDir)
	if err != nil {
		return listing{}, err
	}
	var l listing
	for _, name := range names {
		if v, ok := ParseCommitName(name); ok {
			l.commits = append(l.commits, v)
		} else if v, ok := parseCheckpointName(name); ok {
			l.checkpoints = append(l.checkpoints, v)
		}
	}
	slices.Sort(l.commits)
	slices.Sort(l.checkpoints)
	l.checkpoints = slices.Compact(l.checkpoints)
	return l, nil
}

// parseCheckpointName recognises the checkpoints of all kinds: 20 digits,
// ".checkpoint." and an end in ".parquet" or ".json" (Delta protocol,
// "Checkpoints").
func parseCheckpointName(name string) (Version, bool) {
	digits, rest, found := strings.Cut(name, ".checkpoint.")
	if !found || len(digits) != 20 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	if rest != "parquet" && !strings.HasSuffix(rest, ".parquet") && !strings.HasSuffix(rest, ".json") {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return Version(n), err == nil
}

// check returns the newest version of a log that is complete from version 0.
func (l listing) check() (Version, error) {
	for i, v := range l.commits {
		if v != Version(i) {
			return 0, l.hole(Version(i), v)
		}
	}
	if len(l.commits) > 0 {
		return l.commits[len(l.commits)-1], nil
	}
	if len(l.checkpoints) > 0 {
		return 0, l.hole(0, l.checkpoints[0])
	}
	return 0, ErrNoTable
}

// hole says why the commits from missing to before next are not there. The
// first checkpoint at or above them is where a reader of this log begins.
func (l listing) hole(missing, next Version) error {
	for _, c := range l.checkpoints {
		if c >= missing {
			return fmt.Errorf("%w: the log lacks commit %d and begins anew at checkpoint %d; only logs that are complete from version 0 can be copied so far", ErrUnsupported, int64(missing), int64(c))
		}
	}
	return fmt.Errorf("%w: the log lacks commit %d, but has %d", ErrCorrupt, int64(missing), int64(next))
}

// Tip returns the newest version, from a listing of the log. A newest commit
// that is empty or ends in the middle is not there yet. Wraps ErrNoTable if
// there is no log, ErrUnsupported if the log does not begin at version 0 or
// has a hole that a checkpoint bridges, ErrCorrupt if it has a hole that
// nothing does.
func (d *Dir) Tip(ctx context.Context) (Version, error) {
	root, err := d.open()
	if err != nil {
		return 0, noTable(err)
	}
	defer root.Close()
	l, err := readLog(root)
	if err != nil {
		return 0, noTable(err)
	}
	tip, err := l.check()
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
	err = eachValue(f, func([]byte) error { return nil })
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case !errors.Is(err, ErrIncomplete):
		return tip, err
	case tip == 0:
		return 0, fmt.Errorf("%w: commit 0 is not complete yet", ErrNoTable)
	}
	return tip - 1, nil
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
	if !hasCommit(root, from) {
		return d.Tip(ctx)
	}
	tip := from
	for hasCommit(root, tip+1) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		tip++
	}
	for v := tip + 2; v <= tip+1+lookAhead; v++ {
		if hasCommit(root, v) {
			return d.Tip(ctx)
		}
	}
	if lastCheckpoint(root) > tip {
		return d.Tip(ctx)
	}
	return d.complete(ctx, tip)
}

func hasCommit(root *os.Root, v Version) bool {
	_, err := root.Lstat(v.CommitPath())
	return err == nil
}

// lastCheckpoint reads the version from the hint file, 0 if it is absent or
// broken: it only makes TipFrom more careful.
func lastCheckpoint(root *os.Root) Version {
	b, err := root.ReadFile(LogDir + "/_last_checkpoint")
	if err != nil {
		return 0
	}
	var hint struct {
		Version Version `json:"version"`
	}
	if json.Unmarshal(b, &hint) != nil {
		return 0
	}
	return hint.Version
}
