package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// goal is what an init works towards.
type goal struct {
	identity *identity
	target   deltalog.Version
	in       segment           // that target lies in
	base     *deltalog.Version // to begin with; nil: the first version
	anew     bool              // it begins where an init was stopped that may have left commits
	listing  listing
	hints    runHints
	head     *head // nil if it is of no use
}

// goal reads whose store this is and settles on the version to go to and where
// to begin.
func (s *session) goal(ctx context.Context) (*goal, error) {
	id, err := s.readIdentity(ctx)
	if err != nil {
		return nil, err
	}
	var h *head // before the listing, which then has all that it tells of
	if id != nil {
		if h, err = s.headOf(ctx, id); err != nil {
			return nil, err
		}
	}
	l, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	if l.isEmpty(h) {
		return nil, ErrEmptyStore
	}
	if id, err = s.identityBeside(ctx, l, id); err != nil {
		return nil, err
	}
	if want := s.opts.SourceID; want != "" && want != id.Lineage && want != id.TableID {
		return nil, fmt.Errorf("%w: the store is of lineage %s and table id %q, not of %q: it is another one than SourceID names", errOtherSource, id.Lineage, id.TableID, want)
	}
	hints := h.hints()
	l.hints = hints
	start := l.start(id)
	if s.opts.Target != nil {
		start = l.startOf(id, *s.opts.Target)
	}
	segments, err := s.history(ctx, l, start, hints)
	if err == nil && s.opts.AcrossGap {
		segments, err = s.acrossLosses(ctx, l, segments, start, l.promisedBy(h))
	}
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("%w: version %d, with which the history begins", ErrGap, int64(start))
	}
	target, in, err := s.target(ctx, l, segments, l.promisedBy(h))
	if err != nil {
		return nil, err
	}
	if s.opts.Target == nil && target == segments[len(segments)-1].last {
		if err := s.checkEnd(ctx, target, l.promisedBy(h)); err != nil {
			return nil, err
		}
	}
	return &goal{identity: id, target: target, in: in, base: s.beginning(l, in, target), listing: l, hints: hints, head: h}, nil
}

// headOf returns the head of that store, nil if it is of no use.
func (s *session) headOf(ctx context.Context, id *identity) (*head, error) {
	h, _, err := s.readHead(ctx)
	if err != nil || h == nil || h.Lineage != id.Lineage {
		return nil, err
	}
	return h, nil
}

// hints are what the head says of the bundles.
func (h *head) hints() runHints {
	if h == nil {
		return onlyTo(-1)
	}
	return h.Bundles
}

// checkEnd makes sure that what an init takes for the newest version is: versions
// above it, up to promised, may have been there and be lost. A listing that lags is no
// loss.
func (s *session) checkEnd(ctx context.Context, end, promised deltalog.Version) error {
	if promised <= end {
		return nil
	}
	_, err := s.peek(ctx, s.bundle(end+1))
	if errors.Is(err, storage.ErrNotFound) {
		err = fmt.Errorf("%w: it was stored once, and so were those up to version %d; what is below can be restored as version %d (--version, Options.Target)", ErrGap, int64(promised), int64(end))
	}
	if err != nil {
		return at(end+1, bundleKey(end+1), err)
	}
	return nil
}

// target returns the version that the options ask for and the segment it lies in.
// promised is up to which version all must be there.
func (s *session) target(ctx context.Context, l listing, segments []segment, promised deltalog.Version) (deltalog.Version, segment, error) {
	last := segments[len(segments)-1]
	switch {
	case s.opts.Target != nil:
		in, err := segmentOf(segments, *s.opts.Target, max(promised, l.bundles[len(l.bundles)-1].version))
		return *s.opts.Target, in, err
	case !s.opts.TargetTime.IsZero():
		v, err := s.versionAt(ctx, l, segments, s.opts.TargetTime)
		if err != nil {
			return 0, segment{}, err
		}
		in, err := segmentOf(segments, v, last.last)
		return v, in, err
	}
	return last.last, last, nil
}

// segmentOf returns the segment that holds v. newest is the newest version that the
// store has, be it above a gap, or is known to have had.
func segmentOf(segments []segment, v, newest deltalog.Version) (segment, error) {
	for i, in := range segments {
		switch {
		case v < in.first && i == 0:
			return segment{}, fmt.Errorf("%w: version %d: the history begins at %d", ErrGap, int64(v), int64(in.first))
		case v < in.first && in.lost:
			return segment{}, fmt.Errorf("%w: version %d is lost, or lies below the base of version %d with which the history goes on", ErrGap, int64(v), int64(in.first))
		case v < in.first && in.gap:
			return segment{}, fmt.Errorf("%w: version %d lies in the gap before version %d, above version %d: it was gone at the source before it was pushed", errInGap, int64(v), int64(in.first), int64(segments[i-1].last))
		case v < in.first: // retention gave it up, or it is lost, or was pushed after a gap that counts it
			return segment{}, fmt.Errorf("%w: version %d: the versions without a gap before it end at %d, the next begin at %d", ErrGap, int64(v), int64(segments[i-1].last), int64(in.first))
		case v <= in.last:
			return in, nil
		}
	}
	if len(segments) == 0 {
		return segment{}, fmt.Errorf("%w: version %d", ErrGap, int64(v))
	}
	end := segments[len(segments)-1].last
	if newest <= end {
		return segment{}, fmt.Errorf("%w: version %d: the newest is %d", errNotYet, int64(v), int64(end))
	}
	return segment{}, fmt.Errorf("%w: version %d: the versions without a gap end at %d, the newest that there is or was is %d", ErrGap, int64(v), int64(end), int64(newest))
}

