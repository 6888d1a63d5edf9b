package remote

import (
	"slices"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// A Consolidate that was cut off leaves a pack without an index. It does not count, and the
// next one takes it, if its bundles are still the same and no more came after them. Else it
// is of no use: its name is taken, so that packs are cut elsewhere (makePacks), and it stays
// until Prune removes it. One whose index was lost may have the last copy of a bundle: then Prune
// removes nothing (checkNeeded).

// leftPacks returns the packs without an index that no Consolidate takes any more, with the
// time since when that is so: packs with an index have all their versions, or they lie below
// the floor of kept. One that has not made its index a grace period after that was stopped.
func (l listing) leftPacks(kept listing) []object {
	var left []object
	for _, o := range l.packs {
		if slices.ContainsFunc(l.indexes, func(x object) bool { return x.version == o.version && x.last == o.last }) {
			continue
		}
		since, all := l.packedSince(o.version, o.last)
		if !all && o.last < kept.floor() {
			since, all = kept.givenUp(o.last), true
		}
		if all {
			o.ModTime = later(o.ModTime, since)
			left = append(left, o)
		}
	}
	return left
}

// packedSince reports whether packs that have an index have all versions from first to last,
// and since when.
func (l listing) packedSince(first, last deltalog.Version) (since time.Time, all bool) {
	for _, x := range l.indexes {
		if x.version <= first && first <= x.last {
			first, since = x.last+1, later(since, x.ModTime)
		}
	}
	return since, first > last
}
