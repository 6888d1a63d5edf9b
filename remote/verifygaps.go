package remote

import (
	"context"
	"errors"
	"slices"

	"github.com/pondworks/sluice/deltalog"
)

// inGaps tells of bundles whether they lie in a gap between the segments, or before the
// first, of a history that begins at start. Those that lead out of it do not.
func inGaps(start deltalog.Version, segments []segment) func(deltalog.Version) bool {
	return func(first deltalog.Version) bool {
		from := start
		for _, seg := range segments {
			if _, of := find(seg.bundles, first); of {
				return false
			}
			if from <= first && first < seg.first {
				return true
			}
			from = seg.last + 1
		}
		return false
	}
}

// stretch are the versions from first to last, both inclusive.
type stretch struct{ first, last deltalog.Version }

// below is what is needed of what lies below the beginning of the history, where a Prune
// removes the rest, or has begun to.
type below struct {
	start    deltalog.Version          // of the history
	promised []stretch                 // the history, and from their bases on the pinned versions
	bundles  map[deltalog.Version]bool // that these and the bases take
}

// add promises versions, which these segments have.
func (b *below) add(versions stretch, segments []segment) {
	b.promised = append(b.promised, versions)
	for _, seg := range segments {
		for _, o := range seg.bundles {
			b.refer(o.version)
		}
	}
}

// refer notes that a bundle is needed.
func (b *below) refer(v deltalog.Version) {
	b.bundles[v] = true
}

func (b *below) promises(v deltalog.Version) bool {
	return slices.ContainsFunc(b.promised, func(s stretch) bool { return s.first <= v && v <= s.last })
}

// needed returns the bundles from the beginning of the history on, and those below that
// are of use. Where packs have what lies around them, some of these were not listed.
func (b *below) needed(l listing) []object {
	all := slices.DeleteFunc(slices.Clone(l.bundles), func(o object) bool { return o.version < b.start && !b.bundles[o.version] })
	for v := range b.bundles {
		if _, listed := find(l.bundles, v); len(l.indexes) > 0 && !listed {
			all = append(all, bundleAt(v))
		}
	}
	slices.SortFunc(all, byVersion)
	return all
}

// lookAtPins makes sure that the pinned versions can be restored, which may lie below the
// history.
func (v *verifier) lookAtPins(ctx context.Context, id *identity, l listing, segments []segment, hints runHints) error {
	for _, pin := range l.pins {
		if slices.ContainsFunc(segments, func(seg segment) bool { return seg.first <= pin && pin <= seg.last }) {
			continue
		}
		start := l.startOf(id, pin)
		if _, has := find(l.bases, start); start > 0 && !has {
			v.found.version(FindingMissing, start, baseKey(start), "version %d, which is pinned, begins with it", int64(pin))
		}
		seg, _, err := v.gapFreeEnd(ctx, l, start, hints)
		var e *Error
		switch {
		case errors.As(err, &e) && e.Version != nil && v.found.damage(*e.Version, e.Key, err):
			continue
		case err != nil:
			return err
		case seg.last < pin:
			v.found.version(FindingMissing, pin, "", "it is pinned, and the versions that it takes end at %d", int64(seg.last))
		}
		seg.bundles = seg.upTo(pin)
		v.below.add(stretch{seg.first, pin}, []segment{seg})
		if err := v.addReaching(ctx, l, start); err != nil {
			return err
		}
	}
	return nil
}

// addReaching refers to the runs that begin below a version with which what is promised
// begins: at that itself may lie a bundle of another history.
func (v *verifier) addReaching(ctx context.Context, l listing, start deltalog.Version) error {
	runs, err := v.reaching(ctx, l, start)
	for _, o := range runs {
		v.below.refer(o.version)
	}
	return err
}
