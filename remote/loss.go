package remote

import (
	"context"
	"errors"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// A loss is a hole that was filled once: something removed objects which are needed. Only
// with Options.AcrossGap a reader goes on above it, and only from a base that is whole, as if
// the versions between had never been pushed. A pusher never does: it would leave out what
// the table may still have.

// acrossLosses adds to the segments of a history that begins at first what lies beyond a loss,
// up to promised.
func (s *session) acrossLosses(ctx context.Context, l listing, segments []segment, first, promised deltalog.Version) ([]segment, error) {
	for {
		end := first - 1
		if n := len(segments); n > 0 {
			end = segments[n-1].last
		}
		if end >= promised {
			return segments, nil
		}
		if there, err := s.has(ctx, bundleKey(end+1)); there || err != nil { // the listing lags
			return segments, err
		}
		v, found, err := s.beyondLoss(ctx, l, end)
		if err != nil || !found {
			return segments, err
		}
		beyond, err := s.history(ctx, l, v, l.hints)
		if err != nil || len(beyond) == 0 {
			return segments, err
		}
		beyond[0].lost = true
		segments = append(segments, beyond...)
	}
}

// baseAbove returns the version of the base with which a reader goes on where that of version v
// is gone: that of the floor, or, if it was lost, with Options.AcrossGap, another one.
func (s *session) baseAbove(ctx context.Context, v deltalog.Version) (deltalog.Version, bool, error) {
	l, err := s.list(ctx)
	if err != nil {
		return 0, false, err
	}
	if floor := l.floor(); floor > v {
		_, found := find(l.bases, floor)
		return floor, found, nil
	}
	if !s.opts.AcrossGap {
		return 0, false, nil
	}
	return s.beyondLoss(ctx, l, v)
}

// beyondLoss returns the version of the oldest whole base above end.
func (s *session) beyondLoss(ctx context.Context, l listing, end deltalog.Version) (deltalog.Version, bool, error) {
	i, _ := search(l.bases, end+1)
	for _, o := range l.bases[i:] {
		whole, err := s.isWhole(ctx, l, o)
		if err != nil {
			return 0, false, err
		}
		if whole {
			s.log.Warn("versions are lost, going on from the base above them", "from", int64(end+1), logVersion, o.version)
			return o.version, true, nil
		}
	}
	return 0, false, nil
}

// newestWholeBase returns the newest whole base in the segment up to target.
func (s *session) newestWholeBase(ctx context.Context, l listing, in segment, target deltalog.Version) (object, bool, error) {
	for {
		o, found := l.newestBase(in, target)
		if !found {
			return o, false, nil
		}
		whole, err := s.isWhole(ctx, l, o)
		if whole || err != nil {
			return o, whole, err
		}
		target = o.version - 1
	}
}

// isWhole reports whether a base is of the history, as its bundle proves, and all is there that
// its index refers to. It reads the base to its end.
func (s *session) isWhole(ctx context.Context, l listing, o object) (bool, error) {
	proof, err := s.commitBeside(ctx, l, o.version)
	if err != nil || proof == nil {
		return false, err
	}
	index, lost := s.sorter(), false
	holder := newHolder(s, l, o)
	b, err := s.addIndex(ctx, index, o.version, func(ctx context.Context, e bundle.IndexEntry) (bool, error) {
		there, err := holder.holds(ctx, e)
		lost = lost || err == nil && !there
		return there, err
	})
	if err == nil && b.Commit.SHA256 != *proof {
		err = errForeignBase
	}
	err = errors.Join(err, index.Close())
	if isBroken(err) || errors.Is(err, errForeignBase) {
		s.log.Warn("a base with which a reader cannot go on", logKey, o.Key, logError, err)
		return false, nil
	}
	return err == nil && !lost, err
}