// versionAt returns the newest version that is not newer than t, as Delta
// counts the time of versions, which ascends with them: first among the bundles, then within
// one. It may descend once, where in-commit timestamps begin in a table that was copied without
// the times of its files: then what comes from there on counts.
func (s *session) versionAt(ctx context.Context, l listing, segments []segment, t time.Time) (deltalog.Version, error) {
	var bundles []object
	for _, in := range segments {
		bundles = append(bundles, in.bundles...)
	}
	newer, err := s.firstNewer(ctx, bundles, t)
	for err == nil { // one of another history may have led astray: the ends of the search decide
		var own []object
		own, err = s.withoutLeftovers(ctx, l, bundles, newer)
		if err != nil || len(own) == len(bundles) {
			break
		}
		bundles = own
		newer, err = s.firstNewer(ctx, bundles, t)
	}
	if err != nil {
		return 0, err
	}
	tail, err := s.firstNewerInTail(ctx, bundles, t)
	if err != nil {
		return 0, err
	}
	if tail > 0 {
		newer = tail
	}
	if newer == 0 {
		return s.beginningAt(ctx, l, segments[0].first, t)
	}
	m, err := s.peek(ctx, bundles[newer-1])
	if err != nil {
		return 0, err
	}
	v := deltalog.Version(m.Versions[lastNotNewer(m, t)].Version)
	if first := segments[0].first; v < first { // of a run that begins below
		return s.beginningAt(ctx, l, first, t)
	}
	return v, nil
}

// lastNotNewer returns the index of the last version of a bundle that is not newer than t, -1 if
// there is none.
func lastNotNewer(m bundle.Manifest, t time.Time) int {
	i := len(m.Versions) - 1
	for i >= 0 && m.Versions[i].Timestamp > t.UnixMilli() {
		i--
	}
	return i
}

// firstNewerInTail is firstNewer for the bundles from where the time descends, if it does: all
// before are newer than the last one.
func (s *session) firstNewerInTail(ctx context.Context, bundles []object, t time.Time) (int, error) {
	if len(bundles) == 0 {
		return 0, nil
	}
	ends, err := s.peekAll(ctx, []object{bundles[0], bundles[len(bundles)-1]})
	if err != nil {
		return 0, err
	}
	last := timeOfEnd(ends[1])
	if ends[0].Versions[0].Timestamp <= last {
		return 0, nil
	}
	from, err := s.searchBundles(ctx, bundles, func(m bundle.Manifest) bool { return timeOfEnd(m) <= last })
	if err != nil {
		return 0, err
	}
	n, err := s.firstNewer(ctx, bundles[from:], t)
	if n == 0 || err != nil {
		return 0, err
	}
	return from + n, nil
}

// timeOfEnd is the time of the last version of a bundle.
func timeOfEnd(m bundle.Manifest) int64 { return m.Versions[len(m.Versions)-1].Timestamp }

// firstNewer returns the index of the first of the bundles, in ascending order of time, all of
// whose versions are newer than t.
func (s *session) firstNewer(ctx context.Context, bundles []object, t time.Time) (int, error) {
	return s.searchBundles(ctx, bundles, func(m bundle.Manifest) bool { return lastNotNewer(m, t) < 0 })
}

// searchBundles returns the index of the first of the bundles that is so, and so are all after it.
func (s *session) searchBundles(ctx context.Context, bundles []object, is func(bundle.Manifest) bool) (int, error) {
	var failed error
	i := sort.Search(len(bundles), func(i int) bool {
		if failed != nil {
			return true
		}
		m, err := s.peek(ctx, bundles[i])
		failed = err
		return err != nil || is(m)
	})
	return i, failed
}

// withoutLeftovers returns the bundles without those before and at index i, between which a
// search has ended, that are of another history.
func (s *session) withoutLeftovers(ctx context.Context, l listing, bundles []object, i int) ([]object, error) {
	ends := bundles[max(0, i-1):min(i+1, len(bundles))]
	known := func(o object) bool {
		key, _, known := l.hints.bundleOf(o.version)
		return known && key == o.version
	}
	if !slices.ContainsFunc(ends, func(o object) bool { return !known(o) }) {
		return bundles, nil
	}
	t, err := s.trailTo(ctx, l, ends[len(ends)-1].version, runAhead)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(bundles), func(o object) bool { return t.leftBehind(o.version) }), nil
}

// beginningAt returns the version at which a history begins if it is not newer than t.
// After retention no bundle begins with it, but a base has it.
func (s *session) beginningAt(ctx context.Context, l listing, first deltalog.Version, t time.Time) (deltalog.Version, error) {
	if o, found := find(l.bases, first); found {
		b, err := s.peekBase(ctx, o)
		if err != nil {
			return 0, err
		}
		if b.Timestamp <= t.UnixMilli() {
			return first, nil
		}
	}
	return 0, fmt.Errorf("%w: no version is as old as %s", ErrGap, t.UTC().Format(time.RFC3339Nano))
}

func (s *session) readWholeBase(ctx context.Context, o object) (bundle.Base, error) {
	r, err := s.store.Open(ctx, o.Key, 0, -1)
	if err != nil {
		return bundle.Base{}, err
	}
	b, err := s.opts.Codec.DecodeBase(ctx, r, discarded)
	return b, errors.Join(err, r.Close())
}

// beginning returns the version of the base to begin with: the newest one if only
// live files are wanted, that of the segment's beginning if what came before is
// missing.
func (s *session) beginning(l listing, in segment, target deltalog.Version) *deltalog.Version {
	if s.opts.History == HistoryLive {
		if b, found := l.newestBase(in, target); found {
			return &b.version
		}
	}
	if b, found := find(l.bases, in.first); found && in.first > 0 {
		return &b.version
	}
	return nil
}
