package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// restoreBase makes the table begin at the base of version v: the live files
// first, then the checkpoint, then the commit, so that whatever a crash leaves
// is either not there or complete. jump: what the log has below v is dropped. It wraps
// ErrCorrupt, and no commit is there, if the base is not whole. For the goal of
// an init, which chose the base, it wraps errForeignBase before it places anything if the base
// is not of the history.
func (s *session) restoreBase(ctx context.Context, table LogApplier, v deltalog.Version, jump bool, g *goal) (*tipState, error) {
	return s.useBase(ctx, table, baseUse{version: v, jump: jump, goal: g})
}

// baseUse is what a base is used for: to begin with it, or to go on.
type baseUse struct {
	version deltalog.Version
	jump    bool  // what the log has below goes
	goal    *goal // of an init that chose the base, else nil
	// follows is the digest of its commit if the version is the next one of the replica, whose
	// log goes on; else nil.
	follows *bundle.Digest
}

func (s *session) useBase(ctx context.Context, table LogApplier, use baseUse) (*tipState, error) {
	v, g := use.version, use.goal
	kept, err := newKeptBase()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := kept.close(); err != nil {
			s.log.Warn("temporary files not removed", logError, err)
		}
	}()
	own := s.newStaging(table)
	b, err := s.fetchOwnBase(ctx, own, v, kept, g)
	if isBroken(err) {
		err = brokenBase{err}
	}
	if err != nil {
		return nil, at(v, baseKey(v), err)
	}
	if use.follows != nil && b.Commit.SHA256 != *use.follows {
		return nil, at(v, baseKey(v), fmt.Errorf("%w: commit sha256 %s in the base, %s in the bundle", ErrCorrupt, b.Commit.SHA256, use.follows))
	}
	change := deltalog.Change{Version: v, Modified: b.Modified, Jump: use.jump}
	change.Commit, err = own.take(b.Commit)
	if err == nil && use.follows == nil {
		change.Checkpoint, err = own.takeAll(b.Checkpoint)
	}
	if err != nil {
		return nil, at(v, baseKey(v), err)
	}
	if g != nil && g.base != nil && *g.base == v {
		s.foreseeTail(g, &tipState{version: v}, false)
	}
	s.foresee(b.Live.Bytes, true)
	if change.Files, err = s.restoreKept(ctx, own, b, kept, use.follows != nil); err != nil {
		return nil, err
	}
	if use.follows == nil {
		if err := s.addChangeData(ctx, own, b, kept, g, &change); err != nil {
			return nil, err
		}
	}
	if _, err := table.Apply(ctx, deltalog.Batch{Changes: []deltalog.Change{change}, Relaxed: s.relaxed()}); err != nil {
		return nil, at(v, "", err)
	}
	if use.follows != nil {
		s.record(bundle.Version{Version: b.Version, Commit: b.Commit, Absent: kept.absent}) // its files were counted as they were placed
		s.stepped()
		s.log.Info("applied", logVersion, int64(v))
	} else {
		s.discard(ctx, table) // what the base carries and the table had
		s.recordBase(b)
		s.log.Info("began at base", logVersion, v, "files", b.Live.Files, "bytes", b.Live.Bytes)
	}
	s.came(tipState{v, b.Commit.SHA256})
	return &tipState{v, b.Commit.SHA256}, nil
}

// brokenBase is why a base cannot be read, of which nothing was placed yet.
type brokenBase struct{ error }

func (e brokenBase) Unwrap() error { return e.error }

// fetchOwnBase is fetchBase, and for a goal makes sure that the base is of the history: by the
// head, or by a bundle, of which it asks meanwhile.
func (s *session) fetchOwnBase(ctx context.Context, own *staging, v deltalog.Version, kept *keptBase, g *goal) (b bundle.Base, err error) {
	if g == nil {
		return s.fetchBase(ctx, own, v, kept)
	}
	var stored *bundle.Digest
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		b, err = s.fetchBase(ctx, own, v, kept)
		return err
	})
	if h := g.head; h != nil && h.Version == v {
		stored = &h.Commit
	} else {
		both.Go(func() (err error) {
			stored, err = s.commitBeside(ctx, g.listing, v)
			return err
		})
	}
	if err := both.Wait(); err != nil {
		return b, err
	}
	return b, ownBase(b, stored)
}

