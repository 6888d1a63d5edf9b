package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
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
		return fmt.Errorf("%w: the table is at version %d, the store at %d: pull first", ErrGap, int64(tip), int64(pos.last))
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
		return errors.Join(ErrReadOnly, errors.New("the table cannot tell its state"))
	}
	if s.store.creator == nil {
		return fmt.Errorf("%w: the store cannot be written", ErrReadOnly)
	}
	if !pos.some || pos.last < v { // what a push that was cut off has taken need not be taken again
		commit, err := hashLocal(ctx, s.table, v)
		if err != nil {
			return err
		}
		there, size, err := s.sameBase(ctx, v, commit)
		if err == nil {
			s.tookBase(pos, there, size)
			return nil
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return at(v, baseKey(v), err)
		}
	}
	state, err := table.Snapshot(ctx, v, &deltalog.SnapshotOptions{Memory: s.opts.Memory})
	if err != nil {
		return at(v, "", err)
	}
	draft, err := s.draftBase(ctx, state, pos, v, tip)
	if cerr := state.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return at(v, baseKey(v), err)
	}
	size, err := s.createBase(ctx, draft)
	if rerr := draft.remove(); rerr != nil {
		s.log.Warn("temporary files not removed", logError, rerr)
	}
	if err != nil {
		return at(v, baseKey(v), err)
	}
	s.tookBase(pos, draft.base, size)
	return nil
}

// tookBase notes that the store has a base, an object of size bytes.
func (s *session) tookBase(pos *position, b bundle.Base, size int64) {
	v := deltalog.Version(b.Version)
	pos.base = sinceBase{Version: &v, Size: size, Live: b.Live.Bytes}
	pos.mend = true
	s.catalog = nil // the next base begins where this one ends
	s.mu.Lock()
	s.report.Base = &v
	s.report.Absent += len(b.Absent)
	s.mu.Unlock()
	s.log.Info("took base", logVersion, v, "files", b.Live.Files, "size", size)
}

// createBase uploads a base and returns its size and what it says. One that is
// there already, of the same commit, will do: it was made of the same state.
func (s *session) createBase(ctx context.Context, d *baseDraft) (int64, error) {
	key := baseKey(deltalog.Version(d.base.Version))
	src := &packing[bundle.Base]{pack: func(w io.Writer) (bundle.Base, error) {
		return s.opts.Codec.EncodeBase(ctx, w, d.base, d.open)
	}}
	err := s.store.creator.Create(ctx, key, src, -1)
	if cerr := src.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, storage.ErrExists) {
		ours, err := src.finished()
		if err != nil {
			return 0, err
		}
		theirs, size, err := s.sameBase(ctx, deltalog.Version(d.base.Version), ours.Commit.SHA256)
		if err == nil {
			d.base = theirs
		}
		return size, err
	}
	if err != nil {
		return 0, err
	}
	d.base = *src.done
	return src.sent, nil
}

// sameBase reads the base of version v to its end, which must be of this commit, and
// makes sure that the parts are there which its index names.
func (s *session) sameBase(ctx context.Context, v deltalog.Version, commit bundle.Digest) (b bundle.Base, size int64, err error) {
	r, err := s.store.Open(ctx, baseKey(v), 0, -1)
	if err != nil {
		return b, 0, err
	}
	counted := &countingReader{r: r}
	parts := map[string]bool{} // beside it, that its index names
	b, err = s.opts.Codec.DecodeBase(ctx, counted, func(ctx context.Context, m bundle.Member, r io.Reader) error {
		if m.Path != bundle.IndexPath(int64(v)) {
			return discarded(ctx, m, r)
		}
		for e, err := range bundle.ReadIndex(r) {
			if err != nil {
				return err
			}
			if e.Part != "" && e.Version == int64(v) {
				parts[e.Part] = true
			}
		}
		return nil
	})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && commit != b.Commit.SHA256 {
		err = diverged(v, commit, b.Commit.SHA256)
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if err == nil {
			_, err = s.findPart(ctx, v, name)
			err = partGone(err)
		}
	}
	return b, counted.n, err
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
	open              bundle.OpenFunc
	checkpoint, index temporary
	carried           int64 // bytes of base.Files
}

func (d *baseDraft) remove() error {
	return errors.Join(d.checkpoint.remove(), d.index.remove())
}
