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
	"github.com/pondworks/sluice/storage"
)

// Base takes a base of the newest version in the store, unless there is one: a
// point at which Init with HistoryLive begins, and which retention may rely on.
// Push takes them by itself where that pays, see Options.NoBases. It wraps
// ErrReadOnly if the table cannot tell its state or the store cannot be written,
// ErrUnsupported if the table has a feature that no checkpoint of ours can hold
// and no checkpoint of its own at that version, ErrGap if the table is behind the
// store.
func (r *Replicator) Base(ctx context.Context) (Report, error) {
	return r.do(ctx, "base", (*session).takeNewestBase)
}

func (s *session) takeNewestBase(ctx context.Context) error {
	ctx, release := s.hold(ctx)
	defer release()
	s.catalog = nil
	pos, err := s.locateNow(ctx)
	if err != nil {
		return err
	}
	if !pos.some {
		return ErrEmptyStore
	}
	tip, err := s.localTip(ctx, pos)
	if err != nil {
		return err
	}
	if tip < pos.last {
		return behindStore(pos, tip)
	}
	if err := s.checkHistory(ctx, pos, tip); err != nil {
		return err
	}
	if err := s.takeBase(ctx, pos, pos.last, tip); err != nil {
		return err
	}
	return s.updateHead(ctx, pos)
}

// baseIfDue takes a base after a push where that pays. It is for those who
// restore later: not being able to is noted and never fails the push.
func (s *session) baseIfDue(ctx context.Context, pos *position, tip deltalog.Version) {
	if s.opts.NoBases || !pos.some || !pos.base.due() {
		return
	}
	if _, can := s.table.(StateReader); !can {
		return
	}
	if err := s.takeBase(ctx, pos, pos.last, tip); err != nil {
		s.log.Warn("base not taken", logVersion, pos.last, logError, err)
	}
}

// takeBase creates the base of version v, to which the store has come or which
// follows a gap. What the store has already is listed, the rest is carried.
func (s *session) takeBase(ctx context.Context, pos *position, v, tip deltalog.Version) error {
	table, ok := s.table.(StateReader)
	if !ok {
		return fmt.Errorf("%w: the table cannot tell its state", ErrReadOnly)
	}
	if s.store.creator == nil {
		return fmt.Errorf("%w: the store cannot be written", ErrReadOnly)
	}
	if pos.end() < v { // what a push that was cut off has taken need not be taken again
		commit, err := hashLocal(ctx, s.table, v)
		if err != nil {
			return err
		}
		there, size, err := s.sameBase(ctx, pos, v, commit)
		if err == nil {
			s.hasBase(pos, there, size)
			return nil
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return at(v, baseKey(v), err)
		}
	}
	err := s.draftAndCreate(ctx, table, pos, v, tip, false)
	if errors.Is(err, fs.ErrNotExist) { // the table's own checkpoint, perhaps, by log cleanup
		err = s.draftAndCreate(ctx, table, pos, v, tip, true)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("a file vanished while it was read, push again: %w", err)
	}
	return at(v, baseKey(v), err)
}

// draftAndCreate makes the base of version v and uploads it; ownCheckpoint: with a
// checkpoint that we write, whatever the table has.
func (s *session) draftAndCreate(ctx context.Context, table StateReader, pos *position, v, tip deltalog.Version, ownCheckpoint bool) error {
	draft, err := s.draftBase(ctx, table, pos, v, tip, ownCheckpoint)
	if err != nil {
		return err
	}
	err = s.createBase(ctx, pos, draft)
	if rerr := draft.remove(); rerr != nil {
		s.log.Warn("temporary files not removed", logError, rerr)
	}
	return err
}

// hasBase notes that the store has a base, an object of size bytes.
func (s *session) hasBase(pos *position, b bundle.Base, size int64) {
	v := deltalog.Version(b.Version)
	pos.base = sinceBase{Version: &v, Size: size, Live: b.Live.Bytes}
	pos.mend = true
	s.catalog = nil // the next base begins where this one ends
	s.mu.Lock()
	s.report.Base = &v
	s.mu.Unlock()
}

// tookBase notes that this call has taken a base, an object of size bytes.
func (s *session) tookBase(pos *position, d *baseDraft, size int64) {
	b := d.base
	s.hasBase(pos, b, size)
	d.portion.finish()
	s.mu.Lock()
	s.report.Absent += len(b.Absent)
	s.report.Files += d.files
	s.report.Bytes += d.size
	s.mu.Unlock()
	s.log.Info("took base", logVersion, b.Version, "files", b.Live.Files, "size", size)
}

