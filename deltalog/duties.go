package deltalog

import (
	"cmp"
	"fmt"
	"path"
	"slices"
)

// What follows are decisions that do not depend on where a table lies. Dir makes
// them so; a table elsewhere does the same.

// CheckPath returns nil for the decoded path of a data file or of a checkpoint's
// file, and else the error of DecodePath.
func CheckPath(p string) error {
	if _, ok := checkpointOf(p); ok {
		return nil
	}
	return checkPath(p)
}

// IsLogFile reports whether p is the path of a commit or of a checkpoint's file.
func IsLogFile(p string) bool {
	_, isCommit := ParseCommitPath(p)
	_, isCheckpoint := checkpointOf(p)
	return isCommit || isCheckpoint
}

// CheckBegin makes sure that a log, whose names these are, has nothing but what
// the change may begin above, and else wraps ErrConflict.
func (c *Change) CheckBegin(names []string) error {
	l := newListing(names)
	if len(l.commits) == 0 {
		return nil
	}
	if newest := l.commits[len(l.commits)-1]; !c.Jump || newest > c.Version {
		return fmt.Errorf("%w: the log has version %d already and cannot begin at %d", ErrConflict, int64(newest), int64(c.Version))
	}
	return nil
}

// Below returns those names in a log that are to be removed once the change is
// visible, because it jumped over them: first the hint, if it is there, which may
// point at one of the others, and then these, oldest first. The checkpoint of the
// change makes the log whole at any moment of it.
func (c *Change) Below(names []string) []string {
	if !c.Jump || len(c.Checkpoint) == 0 {
		return nil
	}
	return belowVersion(names, c.Version)
}

// SidecarsFirst returns the files of a checkpoint in the order in which to publish
// them: one that names a sidecar that is missing is broken.
func SidecarsFirst(checkpoint []Staged) []Staged {
	return slices.SortedFunc(slices.Values(checkpoint), func(f, g Staged) int {
		return cmp.Or(cmp.Compare(len(path.Dir(g.Path)), len(path.Dir(f.Path))), cmp.Compare(f.Path, g.Path))
	})
}
