package remote

import (
	"context"
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

// lookAtPins makes sure that the pinned versions can be restored, which may lie below the
// history.
func (v *verifier) lookAtPins(ctx context.Context, id *identity, l listing, segments []segment) error {
	for _, pin := range l.pins {
		if slices.ContainsFunc(segments, func(seg segment) bool { return seg.first <= pin && pin <= seg.last }) {
			continue
		}
		seg, _, err := v.gapFreeEnd(ctx, l, l.startOf(id, pin), onlyTo(-1))
		if err != nil {
			return err
		}
		if seg.last < pin {
			v.found.version(FindingMissing, pin, "", "it is pinned, and the versions that it takes end at %d", int64(seg.last))
		}
	}
	return nil
}
