package remote

import (
	"context"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// ends remembers how far bundles lead, which takes reading their manifests. They do not
// change: one that is as large and as old as before is the same.
type ends map[bundleSeen]deltalog.Version

type bundleSeen struct {
	version  deltalog.Version
	size     int64
	modified time.Time
}

// maxEnds bounds how many are remembered, some 100 bytes each; beyond it begins anew.
const maxEnds = 100_000

func seenAs(o object) bundleSeen { return bundleSeen{o.version, o.Size, o.ModTime} }

// learnEnds notes in a listing how far the bundles from version first on lead behind which
// keys are missing, and of which neither a pack nor the hints know. Their manifests are
// read several at once; of one that cannot be read whoever needs it will hear.
func (s *session) learnEnds(ctx context.Context, l listing, first deltalog.Version, hints runHints) {
	s.Replicator.mu.Lock()
	known := s.ends
	var unknown []object
	for i := range max(0, len(l.bundles)-1) { // of the last one nothing tells that it is a run
		o := &l.bundles[i]
		_, _, hinted := hints.bundleOf(o.version)
		if o.version < first || o.pack || hinted || l.bundles[i+1].version == o.version+1 {
			continue
		}
		if last, there := known[seenAs(*o)]; there {
			o.last = last
		} else {
			unknown = append(unknown, *o)
		}
	}
	s.Replicator.mu.Unlock()
	for p := range s.peekEach(ctx, unknown) {
		if p.err != nil {
			continue
		}
		i, _ := search(l.bundles, p.version)
		l.bundles[i].last = endOf(p.Manifest)
		s.rememberEnd(p.object, l.bundles[i].last)
	}
}

func (s *session) rememberEnd(o object, last deltalog.Version) {
	s.Replicator.mu.Lock()
	defer s.Replicator.mu.Unlock()
	if s.ends == nil || len(s.ends) >= maxEnds {
		s.ends = ends{}
	}
	s.ends[seenAs(o)] = last
}
