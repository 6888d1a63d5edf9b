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

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

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
