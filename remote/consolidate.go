package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Bounds of a pack.
const (
	// packBundle is up to how many bytes a bundle is taken into a pack: a larger one
	// costs hardly less to read there.
	packBundle = 2 << 20
	// packBytes and packBundles are where a pack is full. With so many bundles its
	// index is still a small object.
	packBytes   = 1 << 30
	packBundles = 4096
)

// Consolidated says what Consolidate did.
type Consolidated struct {
	Packs    int      `json:"packs"`   // that were made
	Bundles  int      `json:"bundles"` // that they took over
	Bytes    int64    `json:"bytes"`   // of these
	Requests Requests `json:"requests"`
}

// Consolidate makes packs: many small bundles copied into one object, byte for
// byte, so that a full init of many versions that were pushed one at a time takes
// tens of requests instead of thousands. It needs no table, only the rights to
// read, list and create.
//
// Every bundle is checked on the way, the pack is read back, and then an index is
// created, from which on readers take the bundles from the pack. The bundles
// themselves stay until Prune removes them, so a replica in the middle of an init
// is not hurt. It may run at any time, beside pushers and other consolidators, and
// may be cut off at any point: the next run goes on. Wraps ErrEmptyStore if there
// is nothing, ErrReadOnly if the store cannot be written, ErrCorrupt, naming it, if
// a bundle is damaged.
func (r *Replicator) Consolidate(ctx context.Context) (Consolidated, error) {
	s := r.newSession("consolidate")
	done, err := s.consolidate(ctx)
	done.Requests = s.store.meter.requests()
	return done, opError("consolidate", err)
}

func (s *session) consolidate(ctx context.Context) (done Consolidated, err error) {
	if s.store.creator == nil {
		return done, fmt.Errorf("%w: the store cannot be written", ErrReadOnly)
	}
	id, l, segments, err := s.wholeHistory(ctx)
	if err != nil {
		return done, err
	}
	var groups [][]object
	before := map[deltalog.Version]object{} // the bundle before that of a version
	for _, seg := range segments {
		groups = append(groups, packGroups(seg.bundles)...)
		for i := 1; i < len(seg.bundles); i++ {
			before[seg.bundles[i].version] = seg.bundles[i-1]
		}
	}
	all := slices.Concat(groups...)
	s.foreseeObjects(slices.Concat(all, all), true) // each is read, and its pack read back
	for _, group := range groups {
		chain := commits{}
		if o, there := before[group[0].version]; there {
			m, err := s.peek(ctx, o)
			if err != nil {
				return done, err
			}
			chain.add(m)
		}
		x, err := s.makePack(ctx, id, l, group, chain)
		if err != nil {
			return done, err
		}
		if x == nil {
			continue
		}
		done.Packs++
		done.Bundles += len(x.Bundles)
		done.Bytes += x.Size
		s.log.Info("consolidated", logVersion, x.first(), logLast, x.last(), logKey, x.Pack)
	}
	return done, nil
}

// wholeHistory reads whose store this is and what its history is.
func (s *session) wholeHistory(ctx context.Context) (*identity, listing, []segment, error) {
	id, err := s.readIdentity(ctx)
	if err != nil {
		return nil, listing{}, nil, err
	}
	if id == nil {
		return nil, listing{}, nil, ErrEmptyStore
	}
	l, err := s.list(ctx)
	if err != nil {
		return nil, listing{}, nil, err
	}
	h, err := s.headOf(ctx, id)
	if err != nil {
		return nil, listing{}, nil, err
	}
	l.hints = h.hints()
	segments, err := s.history(ctx, l, l.start(id), l.hints)
	return id, l, segments, err
}

// packGroups returns what belongs into one pack each: small bundles that follow
// each other and that no pack has yet, at least two.
func packGroups(bundles []object) [][]object {
	var groups [][]object
	var group []object
	size := int64(0)
	end := func() {
		if len(group) > 1 {
			groups = append(groups, group)
		}
		group, size = nil, 0
	}
	for _, o := range bundles {
		if o.pack || o.Size > packBundle || o.Size < 0 { // the last: not listed yet
			end()
			continue
		}
		if len(group) == packBundles || size+o.Size > packBytes {
			end()
		}
		group = append(group, o)
		size += o.Size
	}
	end()
	return groups
}

