package deltalog

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listing is what the names in a log's folder say.
type listing struct {
	commits     []Version // ascending
	checkpoints []Version // complete ones, ascending, each once
	partial     bool      // there are parts of checkpoints
}

// readLog lists the log by its names alone. What is neither commit nor
// checkpoint is ignored: temporary files, checksums, compacted logs, staged
// commits. The error wraps fs.ErrNotExist if there is no log.
func readLog(root *os.Root) (listing, error) {
	names, err := readNames(root, LogDir)
	if err != nil {
		return listing{}, err
	}
	return newListing(names), nil
}

func newListing(names []string) listing {
	var l listing
	parts := map[checkpointParts]int{} // how many of them are there
	for _, name := range names {
		if v, ok := ParseCommitName(name); ok {
			l.commits = append(l.commits, v)
		} else if c, ok := parseCheckpointName(name); ok {
			parts[c]++
		}
	}
	for c, n := range parts {
		l.partial = true
		if n == c.of {
			l.checkpoints = append(l.checkpoints, c.version)
		}
	}
	slices.Sort(l.commits)
	slices.Sort(l.checkpoints)
	l.commits = slices.Compact(l.commits)
	l.checkpoints = slices.Compact(l.checkpoints)
	return l
}

// checkpointParts identifies a set of files that together are one checkpoint.
type checkpointParts struct {
	version Version
	of      int    // how many files belong to it
	unique  string // tells apart the checkpoints of one version that have a uuid
}

// parseCheckpointName recognises the files of checkpoints of all kinds (Delta
// protocol, "Checkpoints"): N.checkpoint.parquet, N.checkpoint.<part>.<of>.parquet
// with ten digits each, and N.checkpoint.<uuid>.json or .parquet.
func parseCheckpointName(name string) (c checkpointParts, ok bool) {
	digits, rest, found := strings.Cut(name, ".checkpoint.")
	if !found {
		return c, false
	}
	if c.version, ok = ParseCommitName(digits + ".json"); !ok {
		return c, false
	}
	c.of = 1
	elements := strings.Split(rest, ".")
	switch kind := elements[len(elements)-1]; {
	case len(elements) == 1:
		return c, kind == "parquet"
	case len(elements) == 2:
		c.unique = elements[0]
		return c, len(c.unique) == len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") && (kind == "parquet" || kind == "json")
	case len(elements) == 3 && len(elements[0]) == 10 && len(elements[1]) == 10 && kind == "parquet":
		part, err1 := strconv.Atoi(elements[0])
		of, err2 := strconv.Atoi(elements[1])
		c.of = of
		return c, err1 == nil && err2 == nil && 1 <= part && part <= of
	}
	return c, false
}

// tip returns the newest version of a log that is complete from version 0.
// has says whether a commit is there all the same: a listing that is taken
// while commits appear may miss one (POSIX leaves that open).
func (l listing) tip(has func(Version) (bool, error)) (Version, error) {
	first, start := Version(-1), Version(0) // the first missing commit; where the last run without a hole begins
	next := Version(0)
	for _, v := range append(l.commits, l.beyond()...) {
		for ; next < v; next++ {
			there, err := has(next)
			if err != nil {
				return 0, err
			}
			if !there {
				if first < 0 {
					first = next
				}
				start, next = v, v
				break
			}
		}
		next++
	}
	switch {
	case first >= 0:
		return 0, l.hole(first, start)
	case len(l.commits) > 0:
		return l.commits[len(l.commits)-1], nil
	case l.partial:
		return 0, fmt.Errorf("%w: the log has no commit and no complete checkpoint", ErrCorrupt)
	}
	return 0, ErrNoTable
}

// beyond returns the version above the newest checkpoint, if the checkpoint
// lies above all commits: there must have been commits up to its version.
func (l listing) beyond() []Version {
	if len(l.checkpoints) == 0 {
		return nil
	}
	newest := l.checkpoints[len(l.checkpoints)-1]
	if len(l.commits) > 0 && newest <= l.commits[len(l.commits)-1] {
		return nil
	}
	return []Version{newest + 1}
}

// hole says what can be made of a log whose commits are complete only from
// start on, the first that it lacks being missing. A reader of it begins at a
// checkpoint that no hole follows.
func (l listing) hole(missing, start Version) error {
	for _, c := range l.checkpoints {
		if c >= start-1 {
			return fmt.Errorf("%w: the log begins at checkpoint %d and lacks commit %d; only a log that is complete from version 0 can be copied so far", ErrUnsupported, int64(c), int64(missing))
		}
	}
	return fmt.Errorf("%w: the log lacks commit %d", ErrCorrupt, int64(missing))
}
