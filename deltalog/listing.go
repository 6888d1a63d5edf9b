package deltalog

import (
	"fmt"
	"slices"

	"github.com/pondworks/sluice/internal/atomicfile"
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
func readLog(root *atomicfile.Root) (listing, error) {
	names, err := readNames(root, LogDir)
	if err != nil {
		return listing{}, err
	}
	return newListing(names), nil
}

func newListing(names []string) listing {
	var l listing
	for _, name := range names {
		if v, ok := ParseCommitName(name); ok {
			l.commits = append(l.commits, v)
		}
	}
	slices.Sort(l.commits)
	l.commits = slices.Compact(l.commits)
	complete, partial := namedCheckpoints(names)
	l.partial = partial
	for _, c := range complete {
		l.checkpoints = append(l.checkpoints, c.Version)
	}
	l.checkpoints = slices.Compact(l.checkpoints)
	return l
}

// from returns what the listing says of the versions from v on.
func (l listing) from(v Version) listing {
	below := func(of Version) bool { return of < v }
	l.commits = slices.DeleteFunc(l.commits, below)
	l.checkpoints = slices.DeleteFunc(l.checkpoints, below)
	return l
}

func (l listing) hasCheckpoint(v Version) bool {
	_, found := slices.BinarySearch(l.checkpoints, v)
	return found
}

// newestCheckpoint returns the version of the newest one up to v, 0 if there is
// none.
func (l listing) newestCheckpoint(v Version) Version {
	i, found := slices.BinarySearch(l.checkpoints, v)
	switch {
	case found:
		return v
	case i == 0:
		return 0
	}
	return l.checkpoints[i-1]
}

// endFrom returns the newest version of a listing from version from on. sure is
// false if from is not there or something says that there are versions missing.
func (l listing) endFrom(from Version) (tip Version, sure bool) {
	if len(l.commits) == 0 || l.commits[0] != from || len(l.beyond()) > 0 {
		return 0, false
	}
	tip = l.commits[len(l.commits)-1]
	return tip, tip-from == Version(len(l.commits)-1)
}

// run is what the commits of a log amount to: the last of them without a hole
// below.
type commitRun struct {
	first, last Version // last < first: a checkpoint lies above all commits
	missing     Version // the lowest commit that is missing, -1 if none is
}

// newestRun returns the newest run of commits without a hole. has says whether a
// commit is there all the same: a listing that is taken while commits appear may
// miss one (POSIX leaves that open).
func (l listing) newestRun(has func(Version) (bool, error)) (commitRun, error) {
	if len(l.commits) == 0 && !l.partial {
		return commitRun{}, ErrNoTable
	}
	r := commitRun{missing: -1, last: -1}
	next := Version(0)
	for _, v := range append(slices.Clone(l.commits), l.beyond()...) {
		for ; next < v; next++ {
			there, err := has(next)
			if err != nil {
				return commitRun{}, err
			}
			if !there {
				if r.missing < 0 {
					r.missing = next
				}
				r.first, next = v, v
				break
			}
		}
		next++
	}
	if len(l.commits) > 0 {
		r.last = l.commits[len(l.commits)-1]
	}
	return r, nil
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

// start returns the oldest version of r at which a reader can begin: 0, or one
// that a complete checkpoint makes up for what is missing below, its own or that
// of the version before.
func (l listing) start(r commitRun) (Version, error) {
	if r.missing < 0 && r.first <= r.last {
		return 0, nil
	}
	for _, c := range l.checkpoints {
		switch {
		case c+1 < r.first:
		case r.first > r.last:
			return 0, fmt.Errorf("%w: the log has checkpoint %d and no commit from there on, which only some engines can open", ErrUnsupported, int64(c))
		default:
			return max(c, r.first), nil
		}
	}
	if len(l.commits) == 0 {
		return 0, fmt.Errorf("%w: the log has no commit and no complete checkpoint", ErrCorrupt)
	}
	return 0, fmt.Errorf("%w: the log lacks commit %d", ErrCorrupt, int64(r.missing))
}