// fetchBase stages what the base of version v carries, and keeps its index and its
// checkpoint.
func (s *session) fetchBase(ctx context.Context, own *staging, v deltalog.Version, kept *keptBase) (bundle.Base, error) {
	r, err := s.open(ctx, baseKey(v), 0, -1)
	if err != nil {
		return bundle.Base{}, err
	}
	b, err := s.opts.Codec.DecodeBase(ctx, r, kept.put(v, own.put))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && b.Version != int64(v) {
		err = fmt.Errorf("%w: the base is of version %d", ErrCorrupt, b.Version)
	}
	return b, err
}

// restoreLive fetches and places all files of the index, object by object.
func (s *session) restoreLive(ctx context.Context, place *placer, b bundle.Base, index iter.Seq2[bundle.IndexEntry, error]) error {
	v := deltalog.Version(b.Version)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(s.opts.Concurrency)
	atOnce := s.entriesAtOnce()
	room := semaphore.NewWeighted(atOnce)
	var live bundle.Totals
	var next []bundle.IndexEntry // those of one object, or some of them
	fetch := func() error {
		entries, n := next, int64(len(next))
		next = nil
		if n == 0 {
			return nil
		}
		if err := room.Acquire(gctx, n); err != nil {
			return err
		}
		group.Go(func() error {
			defer room.Release(n)
			return s.fetchLive(gctx, place, entries)
		})
		return nil
	}
	var err error
	for e, rerr := range index {
		err = errors.Join(rerr, gctx.Err())
		if full := len(next) > 0 && (!sameObject(next[0], e) || int64(len(next)) == atOnce); err == nil && full {
			err = fetch()
		}
		if err != nil {
			break
		}
		next = append(next, e)
		live.Files++
		live.Bytes += e.Size
	}
	if err == nil {
		err = fetch()
	}
	if gerr := group.Wait(); gerr != nil {
		return gerr
	}
	place.of.finish() // with what the base itself carries
	if err == nil {
		err = checkTotals(b, live)
	}
	if err == nil {
		err = place.flush(ctx)
	}
	return at(v, baseKey(v), err)
}

// sameObject reports whether two files lie in one object.
func sameObject(a, b bundle.IndexEntry) bool {
	return a.Version == b.Version && a.InBase == b.InBase && a.Part == b.Part
}

// objectOf returns the object that holds a file.
func (s *session) objectOf(e bundle.IndexEntry) object {
	v := deltalog.Version(e.Version)
	switch {
	case e.InBase:
		return object{version: v, Info: storage.Info{Key: baseKey(v), Size: -1}}
	case e.Part != "":
		return partAt(v, bundle.PartRef{Name: e.Part, Size: -1})
	}
	return s.bundle(v)
}

// fetchLive fetches the files that lie in one object.
func (s *session) fetchLive(ctx context.Context, place *placer, entries []bundle.IndexEntry) error {
	from := deltalog.Version(entries[0].Version)
	o := s.objectOf(entries[0])
	wanted := make([]bundle.File, 0, len(entries))
	for _, e := range entries {
		there, err := s.hasLive(ctx, place, e)
		if err != nil {
			return err
		}
		if there {
			place.of.read(e.Size)
		} else {
			wanted = append(wanted, e.File)
		}
	}
	st, err := place.own, error(nil)
	if !entries[0].InBase || from != place.version {
		if st, err = s.stageEntries(ctx, place, o, entries[0], wanted); err != nil {
			if entries[0].Part != "" {
				err = partGone(err)
			}
			return at(from, o.Key, err)
		}
	}
	staged, err := st.takeAll(wanted)
	if err == nil {
		err = place.add(ctx, staged)
	}
	return at(from, o.Key, err)
}

// stageEntries stages files of one object. Of a pack that is damaged the bundle may be there alone.
func (s *session) stageEntries(ctx context.Context, place *placer, o object, in bundle.IndexEntry, files []bundle.File) (*staging, error) {
	stage := func(o object) (*staging, error) {
		st := s.newStaging(place.table)
		st.of = place.of
		err := s.stageFiles(ctx, st, o, in, files)
		return st, err
	}
	st, err := stage(o)
	if !o.pack || !errors.Is(err, ErrCorrupt) {
		return st, err
	}
	beside, berr := stage(bundleAt(o.version))
	if berr != nil {
		return st, err
	}
	s.log.Warn("a pack is damaged, taking the bundle beside it", logKey, o.Key, logVersion, o.version, logError, err)
	return beside, nil
}

