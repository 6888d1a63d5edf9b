package remote

import (
	"context"
	"fmt"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// indexer lists the live files of a base: those that objects of the store have, and
// those that it brings there itself, in parts and in the base.
//
// Beyond a gap that may be all that is live. So it goes up like a large commit, in
// parts that a push which was cut off finds again (bundle/FORMAT.md, "Parts"), in the
// order of the paths. Where the bundle of the version is in the store there are none:
// retention would take a new part beside it for one that nobody needs.
type indexer struct {
	*session
	draft   *baseDraft
	index   *extsort.Sorter
	tip     deltalog.Version
	divides bool // into parts
}

// add takes the next live file.
func (x *indexer) add(ctx context.Context, file liveFile) error {
	if file.stored != nil {
		return x.list(*file.stored)
	}
	return x.carry(ctx, file)
}

// list adds a file that is in the store.
func (x *indexer) list(e bundle.IndexEntry) error {
	x.draft.base.Live.Files++
	x.draft.base.Live.Bytes += e.Size
	line, err := bundle.AppendIndex(nil, e)
	if err != nil {
		return err
	}
	return x.index.Add(indexKey(e), line)
}

// carry makes the base carry a file that the store has nowhere, or record it
// absent if the source no longer has it and the newest version does without.
func (x *indexer) carry(ctx context.Context, file liveFile) error {
	d := x.draft
	size, found, err := x.fileSize(ctx, file.path)
	if err != nil {
		return err
	}
	if !found && file.kind == bundle.KindExtra && !x.opts.AllowMissing {
		return fmt.Errorf("%w: the table lacks the extra file %s", ErrCorrupt, file.path)
	}
	if !found {
		if err := x.checkDead(ctx, file.path, deltalog.Version(d.base.Version), x.tip); err != nil {
			return err
		}
		x.log.Warn("file is gone, recorded as absent", logVersion, d.base.Version, logPath, file.path)
		d.base.Absent = append(d.base.Absent, file.path)
		return nil
	}
	if x.divides && d.isFull(size, x.partSize) {
		if err := x.makePart(ctx); err != nil {
			return err
		}
	}
	d.base.Files = append(d.base.Files, bundle.File{Path: file.path, Kind: file.kind})
	d.carried += size
	return nil
}

// partFiles is how many files a part of a base has at most: their names are held in
// memory, and one small file after the other would make the list of one part too long.
const partFiles = 20_000

// isFull reports whether a part should be made of what is carried before so many bytes
// more are.
func (d *baseDraft) isFull(more, partSize int64) bool {
	n := len(d.base.Files)
	return n == partFiles || n > 0 && d.carried+more > partSize
}

// makePart makes a part of what the base was to carry so far.
func (x *indexer) makePart(ctx context.Context) error {
	b := &x.draft.base
	d := &division{session: x.session, version: &versionPlan{Version: bundle.Version{Version: b.Version, Modified: b.Modified}}}
	if err := d.upload(ctx, b.Files); err != nil {
		return err
	}
	for _, f := range d.divided {
		if err := x.list(bundle.IndexEntry{File: f, Version: b.Version}); err != nil {
			return err
		}
	}
	b.Files, x.draft.carried = nil, 0
	return nil
}
