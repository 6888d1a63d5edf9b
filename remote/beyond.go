package remote

import (
	"slices"
	"sync"

	"github.com/pondworks/sluice/deltalog"
)

// beyondEnd is what a push knows of bundles above the end of the store: a push that was cut
// off has left them above one that did not get there. They count for nothing, but may have
// files that the table has lost since.
type beyondEnd struct {
	mu      sync.Mutex // guards what follows
	bundles []deltalog.Version
	apart   map[deltalog.Version]bool // of these: those that begin a bundle of this push
}

// found notes what a listing has above the versions without a gap.
func (b *beyondEnd) found(l listing, segments []segment) {
	first := 0
	if n := len(segments); n > 0 {
		first, _ = search(l.bundles, segments[n-1].last+1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bundles = b.bundles[:0]
	for _, o := range l.bundles[first:] {
		b.bundles = append(b.bundles, o.version)
	}
}

// setApart has those bundles that begin above first and may carry version v, of which a file
// is about to be recorded absent, begin bundles of this push: only then what is there is settled
// with what we would store, and counts if it has the file. It reports whether that is new.
func (b *beyondEnd) setApart(first, v deltalog.Version) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := slices.BinarySearch(b.bundles, first+1)
	for ; i < len(b.bundles) && b.bundles[i] <= v; i++ {
		if at := b.bundles[i]; !b.apart[at] {
			if b.apart == nil {
				b.apart = map[deltalog.Version]bool{}
			}
			b.apart[at], changed = true, true
		}
	}
	return changed
}

// begins reports whether version v is to begin a bundle of this push.
func (b *beyondEnd) begins(v deltalog.Version) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.apart[v]
}
