package remote

import (
	"context"
	"fmt"
	"slices"

	"github.com/pondworks/sluice/deltalog"
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
// may be cut off at any point: the next run goes on. A pack that one left which was cut off
// is taken, or passed by where the bundles are others by now, until Prune removes it.
// Wraps ErrEmptyStore if there is nothing, ErrReadOnly if the store cannot be written,
// ErrCorrupt, naming it, if a bundle is damaged.
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
		made, err := s.makePacks(ctx, id, l, group, chain)
		for _, x := range made {
			done.Packs++
			done.Bundles += len(x.Bundles)
			done.Bytes += x.Size
			s.log.Info("consolidated", logVersion, x.first(), logLast, x.last(), logKey, x.Pack)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// wholeHistory reads whose store this is and what its history is.
func (s *session) wholeHistory(ctx context.Context) (*identity, listing, []segment, error) {
	id, err := s.readIdentity(ctx)
	if err != nil {
		return nil, listing{}, nil, err
	}
	l, err := s.list(ctx)
	if err == nil && id == nil && l.isEmpty(nil) {
		err = ErrEmptyStore
	}
	if err == nil {
		id, err = s.identityBeside(ctx, l, id)
	}
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
