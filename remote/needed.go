package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// needed are the objects that promised versions need, by version.
type needed struct {
	bundles, bases map[deltalog.Version]bool
	parts          map[string]bool  // that the bases refer to, by key
	end            deltalog.Version // of the history
}

func (n *needed) anyIn(x object) bool {
	for v := range n.bundles {
		if x.version <= v && v <= x.last {
			return true
		}
	}
	return false
}

// needed follows the references: from the floor on all bundles that carry the
// versions there, what the indexes of the bases that are kept refer to, and what it
// takes to restore the pinned versions.
func (s *session) needed(ctx context.Context, id *identity, l listing) (*needed, error) {
	n := &needed{bundles: map[deltalog.Version]bool{}, bases: map[deltalog.Version]bool{}, parts: map[string]bool{}}
	segments, err := s.history(ctx, l, l.start(id), onlyTo(-1))
	if err != nil {
		return nil, err
	}
	begins := []deltalog.Version{l.start(id)}
	kept := keptBases(l.bases, l.floor(), l.pins)
	n.end = l.start(id) - 1
	for _, seg := range segments {
		n.end = max(n.end, seg.last)
	}
	for _, pin := range l.pins {
		if pin >= l.floor() {
			continue
		}
		bases, start, err := s.basesOfPin(ctx, id, l, pin)
		if err != nil {
			return nil, err
		}
		kept, begins = append(kept, bases...), append(begins, start)
		seg, _, err := s.gapFreeEnd(ctx, l, start, onlyTo(-1))
		if err != nil {
			return nil, err
		}
		seg.bundles = seg.upTo(pin)
		segments = append(segments, seg)
	}
	for _, seg := range segments {
		for _, o := range seg.bundles {
			n.bundles[o.version] = true
		}
	}
	for _, v := range begins { // what lies there may be of another history, within a run of this one
		runs, err := s.reaching(ctx, l, v)
		if err != nil {
			return nil, err
		}
		for _, o := range runs {
			n.bundles[o.version] = true
		}
	}
	slices.SortFunc(kept, byVersion)
	for _, b := range slices.CompactFunc(kept, func(a, b object) bool { return a.version == b.version }) {
		n.bases[b.version] = true
		if err := s.needIndex(ctx, n, b.version); err != nil {
			return nil, at(b.version, b.Key, err)
		}
	}
	return n, nil
}

// basesOfPin returns the bases that a pinned version may begin with, down to one that is of
// the history, and where that is. A newer one of another history may lie above it
// (isOwnBase), which readers take until it is removed.
func (s *session) basesOfPin(ctx context.Context, id *identity, l listing, pin deltalog.Version) (bases []object, start deltalog.Version, err error) {
	i, _ := search(l.bases, pin+1)
	for _, b := range slices.Backward(l.bases[:i]) {
		if b.version < id.First {
			break
		}
		bases = append(bases, b)
		own, err := s.isOwnBase(ctx, l, b)
		if own || err != nil {
			return bases, b.version, err
		}
	}
	return bases, id.First, nil
}

func (s *session) needIndex(ctx context.Context, n *needed, v deltalog.Version) error {
	index := s.sorter()
	r, err := s.store.Open(ctx, baseKey(v), 0, -1)
	if err != nil {
		return err
	}
	_, err = s.opts.Codec.DecodeBase(ctx, r, putIndex(index, v, nil))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		for record, rerr := range index.Sorted() {
			if err = rerr; err != nil {
				break
			}
			var e bundle.IndexEntry
			if e, err = decodeEntry(record.Value); err != nil {
				break
			}
			switch v := deltalog.Version(e.Version); {
			case e.InBase:
				n.bases[v] = true
			case e.Part != "":
				n.parts[partKey(v, e.Part)] = true
			default:
				n.bundles[v] = true
			}
		}
	}
	return errors.Join(err, index.Close())
}

// checkNeeded makes sure that all is there which the promised versions need, with the keys of
// every object. It wraps errNeeded if not.
func (s *session) checkNeeded(ctx context.Context, id *identity, every, l listing, n *needed) error {
	lost := func(v deltalog.Version, key string) error {
		return at(v, key, fmt.Errorf("%w: it is needed and not there, so nothing is removed", errNeeded))
	}
	for v := range n.bundles {
		_, packed := s.packs[v]
		if _, there := find(every.bundles, v); !there && !packed {
			return lost(v, bundleKey(v))
		}
	}
	bases := maps.Clone(n.bases)
	if floor := l.floor(); floor > id.First {
		bases[floor] = true
	}
	for v := range bases {
		if _, there := find(every.bases, v); !there {
			return lost(v, baseKey(v))
		}
	}
	parts := maps.Clone(n.parts)
	for _, o := range every.parts {
		delete(parts, o.Key)
	}
	for key := range parts {
		v, _, _ := parsePartKey(key)
		return lost(v, key)
	}
	return s.checkPins(ctx, id, l)
}

// checkPins makes sure that the pinned versions below the floor can be had.
func (s *session) checkPins(ctx context.Context, id *identity, l listing) error {
	for _, pin := range l.pins {
		if pin >= l.floor() {
			continue
		}
		_, start, err := s.basesOfPin(ctx, id, l, pin)
		if err != nil {
			return err
		}
		seg, _, err := s.gapFreeEnd(ctx, l, start, onlyTo(-1))
		if err == nil && seg.last < pin {
			err = at(pin, "", fmt.Errorf("%w: it is pinned, and the versions that it takes end at %d, so nothing is removed", errNeeded, int64(seg.last)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
