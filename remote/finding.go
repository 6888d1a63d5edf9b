package remote

import (
	"errors"
	"fmt"
	"sync"

	"github.com/pondworks/sluice/deltalog"
)

// FindingKind says what Verify found. The first four are problems, the others
// only worth knowing.
type FindingKind string

const (
	// FindingDamaged: an object cannot be read as what it should be.
	FindingDamaged FindingKind = "damaged"
	// FindingMissing: a version, an object or a file is not where it is needed.
	FindingMissing FindingKind = "missing"
	// FindingDiverged: a commit does not follow the one before, or is another one
	// in the table.
	FindingDiverged FindingKind = "diverged"
	// FindingDifferent: the table has a file with other content.
	FindingDifferent FindingKind = "different"

	// FindingLeftover: a bundle, or a part of one, is nothing of the history: left by
	// an upload that was cut off, or by a pusher of another history. Repair removes
	// bundles of the latter, Prune parts.
	FindingLeftover FindingKind = "leftover"
	// FindingGap: the store records that versions were gone before they were pushed.
	FindingGap FindingKind = "gap"
	// FindingAbsent: a version lacks a file that was gone before it was pushed.
	FindingAbsent FindingKind = "absent"
	// FindingHead: the head object says something else; it is only a hint.
	FindingHead FindingKind = "head"
	// FindingExtra: the table's folder has a file that no version in the store has.
	FindingExtra FindingKind = "extra"
	// FindingTime: a commit file of the table has another modification time.
	FindingTime FindingKind = "time"
)

// problem is a sort of problem: the error that it stands for, and how it is told.
type problem struct {
	class error
	text  string // with their number
}

// problems are all sorts, in the order in which they are told.
var problems = []*problem{problemDiverged, problemDamaged, problemMissing, problemOfTable}

var (
	problemDiverged = &problem{ErrDiverged, "%d diverged"}
	problemDamaged  = &problem{ErrCorrupt, "%d damaged"}
	problemMissing  = &problem{ErrGap, "%d missing"}
	problemOfTable  = &problem{ErrCorrupt, "the table lacks or has changed %d files"}
)

// problem returns which sort of problem it is, nil if it is none.
func (f Finding) problem() *problem {
	switch {
	case f.Kind == FindingDiverged:
		return problemDiverged
	case f.Kind == FindingDifferent, f.Kind == FindingMissing && f.OfTable:
		return problemOfTable
	case f.Kind == FindingMissing:
		return problemMissing
	case f.Kind == FindingDamaged:
		return problemDamaged
	}
	return nil
}

// Finding is one thing that Verify found.
type Finding struct {
	Kind    FindingKind       `json:"kind"`
	Problem bool              `json:"problem"`
	OfTable bool              `json:"of_table,omitempty"` // it is the table's, not the store's
	Version *deltalog.Version `json:"version,omitempty"`  // that it is about; nil if about none
	Key     string            `json:"key,omitempty"`      // of the object, "" if about none
	Path    string            `json:"path,omitempty"`     // of the table's file, "" if about none
	Detail  string            `json:"detail"`             // for people
}

// String is the finding on one line.
func (f Finding) String() string {
	text := string(f.Kind)
	if f.Version != nil {
		text += fmt.Sprintf(" version %d", int64(*f.Version))
	}
	for _, place := range []string{f.Key, f.Path} {
		if place != "" {
			text += " " + place
		}
	}
	return text + ": " + f.Detail
}

// maxFindings is how many findings are kept; of the others it is counted how many
// there are.
const maxFindings = 10_000

// findings collects, from several goroutines.
type findings struct {
	mu       sync.Mutex
	list     []Finding
	omitted  int
	problems map[*problem]int
}

func (c *findings) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := f.problem(); p != nil {
		f.Problem = true
		if c.problems == nil {
			c.problems = map[*problem]int{}
		}
		c.problems[p]++
	}
	if len(c.list) == maxFindings {
		c.omitted++
		return
	}
	c.list = append(c.list, f)
}

// version adds a finding about a version and an object.
func (c *findings) version(kind FindingKind, v deltalog.Version, key, format string, args ...any) {
	c.add(Finding{Kind: kind, Version: &v, Key: key, Detail: fmt.Sprintf(format, args...)})
}

// absent adds a file that an object records as absent for version v.
func (c *findings) absent(v deltalog.Version, key, path string) {
	c.add(Finding{Kind: FindingAbsent, Version: &v, Key: key, Path: path, Detail: "gone at the source before it was pushed"})
}

// damage tells whether err says something of an object, not of the way to it, and
// if so adds what.
func (c *findings) damage(v deltalog.Version, key string, err error) bool {
	kind := FindingDamaged
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrTooLarge), errors.Is(err, ErrUnsupported):
	case isMissing(err):
		kind = FindingMissing
	default:
		return false
	}
	var e *Error
	if errors.As(err, &e) {
		err = e.Err // the finding has the rest
	}
	c.version(kind, v, key, "%v", err)
	return true
}
