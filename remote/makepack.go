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

// errNameTaken is the error of writePack if the name of the pack is another one's.
var errNameTaken = errors.New("the name is that of another pack")

// makePacks makes a pack of a group, which follows the commits of chain, and its index. Of
// one bundle, also one that does for all of the group, it makes none.
//
// A Consolidate that was cut off has left a pack without an index, and the bundles may be
// others by now: pushed anew, say, where one was damaged. Nothing is replaced, so the
// group is then divided into halves, whose packs have other names, until these are free.
// Two bundles that cannot be divided any further stay as they are.
//
// Where pushers did not know of each other a bundle may lie within another, or be of another
// history, which only manifests tell. That is rare, so they are looked at when it was met.
func (s *session) makePacks(ctx context.Context, id *identity, l listing, group []object, chain commits) ([]*packIndex, error) {
	if len(group) < 2 {
		return nil, nil
	}
	w := newPackWriter(ctx, s, group, chain)
	x, err := s.writePack(ctx, id, l, w)
	if w.astray {
		group, chain, err = s.straighten(ctx, l, group)
		if err != nil || len(group) < 2 {
			return nil, err
		}
		x, err = s.writePack(ctx, id, l, newPackWriter(ctx, s, group, chain))
	}
	if errors.Is(err, errNameTaken) {
		return s.makeHalves(ctx, id, l, group, chain)
	}
	if x == nil || err != nil {
		return nil, err
	}
	return []*packIndex{x}, nil
}

// makeHalves is makePacks for a group that was read to its end, so that it is known to be
// bundles of the history one after the other, but whose name is taken.
func (s *session) makeHalves(ctx context.Context, id *identity, l listing, group []object, chain commits) ([]*packIndex, error) {
	s.log.Warn("another pack has the name, dividing", logVersion, group[0].version, "bundles", len(group))
	if len(group) == 2 {
		return nil, nil
	}
	s.foreseeObjects(slices.Concat(group, group), true) // once more
	n := (len(group) + 1) / 2
	made, err := s.makePacks(ctx, id, l, group[:n], chain)
	if err != nil {
		return made, err
	}
	m, err := s.peek(ctx, group[n-1])
	if err != nil {
		return made, err
	}
	chain = maps.Clone(chain)
	chain.add(m)
	more, err := s.makePacks(ctx, id, l, group[n:], chain)
	return append(made, more...), err
}

// straighten returns the bundles of a group that make up the history, and the commits that
// they follow: what lay before may be astray, too.
func (s *session) straighten(ctx context.Context, l listing, group []object) ([]object, commits, error) {
	t, err := s.trailTo(ctx, l, group[0].version-1, runAhead)
	if err != nil {
		return nil, nil, err
	}
	group, err = s.linked(ctx, group, t.commits)
	return group, t.commits, err
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
// index. It returns nil if nobody needs the pack any more by now, and wraps errNameTaken if
// there is a pack of that name that has other bytes.
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
	if stale, err := s.isIndexAlone(ctx, x.Pack); stale || err != nil {
		return nil, firstOf(err, errNameTaken)
	}
	err = s.store.creator.Create(ctx, x.Pack, w, size)
	taken := errors.Is(err, storage.ErrExists) // by another consolidator, or one that was cut off
	if taken {
		err = w.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.Pack, err)
	}
	x.Size, x.SHA256, x.Bundles = size, bundle.Digest(w.hash.Sum(nil)), w.done
	if x.Bases, err = s.basesBelow(ctx, l, x.last()); err != nil {
		return nil, err
	}
	err = s.readBack(ctx, x)
	if taken && errors.Is(err, errReadBack) {
		err = errNameTaken
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.Pack, err)
	}
	if err := x.check(); err != nil {
		return nil, err
	}
	if gone, err := s.givenUpMeanwhile(ctx, x); gone || err != nil {
		return nil, err
	}
	raw, err := json.Marshal(x) // on one line, for it is long
	if err != nil {
		return nil, err
	}
	raw = seal(raw)
	err = s.store.creator.Create(ctx, packIndexKey(x.first(), x.last()), bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, storage.ErrExists) {
		err = nil // it says the same, being made of the same bundles; of one that does not, the size tells readers
	}
	return x, err
}

// isIndexAlone reports whether there is an index whose pack was lost: it would be taken for that of
// another pack of the name.
func (s *session) isIndexAlone(ctx context.Context, pack string) (bool, error) {
	first, last, _ := parsePackKey(pack)
	there, err := s.has(ctx, packIndexKey(first, last))
	if !there || err != nil {
		return false, err
	}
	there, err = s.has(ctx, pack)
	return !there, err
}

// givenUpMeanwhile reports whether Prune may have removed the pack of x while that was made: a
// pack without an index goes a grace period after others came to have its bundles, or a floor
// was above it. An index without its pack would mislead, so a call that takes long looks.
func (s *session) givenUpMeanwhile(ctx context.Context, x *packIndex) (bool, error) {
	if s.opts.Clock().Sub(s.start) < seenFor {
		return false, nil
	}
	l, _, err := s.listKeys(ctx, false)
	_, all := l.packedSince(x.first(), x.last())
	return all || x.last() < l.floor(), err
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

// errReadBack is the error of readBack if there is something else.
var errReadBack = fmt.Errorf("%w: read back", ErrCorrupt)

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
		err = fmt.Errorf("%w %d bytes with sha256 %s, want %d with %s", errReadBack, n, got, x.Size, x.SHA256)
	}
	return err
}
