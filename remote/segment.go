package remote

import (
	"context"
	"errors"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// newestBase returns the newest base in the segment up to target, if there is one. One
// beyond the segment may be what is left of a push over a gap that was cut off.
func (l listing) newestBase(in segment, target deltalog.Version) (object, bool) {
	for _, b := range slices.Backward(l.bases) {
		if in.first <= b.version && b.version <= min(target, in.last) {
			return b, true
		}
	}
	return object{}, false
}

// segment is a stretch of versions without a gap, both ends inclusive. If it does
// not begin at version 0, there is a base at its beginning.
type segment struct {
	first, last deltalog.Version
	bundles     []object // that carry them, ascending
	lost        bool     // a loss lies before it
	gap         bool     // a recorded gap does, and the store has nothing of it
}

// upTo returns the bundles that it takes to get to v.
func (seg segment) upTo(v deltalog.Version) []object {
	n := 0
	for n < len(seg.bundles) && seg.bundles[n].version <= v {
		n++
	}
	return seg.bundles[:n]
}

// from returns the segment without the bundles that end below version v, which is in it.
func (seg segment) from(v deltalog.Version) segment {
	i, _ := search(seg.bundles, v+1)
	return segment{first: v, last: seg.last, bundles: seg.bundles[max(0, i-1):]}
}

// maxRun is how many versions a bundle carries at most.
const maxRun = bundle.MaxVersions

// gapFreeEnd returns the versions without a gap from first on. A version is there
// if some bundle carries it; what lies above a gap is not there yet, since uploads
// may finish out of order. found is false if first itself is not there.
//
// Most bundles carry one version, and a key says nothing of how many: only where
// the next key is missing it takes the hints of the head or a look into the
// manifest.
func (s *session) gapFreeEnd(ctx context.Context, l listing, first deltalog.Version, hints runHints) (seg segment, found bool, err error) {
	seg = segment{first: first, last: first - 1}
	for {
		if o, there := find(l.bundles, seg.last+1); there {
			seg.last = o.end()
			seg.bundles = append(seg.bundles, o)
			continue
		}
		run, err := s.endOfRun(ctx, l, seg.last, hints)
		if err != nil {
			return segment{}, false, err
		}
		if run.last <= seg.last {
			return seg, seg.last >= first, nil
		}
		seg.last = run.last
		n, _ := search(seg.bundles, run.version)
		seg.bundles = append(seg.bundles[:n], run.object) // the run carries what those after it do
	}
}

// run is what endOfRun found: a bundle and the last version it carries.
type run struct {
	object
	last deltalog.Version
}

// endOfRun looks for a bundle that carries version v and more, where the key of
// the version after v is missing. Without one the last version is v.
func (s *session) endOfRun(ctx context.Context, l listing, v deltalog.Version, hints runHints) (run, error) {
	found := run{last: v}
	i, _ := search(l.bundles, v+1)
	if i == 0 {
		return found, nil
	}
	key, last, known := hints.bundleOf(v)
	if beside := last == v && l.bundles[i-1].version > key; known && !beside { // one that the head knows nothing of may lead further
		if o, listed := find(l.bundles, key); listed && (last > v || v == hints.to) {
			return run{o, last}, nil
		}
	}
	if err := s.longer(ctx, &found, l, i-1, i); err != nil || found.last > v {
		return found, err
	}
	if i == len(l.bundles) && hints.to == v { // as the head says
		return found, nil
	}
	// A run that leads further may begin further below, where two pushers were at
	// work at once.
	from, _ := search(l.bundles, v+1-maxRun)
	from = min(max(from, i-runAhead, 0), i-1)
	err := s.longer(ctx, &found, l, from, i-1)
	return found, err
}

// longer replaces found by that of the bundles from one index to another that carries most
// beyond it, if one does.
func (s *session) longer(ctx context.Context, found *run, l listing, from, to int) error {
	v := found.last
	for p := range s.peekEach(ctx, l.bundles[from:to]) {
		if l.passes(p.err) || s.lenient && errors.Is(p.err, ErrCorrupt) {
			continue
		}
		if errors.Is(p.err, ErrCorrupt) {
			return inTheWay(p.object, p.err)
		}
		if p.err != nil {
			return p.err
		}
		if last := deltalog.Version(p.Versions[len(p.Versions)-1].Version); last > v && last >= found.last {
			*found = run{p.object, last}
		}
	}
	return nil
}

// history returns the segments that make up the history which begins at first:
// one, and another for each gap that a bundle records, also one at the very beginning.
// A hole that none records is not bridged, and what lies above it not there yet.
func (s *session) history(ctx context.Context, l listing, first deltalog.Version, hints runHints) ([]segment, error) {
	s.learnEnds(ctx, l, first, hints)
	var segments []segment
	for next, gap := first, false; ; {
		seg, found, err := s.gapFreeEnd(ctx, l, next, hints)
		if err != nil || !found && next > first {
			return segments, err
		}
		if found {
			seg.gap = gap
			segments = append(segments, seg)
		}
		if next, found, err = s.bridge(ctx, l, seg.last); err != nil || !found {
			return segments, err
		}
		gap = l.floor() <= seg.last+1 && l.nextBundle(seg.last) == next
	}
}

// nextBundle returns the version of the first bundle above v, or v if there is none.
func (l listing) nextBundle(v deltalog.Version) deltalog.Version {
	if i, _ := search(l.bundles, v+1); i < len(l.bundles) {
		return l.bundles[i].version
	}
	return v
}

// bridge looks for the bundle that records the gap after end. It stands beside a
// base. Below it there may be leftovers of an upload that was cut off before the
// source lost what they follow; and what the gap counts as missing may have been
// pushed later. What retention took is a gap, too.
func (s *session) bridge(ctx context.Context, l listing, end deltalog.Version) (deltalog.Version, bool, error) {
	if floor := l.floor(); floor > end+1 {
		_, found := find(l.bases, floor)
		return floor, found, nil
	}
	for _, b := range l.bases {
		o, there := find(l.bundles, b.version)
		if b.version <= end || !there {
			continue
		}
		m, err := s.peek(ctx, o)
		if s.lenient && isBroken(err) {
			continue
		}
		if err != nil {
			return 0, false, err
		}
		if gap := m.Versions[0].Gap; gap != nil && deltalog.Version(gap.From) <= end+1 {
			return b.version, true, nil
		}
	}
	return 0, false, nil
}
