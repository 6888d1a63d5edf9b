package remote

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// What can be said of a file's path.
const (
	isCarried  = "carried"  // by the bundle or the base of version Key, for Version
	isAbsent   = "absent"   // recorded so by Version
	isNeeded   = "needed"   // by Version, whose bundle has not got it
	isReferred = "referred" // by the base of Version, as being in the object of version Key
	isLive     = "live"     // in the table
	isHere     = "here"     // in the table's folder
)

// fileNote is one thing that was found to be said of a path.
type fileNote struct {
	Is      string
	Version int64
	Key     int64  `json:",omitempty"`
	InBase  bool   `json:",omitempty"`
	Part    string `json:",omitempty"` // beside that version
	Size    int64
	SHA256  bundle.Digest
}

func (v *verifier) note(path string, n fileNote) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return v.files.Add(path, b)
}

// lookAtFiles goes through all paths and compares what is said of each.
func (v *verifier) lookAtFiles(ctx context.Context) error {
	if err := v.table.noteFiles(ctx); err != nil {
		return err
	}
	if v.table != nil && v.tableData {
		v.foresee(v.carried, true)
	}
	group, ctx := errgroup.WithContext(ctx) // files of the table are looked at several at once
	group.SetLimit(v.opts.Concurrency)
	look := func(path string, notes []fileNote) {
		v.checkReferences(path, notes)
		if v.table != nil {
			group.Go(func() error { return v.table.file(ctx, path, notes) })
		}
	}
	path, notes := "", []fileNote(nil)
	for record, err := range v.files.Sorted() {
		if err == nil {
			err = ctx.Err()
		}
		var n fileNote
		if err == nil {
			err = json.Unmarshal(record.Value, &n)
		}
		if err != nil {
			return firstOf(group.Wait(), err)
		}
		if record.Key != path && notes != nil {
			look(path, notes)
			notes = nil
		}
		path, notes = record.Key, append(notes, n)
	}
	if notes != nil {
		look(path, notes)
	}
	if err := group.Wait(); err != nil {
		return err
	}
	v.table.conclude(v)
	return nil
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// checkReferences makes sure that what a base refers to is where it says, and that
// what a version needs was brought by an earlier one; and tells what a base says is absent
// where the bundle leaves that to it.
func (v *verifier) checkReferences(path string, notes []fileNote) {
	for _, n := range notes {
		at := deltalog.Version(n.Version)
		switch {
		case n.Is == isReferred && !v.damaged[n.object()] && !anyNote(notes, n.carries): // of damage it was told
			key := n.object()
			v.found.add(Finding{Kind: FindingMissing, Version: &at, Key: key, Path: path, Detail: fmt.Sprintf("%s refers to it, but it is not there with sha256 %s", baseKey(at), n.SHA256)})
		case n.Is == isReferred && newestSince(notes, n) != nil:
			v.found.add(Finding{Kind: FindingDamaged, Version: &at, Key: baseKey(at), Path: path, Detail: fmt.Sprintf("it refers to other bytes than version %d brought", newestSince(notes, n).Version)})
		case n.Is == isAbsent && n.InBase && v.inBase[at]: // of others their bundles told
			v.found.absent(at, baseKey(at), path)
		case n.Is == isNeeded && !anyNote(notes, n.meets):
			v.found.add(Finding{Kind: FindingMissing, Version: &at, Path: path, Detail: "the commit needs it, and no bundle up to that version has it"})
		}
	}
}

// object returns the key of the object that n refers to, of a bundle the one that it has
// alone.
func (n fileNote) object() string {
	at := deltalog.Version(n.Key)
	switch {
	case n.InBase:
		return baseKey(at)
	case n.Part != "":
		return partKey(at, n.Part)
	}
	return bundleKey(at)
}

func anyNote(notes []fileNote, ok func(fileNote) bool) bool {
	for _, n := range notes {
		if ok(n) {
			return true
		}
	}
	return false
}

// carries reports whether c is what the reference r means.
func (r fileNote) carries(c fileNote) bool {
	return c.Is == isCarried && c.object() == r.object() && c.Size == r.Size && c.SHA256 == r.SHA256
}

// newestSince returns the newest that versions up to that of the base of r carry of the file, nil
// if r refers to the like of it.
func newestSince(notes []fileNote, r fileNote) *fileNote {
	var newest *fileNote
	for _, c := range notes {
		if c.Is != isCarried || c.Version > r.Version {
			continue
		}
		if newest == nil || c.Version > newest.Version || c.Version == newest.Version && c.SHA256 == r.SHA256 {
			newest = &c
		}
	}
	if newest == nil || newest.SHA256 == r.SHA256 {
		return nil
	}
	return newest
}

// meets reports whether c is what the need n means.
func (n fileNote) meets(c fileNote) bool {
	return (c.Is == isCarried || c.Is == isAbsent) && c.Version <= n.Version
}
