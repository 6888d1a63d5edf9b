package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// indexer lists the live files of a base: those that objects of the store have, and
// those that it brings there itself, in parts and in the base.
//
// Beyond a gap that may be all that is live. So it goes up like a large commit, in
// parts that a push which was cut off finds again (bundle/FORMAT.md, "Parts"), in the
// order of the paths.
type indexer struct {
	*session
	draft  *baseDraft
	index  *extsort.Sorter // of all entries, in the order of IndexEntry.Compare
	rest   *extsort.Sorter // files that no bundle has
	pos    *position
	tip    deltalog.Version
	beside deltalog.Version // beside which parts belong, once all was compared; negative: there can be none
	since  int64            // from when on a file may have come with a missing version, see sinceWhen
}

// compare sorts the live files of a state by whether bundles have them.
func (x *indexer) compare(ctx context.Context, state *deltalog.Snapshot) (err error) {
	live, stored := x.sorter(), x.sorter()
	defer func() { err = errors.Join(err, live.Close(), stored.Close()) }()
	v, lost := deltalog.Version(x.draft.base.Version), deltalog.Version(-1)
	if x.pos.some {
		if lost, err = x.addStored(ctx, stored, x.pos); err != nil {
			return err
		}
	}
	x.beside = v
	if x.pos.end() >= v {
		x.beside = -1
	}
	x.beside, x.since = max(x.beside, lost), sinceWhen(x.pos, lost)
	if err := x.addLive(ctx, live, state, x.since); err != nil {
		return err
	}
	if err := x.addOwn(live); err != nil {
		return err
	}
	isBrought, stop := brings(x.draft.brings)
	defer stop()
	for file, err := range join(live, stored) {
		if err == nil && file.stored != nil {
			var other bool
			if other, err = x.isOther(ctx, file, isBrought); other {
				file.stored = nil
			}
		}
		if err == nil {
			err = x.sort(ctx, file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addOwn adds what the version itself brings, change data too, if its bundle does not list it.
func (x *indexer) addOwn(live *extsort.Sorter) error {
	if x.draft.brings == nil || x.pos.gap != nil {
		return nil
	}
	for f, err := range x.draft.brings.All() {
		if err == nil && !f.Kept {
			err = live.Add(f.Path, liveValue(bundle.Kind(f.Kind), false))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish brings into the store what no bundle has, and writes the index.
func (x *indexer) finish(ctx context.Context) error {
	if x.draft.files > 0 {
		if err := x.bring(ctx); err != nil {
			return err
		}
	}
	return x.draft.index.write("sluice-index-", func(w io.Writer) error {
		for record, err := range x.index.Sorted() {
			if err != nil {
				return err
			}
			if _, err := w.Write(record.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// sort lists a file that a bundle has, and leaves others to bring, but those that the
// source has no more.
func (x *indexer) sort(ctx context.Context, file liveFile) error {
	if file.stored != nil {
		return x.list(*file.stored)
	}
	size, found, err := x.fileSize(ctx, file.path)
	if err != nil {
		return err
	}
	if !found {
		return x.gone(ctx, file.path, file.kind)
	}
	x.draft.files++
	x.draft.size += size
	return x.rest.Add(file.path, liveValue(file.kind, false))
}

// bring brings what no bundle has into the store.
func (x *indexer) bring(ctx context.Context) error {
	d := x.draft
	d.portion, d.parts = x.portion(d.size), map[string]bool{}
	x.foresee(d.size, x.pos.gap == nil)
	parts := x.sorter()
	err := x.addLeft(ctx, parts)
	if err == nil {
		for file, ferr := range join(x.rest, parts) {
			if err = ferr; err == nil {
				err = x.bringOne(ctx, file)
			}
			if err != nil {
				break
			}
		}
	}
	return errors.Join(err, parts.Close(), x.rest.Close())
}

// addLeft adds what parts have that a push has left which was cut off. Those beside
// versions to which the history has not come are safe from retention, whichever
// checkpoint, up to this one, that push went by; and so are those beside a gap whose base was lost.
func (x *indexer) addLeft(ctx context.Context, parts *extsort.Sorter) error {
	if d := x.draft; x.beside < 0 || d.size <= x.partSize && d.files <= partFiles {
		return nil
	}
	if x.beside <= x.pos.end() {
		left, err := x.partsOf(ctx, x.beside)
		if err != nil {
			return err
		}
		return x.addParts(ctx, parts, left)
	}
	l, err := x.session.list(ctx)
	if err != nil {
		return err
	}
	from, _ := search(l.parts, x.pos.end()+1)
	to, _ := search(l.parts, x.beside+1) // in an index what the base itself carries comes last
	return x.addParts(ctx, parts, l.parts[from:to])
}

func (x *indexer) bringOne(ctx context.Context, file liveFile) error {
	if file.stored != nil {
		x.draft.portion.settle(file.stored.Size)
		return x.listPart(*file.stored)
	}
	return x.carry(ctx, file)
}

// listPart adds a file that lies in a part which no bundle names.
func (x *indexer) listPart(e bundle.IndexEntry) error {
	x.draft.parts[partKey(deltalog.Version(e.Version), e.Part)] = true
	return x.list(e)
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

// indexKey sorts as IndexEntry.Compare does.
func indexKey(e bundle.IndexEntry) string {
	inBase := 0
	if e.InBase {
		inBase = 1
	}
	return fmt.Sprintf("%020d%d%32s%s", e.Version, inBase, e.Part, e.Path)
}

// carry makes the base carry a file that the store has nowhere, after it has made a part
// of those before where they are enough for one.
func (x *indexer) carry(ctx context.Context, file liveFile) error {
	size, found, err := x.fileSize(ctx, file.path)
	if err != nil {
		return err
	}
	if !found {
		return x.gone(ctx, file.path, file.kind)
	}
	d := x.draft
	if x.beside >= 0 && d.isFull(size, x.partSize) {
		if err := x.makePart(ctx); err != nil {
			return err
		}
	}
	d.base.Files = append(d.base.Files, bundle.File{Path: file.path, Kind: file.kind})
	d.carried += size
	return nil
}

// gone records a file absent that the source no longer has, if the newest version does
// without.
func (x *indexer) gone(ctx context.Context, path string, kind bundle.Kind) error {
	b := &x.draft.base
	if kind == bundle.KindExtra && !x.opts.AllowMissing {
		return fmt.Errorf("%w: the table lacks the extra file %s", errLost, path)
	}
	if err := x.checkDead(ctx, path, deltalog.Version(b.Version), x.tip); err != nil {
		return err
	}
	x.log.Warn("file is gone, recorded as absent", logVersion, b.Version, logPath, path)
	b.Absent = append(b.Absent, path)
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

// makePart makes a part of what the base was to carry so far, but for files that vanish
// meanwhile.
func (x *indexer) makePart(ctx context.Context) error {
	b := &x.draft.base
	for len(b.Files) > 0 {
		d := &division{session: x.session, portion: x.draft.portion, version: &versionPlan{Version: bundle.Version{Version: int64(x.beside), Modified: b.Modified}}}
		err := d.upload(ctx, b.Files)
		if errors.Is(err, fs.ErrNotExist) {
			if err = x.dropGone(ctx, err); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		for _, f := range d.divided {
			if err := x.listPart(bundle.IndexEntry{File: f, Version: int64(x.beside)}); err != nil {
				return err
			}
		}
		break
	}
	b.Files, x.draft.carried = nil, 0
	return nil
}

// dropGone carries no more what the source no longer has. It returns cause if it still
// has all.
func (x *indexer) dropGone(ctx context.Context, cause error) error {
	var there []bundle.File
	for _, f := range x.draft.base.Files {
		_, found, err := x.fileSize(ctx, f.Path)
		if err == nil && !found {
			err = x.gone(ctx, f.Path, f.Kind)
		}
		if err != nil {
			return err
		}
		if found {
			there = append(there, f)
		}
	}
	if len(there) == len(x.draft.base.Files) {
		return cause
	}
	x.draft.base.Files = there
	return nil
}