// hasLive reports whether the table has the file already. A replica that is at the version
// before has what is older by its own history.
func (s *session) hasLive(ctx context.Context, place *placer, e bundle.IndexEntry) (bool, error) {
	if !place.follows || deltalog.Version(e.Version) == place.version {
		return s.hasFile(ctx, place.table, e.File)
	}
	size, found, err := s.fileSize(ctx, e.Path)
	return found && size == e.Size, err
}

// hasFile reports whether the table has the file already, from an attempt that
// was broken off.
func (s *session) hasFile(ctx context.Context, table LogApplier, want bundle.File) (bool, error) {
	if s.fresh {
		return false, nil
	}
	f, size, err := table.OpenFile(ctx, want.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h := sha256.New()
	if size == want.Size {
		_, err = io.Copy(h, f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return bundle.Digest(h.Sum(nil)) == want.SHA256, err
}

// stageFiles stages files out of one object, that of in: in few ranges if their places are
// right, else by reading all of it.
func (s *session) stageFiles(ctx context.Context, st *staging, o object, in bundle.IndexEntry, files []bundle.File) error {
	known, unplaced := placed(files)
	for _, f := range unplaced {
		if f.Size == 0 {
			if err := st.put(ctx, bundle.Member{Path: f.Path}, bytes.NewReader(nil)); err != nil {
				return err
			}
		}
	}
	err := s.stageSpans(ctx, o, known, st.put)
	if !errors.Is(err, bundle.ErrNoPlace) && !anyContent(unplaced) {
		return err
	}
	s.log.Warn("places are unknown or wrong, reading the whole object", logKey, o.Key, logError, err)
	return s.stageWhole(ctx, o, in, files, st.put)
}

func anyContent(files []bundle.File) bool {
	for _, f := range files {
		if f.Size > 0 {
			return true
		}
	}
	return false
}

// stageSpans stages files in the order of their places.
func (s *session) stageSpans(ctx context.Context, o object, files []bundle.File, stage bundle.PutFunc) error {
	for sp := range spansOf(files, s.pace.worthReading) {
		begin := time.Now()
		r, err := s.open(ctx, o.Key, o.off+sp.off, sp.n)
		if err != nil {
			return err
		}
		err = s.opts.Codec.Extract(ctx, s.pace.asked(time.Since(begin), r), sp.off, sp.files, stage)
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stageWhole stages the wanted files out of all members of an object.
func (s *session) stageWhole(ctx context.Context, o object, in bundle.IndexEntry, files []bundle.File, stage bundle.PutFunc) error {
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Path] = true
	}
	put := only(wanted, stage)
	r, err := s.open(ctx, o.Key, o.off, o.Size)
	if err != nil {
		return err
	}
	switch {
	case in.InBase:
		_, err = s.opts.Codec.DecodeBase(ctx, r, put)
	case in.Part != "":
		_, err = s.opts.Codec.DecodePart(ctx, r, put)
	default:
		_, err = s.opts.Codec.Decode(ctx, r, put)
	}
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

// placer publishes files of a version in batches, since each batch syncs the
// folders it touched.
type placer struct {
	table   LogApplier
	version deltalog.Version
	own     *staging // what the base carries
	of      *portion // all live files
	follows bool     // the table is at the version before, and goes on

	mu       sync.Mutex
	waiting  []deltalog.Staged
	inTheWay []deltalog.Staged // with follows: of batches in which something was in the way of a file; Apply settles that
}

// placeBatch is how many files are published at once.
const placeBatch = 1000

func (p *placer) add(ctx context.Context, files []deltalog.Staged) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, files...)
	if len(p.waiting) < placeBatch {
		return nil
	}
	return p.place(ctx)
}

func (p *placer) flush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.place(ctx)
}

func (p *placer) place(ctx context.Context) error {
	if len(p.waiting) == 0 {
		return nil
	}
	if p.follows {
		p.own.s.recordPlaced(p.waiting)
	}
	err := p.table.Place(ctx, p.waiting, p.own.s.relaxed())
	if p.follows && errors.Is(err, deltalog.ErrConflict) {
		p.inTheWay, err = append(p.inTheWay, p.waiting...), nil
	}
	p.waiting = nil
	return err
}