// makePack makes a pack of a group, which follows the commits of chain, and its index. It
// returns nil if one bundle of the group does for all.
//
// Where pushers did not know of each other a bundle may lie within another, or be of another
// history, which only manifests tell. That is rare, so they are looked at when it was met.
func (s *session) makePack(ctx context.Context, id *identity, l listing, group []object, chain commits) (*packIndex, error) {
	w := newPackWriter(ctx, s, group, chain)
	x, err := s.writePack(ctx, id, l, w)
	if !w.astray {
		return x, err
	}
	t, err := s.trailTo(ctx, l, group[0].version-1, runAhead) // what lay before may be astray, too
	if err != nil {
		return nil, err
	}
	chain = t.commits
	group, err = s.linked(ctx, group, chain)
	if err != nil || len(group) < 2 {
		return nil, err
	}
	return s.writePack(ctx, id, l, newPackWriter(ctx, s, group, chain))
}

// linked returns the bundles of a group that make up the history which follows chain,
// without those that carry nothing new.
func (s *session) linked(ctx context.Context, group []object, chain commits) ([]object, error) {
	chain = maps.Clone(chain)
	var linked []object
	end := group[0].version - 1
	for p := range s.peekEach(ctx, group) {
		switch {
		case p.err != nil:
			return nil, p.err
		case beginOf(p.Manifest) > end+1:
			return linked, nil
		case endOf(p.Manifest) > end && chain.fit(p.Manifest):
			chain.add(p.Manifest)
			linked, end = append(linked, p.object), endOf(p.Manifest)
		}
	}
	return linked, nil
}

// writePack copies the bundles into one object, reads it back, and creates its
// index.
func (s *session) writePack(ctx context.Context, id *identity, l listing, w *packWriter) (*packIndex, error) {
	defer func() { w.stop() }()
	group := w.group
	x := &packIndex{Format: storeFormat, Lineage: id.Lineage}
	// The key names the last version, which only the last bundle tells.
	last, err := s.peek(ctx, group[len(group)-1])
	if err != nil {
		return nil, err
	}
	x.Pack = packKey(group[0].version, deltalog.Version(last.Versions[len(last.Versions)-1].Version))
	size := int64(0)
	for _, o := range group {
		size += o.Size
	}
	err = s.store.creator.Create(ctx, x.Pack, w, size)
	if errors.Is(err, storage.ErrExists) { // of another consolidator, or a run that was cut off
		err = w.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.Pack, err)
	}
	x.Size, x.SHA256, x.Bundles = size, bundle.Digest(w.hash.Sum(nil)), w.done
	if x.Bases, err = s.basesBelow(ctx, l, x.last()); err != nil {
		return nil, err
	}
	if err := s.readBack(ctx, x); err != nil {
		return nil, fmt.Errorf("%s: %w", x.Pack, err)
	}
	if err := x.check(); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(x) // on one line, for it is long
	if err != nil {
		return nil, err
	}
	raw = seal(raw)
	err = s.store.creator.Create(ctx, packIndexKey(x.first(), x.last()), bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, storage.ErrExists) {
		err = nil // it says the same, being made of the same bundles
	}
	return x, err
}

// basesBelow returns the bases of the history below a version. Those that another index
// names were looked at when that was written.
func (s *session) basesBelow(ctx context.Context, l listing, v deltalog.Version) ([]baseSize, error) {
	var below []baseSize
	for _, o := range l.bases {
		if o.version >= v {
			break
		}
		own, err := l.named[o.version], error(nil)
		if !own {
			own, err = s.isOwnBase(ctx, l, o)
		}
		if err != nil && !isBroken(err) {
			return nil, err
		}
		if own || err != nil {
			below = append(below, baseSize{int64(o.version), o.Size})
		}
	}
	return below, nil
}

// readBack makes sure that what lies under the key of a pack is what was meant.
func (s *session) readBack(ctx context.Context, x *packIndex) error {
	r, err := s.store.Open(ctx, x.Pack, 0, -1)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(h, counted{r, s.portion(x.Size)})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if got := bundle.Digest(h.Sum(nil)); err == nil && (n != x.Size || got != x.SHA256) {
		err = fmt.Errorf("%w: read back %d bytes with sha256 %s, want %d with %s", ErrCorrupt, n, got, x.Size, x.SHA256)
	}
	return err
}
