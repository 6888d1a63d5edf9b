package remote

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/internal/tempfile"
)

// group is what the Replicators of a Multi share: the lineage of new stores, and
// bundles that were packed by one and that others want as well. Each keeps its own
// position and plans its own bundles; where plans are the same the packing is.
type group struct {
	members []*Replicator
	lineage *lineage
	memory  int64 // bytes of bundles held in memory
	disk    int64 // bytes of bundles held in temporary files

	mu      sync.Mutex // guards what follows, and the counts of bundles held; nothing waits under it
	calls   int        // under way; without any nothing is held
	pushing int        // pushes under way, of one store each
	held    []*held    // oldest first
}

// held is a bundle that is being packed or was.
type held struct {
	key    bundle.Digest // of its plan
	onDisk bool
	size   int64 // that it takes of the limit
	users  int   // who read it or wait for it
	taken  int   // how many have come for it
	pauses int   // how often no push was under way since

	packed   chan struct{} // closed when what follows is known
	manifest *bundle.Manifest
	data     pieces         // or
	file     *tempfile.File // and its size
	length   int64
}

// hold keeps what is held until the function that it returns was called: a call on
// all stores is under way, and some may come later than others for what they lack.
func (g *group) hold() (done func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.calls--; g.calls == 0 {
			g.held = slices.DeleteFunc(g.held, g.drop)
		}
	}
}

// begin notes that the push of one store begins; what it returns, that it has ended.
func (g *group) begin() (end func()) {
	done := g.hold()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pushing++
	return func() {
		g.mu.Lock()
		if g.pushing--; g.pushing == 0 {
			g.held = slices.DeleteFunc(g.held, g.age)
		}
		g.mu.Unlock()
		done()
	}
}

// age gives up what was held while each store could have pushed one after the other:
// who has not come for it by then is down.
func (g *group) age(h *held) bool {
	h.pauses++
	return h.pauses >= len(g.members) && g.drop(h)
}

// share lets src read a bundle that one packing made for all who want it. free is nil
// if it is not shared: then the caller packs for itself.
func (g *group) share(ctx context.Context, s *session, p *plan, src *packing[bundle.Manifest]) (free func(), err error) {
	key, err := planKey(p, s.opts.Writer)
	if err != nil {
		return nil, err
	}
	h, first := g.take(key, p.size, p.size > s.packedInMemory())
	switch {
	case h == nil:
		return nil, nil
	case first:
		err = h.pack(src)
		close(h.packed)
	default:
		select {
		case <-h.packed:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	free = func() { g.release(h) }
	if err != nil || h.manifest == nil {
		free()
		var full *spoolError
		if errors.As(err, &full) {
			s.log.Warn("no room to keep a bundle for the other stores", logVersion, p.first(), logError, err)
			err = nil
		}
		return nil, err
	}
	src.done = h.manifest
	if h.file != nil {
		src.whole = io.NewSectionReader(h.file, 0, h.length)
	} else {
		src.hold(&h.data)
	}
	return free, nil
}

// planKey is the same for plans that make the same bundle.
func planKey(p *plan, w bundle.Writer) (bundle.Digest, error) {
	b, err := json.Marshal(p.manifest(w))
	for _, v := range p.versions {
		b = append(b, v.digest[:]...)
	}
	return sha256.Sum256(b), err
}

// take returns the bundle of that key. The first to come has to pack it. It is nil if
// there is no room to keep it.
func (g *group) take(key bundle.Digest, size int64, onDisk bool) (h *held, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.held {
		if h.key == key {
			h.users++
			h.taken++
			return h, false
		}
	}
	if !g.makeRoom(size, onDisk) {
		return nil, false
	}
	h = &held{key: key, onDisk: onDisk, size: size, users: 1, taken: 1, packed: make(chan struct{})}
	g.held = append(g.held, h)
	return h, true
}

// makeRoom gives up what nobody reads at the moment, the oldest first: who comes for
// it later packs it again.
func (g *group) makeRoom(size int64, onDisk bool) bool {
	limit, used := g.memory, int64(0)
	if onDisk {
		limit = g.disk
	}
	if size > limit {
		return false
	}
	for _, h := range g.held {
		if h.onDisk == onDisk {
			used += h.size
		}
	}
	g.held = slices.DeleteFunc(g.held, func(h *held) bool {
		if used+size <= limit || h.onDisk != onDisk || !g.drop(h) {
			return false
		}
		used -= h.size
		return true
	})
	return used+size <= limit
}

// release notes that one of those who took h is done with it. It goes when all
// stores have had it, or nobody could.
func (g *group) release(h *held) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.users--
	if h.users == 0 && (h.taken == len(g.members) || h.manifest == nil) {
		g.held = slices.DeleteFunc(g.held, func(other *held) bool { return other == h && g.drop(h) })
	}
}

// drop gives up what h holds, unless somebody uses it.
func (g *group) drop(h *held) bool {
	if h.users > 0 {
		return false
	}
	if h.file != nil {
		if err := h.file.Close(); err != nil {
			g.members[0].log.Warn("temporary file not removed", logPath, h.file.Name(), logError, err)
		}
	}
	return true
}

// spoolError: the temporary file cannot be written.
type spoolError struct{ error }

func (e *spoolError) Unwrap() error { return e.error }

// pack packs into memory or a temporary file.
func (h *held) pack(src *packing[bundle.Manifest]) error {
	if !h.onDisk {
		m, err := src.pack(&h.data)
		if err == nil {
			h.manifest = &m
		}
		return err
	}
	f, err := tempfile.Create("", "sluice-bundle-")
	if err != nil {
		return &spoolError{err}
	}
	h.file = f
	w := &spool{w: f}
	m, err := src.pack(w)
	if w.err != nil {
		return &spoolError{w.err}
	}
	if err == nil {
		h.length, h.manifest = w.n, &m
	}
	return err
}

// spool counts what is written and keeps the error that it met.
type spool struct {
	w   io.Writer
	n   int64
	err error
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.n += int64(n)
	s.err = errors.Join(s.err, err)
	return n, err
}