// createBase uploads a base. One that is there already, of the same commit, will do: it
// was made of the same state.
func (s *session) createBase(ctx context.Context, pos *position, d *baseDraft) error {
	v := deltalog.Version(d.base.Version)
	src := &packing[bundle.Base]{portion: d.portion, stands: d.carried}
	src.pack = func(w io.Writer) (bundle.Base, error) {
		return s.opts.Codec.EncodeBase(ctx, w, d.base, d.opener(s.opener(nil, src.reading)))
	}
	err := s.store.creator.Create(ctx, baseKey(v), src, -1)
	if cerr := src.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, storage.ErrExists) {
		ours, err := src.finished()
		if err != nil {
			return err
		}
		theirs, size, err := s.sameBase(ctx, pos, v, ours.Commit.SHA256)
		if err == nil {
			s.hasBase(pos, theirs, size)
		}
		return err
	}
	if err != nil {
		return err
	}
	d.base = *src.done
	if pos.end() < v { // and so it counts only when its bundle is there, too
		if err := s.checkNeeds(ctx, d.parts); err != nil {
			return err
		}
	}
	s.tookBase(pos, d, src.sent)
	return nil
}

// sameBase reads the base of version v to its end, which must be of this commit, and
// makes sure that what its index names lies where the history has come to, or in parts
// that are there: as long as it has not come to them, the table has what they lack.
func (s *session) sameBase(ctx context.Context, pos *position, v deltalog.Version, commit bundle.Digest) (b bundle.Base, size int64, err error) {
	var listed *extsort.Sorter
	if pos.end() < v && pos.gap == nil {
		c, serr := s.scanLocal(ctx, v)
		if serr != nil {
			return b, 0, serr
		}
		if c.Omitted {
			listed = s.sorter()
			defer func() { err = errors.Join(err, listed.Close()) }()
		}
	}
	b, size, needs, err := s.baseAndNeeds(ctx, v, pos.end(), listed)
	if err == nil && commit != b.Commit.SHA256 {
		err = at(v, baseKey(v), fmt.Errorf("%w: commit sha256 %s here, %s in the base", ErrDiverged, commit, b.Commit.SHA256))
	}
	if err == nil {
		err = s.checkNeeds(ctx, needs)
	}
	if err == nil && listed != nil {
		err = at(v, baseKey(v), s.checkBrought(ctx, b, listed))
	}
	return b, size, err
}

// baseAndNeeds reads the base of version v to its end. It returns its size in bytes as well,
// and the keys of those parts and bundles above version end that its index names. The paths
// of what lies beside it or in it, not below, are added to listed, which may be nil.
func (s *session) baseAndNeeds(ctx context.Context, v, end deltalog.Version, listed *extsort.Sorter) (b bundle.Base, size int64, needs map[string]bool, err error) {
	r, err := s.store.Open(ctx, baseKey(v), 0, -1)
	if err != nil {
		return b, 0, nil, err
	}
	counted := &countingReader{r: r}
	needs = map[string]bool{}
	b, err = s.opts.Codec.DecodeBase(ctx, counted, func(ctx context.Context, m bundle.Member, r io.Reader) error {
		if m.Path != bundle.IndexPath(int64(v)) {
			return discarded(ctx, m, r)
		}
		for e, err := range bundle.ReadIndex(r) {
			if err != nil {
				return err
			}
			if listed != nil && deltalog.Version(e.Version) == v {
				if err := listed.Add(e.Path, nil); err != nil {
					return err
				}
			}
			switch at := deltalog.Version(e.Version); {
			case at <= end || e.InBase:
			case e.Part != "":
				needs[partKey(at, e.Part)] = true
			default:
				needs[bundleKey(at)] = true
			}
		}
		return nil
	})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return b, counted.n, needs, err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// baseDraft is a base ready to be packed. Its checkpoint and its index lie in
// temporary files, since they are as large as the live set.
type baseDraft struct {
	base              bundle.Base
	checkpoint, index temporary // the former empty if the table has one
	ownCheckpoint     bool      // not one that the table has
	carried           int64     // bytes of base.Files

	// What no bundle has, be it in parts or in the base:
	files   int
	size    int64           // bytes
	portion *portion        // of what the push does
	parts   map[string]bool // keys

	// brings is what its version names, if its bundle lists none of that but change data; else
	// nil.
	brings *deltalog.SortedFiles
}

// opener opens the members of the base, those that lie in the table by way of table.
func (d *baseDraft) opener(table bundle.OpenFunc) bundle.OpenFunc {
	return func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		switch {
		case path == bundle.IndexPath(d.base.Version):
			r, size := d.index.open()
			return r, size, nil
		case path == d.base.Checkpoint[0].Path && d.checkpoint.file != nil:
			r, size := d.checkpoint.open()
			return r, size, nil
		}
		return table(ctx, path)
	}
}

func (d *baseDraft) remove() error {
	err := errors.Join(d.checkpoint.remove(), d.index.remove())
	if d.brings != nil {
		err = errors.Join(err, d.brings.Close())
	}
	return err
}
