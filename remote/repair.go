package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// Leftover is an object that is no part of the history: what an upload that was cut off,
// or a pusher of another history, left above the end or inside a run.
type Leftover struct {
	Key   string           `json:"key"`
	First deltalog.Version `json:"first_version"`
	Last  deltalog.Version `json:"last_version"`
	// InTheWay says why a push of the table that was asked does not get past it, "" if it
	// does. Only what is in the way is removed.
	InTheWay Obstacle `json:"in_the_way,omitempty"`
	Removed  bool     `json:"removed"`
}

// Obstacle is why a leftover is in the way.
type Obstacle string

const (
	// ObstacleForeign: the table has another commit for one of its versions.
	ObstacleForeign Obstacle = "of another history"
	// ObstacleDamaged: a bundle, a part or a base that cannot be used, while its key is taken:
	// it cannot be read, or parts and bundles that the base names are missing.
	ObstacleDamaged Obstacle = "damaged"
	// ObstacleNoGap: a bundle of the first version of the table's log. It does not record
	// that the log does not go back to what the store has, as the one must that the next
	// push brings.
	ObstacleNoGap Obstacle = "without the gap before it"
)

// Repair finds the leftovers in a store and, with remove, deletes those that keep a push
// of this table from going on, which mostly was ErrDiverged. What the
// store's history has up to its end is never touched, whatever the table says: the
// table must be on that history, else it wraps ErrDiverged, and must have come to its end,
// else ErrGap. Other leftovers of the table's
// own history are harmless, the next push takes them over. Nobody should push meanwhile: what
// a running push has stored ahead of what it waits for lies above the end, too. Removing needs the right
// to delete.
func (r *Replicator) Repair(ctx context.Context, remove bool) ([]Leftover, error) {
	found, err := r.newSession("repair").repair(ctx, remove)
	return found, opError("repair", err)
}

func (s *session) repair(ctx context.Context, remove bool) ([]Leftover, error) {
	if remove && s.store.deleter == nil {
		return nil, fmt.Errorf("%w: objects of the store cannot be deleted", ErrReadOnly)
	}
	id, l, segments, err := s.wholeHistory(ctx)
	if err != nil {
		return nil, err
	}
	h, err := s.headOf(ctx, id)
	if err != nil {
		return nil, err
	}
	promised := max(l.promisedBy(h), l.floor()) // what lies up to there was history, also where that is broken
	for _, pack := range l.indexes {
		promised = max(promised, pack.last)
	}
	bundles, end, err := s.unlinked(ctx, id, l, segments)
	if err != nil {
		return nil, err
	}
	var found []Leftover
	for _, m := range bundles {
		left, err := s.leftoverBundle(ctx, m)
		if err != nil {
			return found, err
		}
		if left.InTheWay == ObstacleNoGap { // no push comes to it
			left.InTheWay = ""
		}
		found = append(found, left)
	}
	if n := len(segments); n > 0 { // else its first bundle may have been lost: then the others were history
		from, _ := search(l.bundles, max(segments[n-1].last, promised)+1)
		above, err := s.above(ctx, l.bundles[from:])
		if found = append(found, above...); err != nil {
			return found, err
		}
	}
	beside, err := s.leftoversBeside(ctx, l, max(end, promised))
	if found = append(found, beside...); err != nil {
		return found, err
	}
	for i := range found {
		left := &found[i]
		if !remove || left.InTheWay == "" {
			continue
		}
		if o, inPack := s.packs[left.First]; inPack && left.Key == bundleKey(left.First) {
			return found, at(left.First, o.Key, fmt.Errorf("%w: the bundle lies in a pack, from which nothing can be removed", ErrDiverged))
		}
		// Of a bundle its parts stay for Prune, since a base of ours may refer to the same
		// ones: their names say what is in them.
		if err := s.store.deleter.Delete(ctx, left.Key); err != nil {
			return found, err
		}
		left.Removed = true
	}
	return found, nil
}

// unlinked returns the bundles up to the end of the history that are no part of it, and
// where it ends; -1 if there is none yet. The table must be on it.
func (s *session) unlinked(ctx context.Context, id *identity, l listing, segments []segment) ([]bundle.Manifest, deltalog.Version, error) {
	if len(segments) == 0 {
		pos := &position{identity: id}
		tip, err := s.localTip(ctx, pos)
		if err == nil {
			err = s.checkTableID(ctx, pos, tip)
		}
		return nil, -1, err
	}
	end, unlinked, err := s.linkedEnd(ctx, l, segments[len(segments)-1])
	if err != nil {
		return nil, -1, err
	}
	pos := &position{identity: id, some: true, last: deltalog.Version(end.Version), commit: end.Commit.SHA256, runs: onlyTo(-1)}
	tip, err := s.localTip(ctx, pos)
	if err == nil {
		err = s.findGap(ctx, pos, tip) // where there is one, the table's id is what counts
	}
	if err == nil {
		err = s.checkHistory(ctx, pos, tip)
	}
	if err == nil && tip < pos.last { // it cannot tell what follows its tip
		err = behindStore(pos, tip)
	}
	if err != nil {
		return nil, -1, err
	}
	return unlinked, deltalog.Version(end.Version), nil
}

// above returns the leftovers among bundles that lie above the end.
func (s *session) above(ctx context.Context, bundles []object) ([]Leftover, error) {
	var found []Leftover
	for _, o := range bundles {
		m, err := s.peek(ctx, o)
		left := Leftover{Key: o.Key, First: o.version, Last: o.version, InTheWay: ObstacleDamaged}
		if !errors.Is(err, ErrCorrupt) {
			if err == nil {
				left, err = s.leftoverBundle(ctx, m)
			}
			if err != nil {
				return found, err
			}
		}
		found = append(found, left)
	}
	return found, nil
}

// linkedEnd follows the chain of hashes through the newest bundles of the segment
// and returns where it ends, and the bundles that do not hang on it.
func (s *session) linkedEnd(ctx context.Context, l listing, seg segment) (end bundle.Version, unlinked []bundle.Manifest, err error) {
	t, err := s.trailTo(ctx, l, seg.last, 2*runAhead)
	if err == nil {
		err = t.damaged
	}
	if err != nil {
		return end, nil, err
	}
	return t.newest, t.strays, nil
}

// leftoverBundle compares a bundle with the table.
func (s *session) leftoverBundle(ctx context.Context, m bundle.Manifest) (Leftover, error) {
	first, last := deltalog.Version(m.Versions[0].Version), deltalog.Version(m.Versions[len(m.Versions)-1].Version)
	left := Leftover{Key: bundleKey(first), First: first, Last: last}
	for _, v := range m.Versions {
		foreign, err := s.isForeign(ctx, deltalog.Version(v.Version), v.Commit.SHA256)
		if err != nil {
			return left, err
		}
		if foreign {
			left.InTheWay = ObstacleForeign
		}
	}
	table, ok := s.table.(StateReader)
	if left.InTheWay != "" || m.Versions[0].Gap != nil || first == 0 || !ok {
		return left, nil
	}
	start, err := table.Start(ctx)
	if err == nil && start == first {
		left.InTheWay = ObstacleNoGap
	}
	return left, err
}

// isForeign reports whether the table has another commit for a version.
func (s *session) isForeign(ctx context.Context, v deltalog.Version, commit bundle.Digest) (bool, error) {
	there, err := s.hasCommit(ctx, v)
	if err != nil || !there {
		return false, err
	}
	here, err := hashLocal(ctx, s.table, v)
	return here != commit, err
}

// leftoversBeside returns the bases and parts above version end that are in the way, and
// bases below that are not of the history.
func (s *session) leftoversBeside(ctx context.Context, l listing, end deltalog.Version) ([]Leftover, error) {
	var found []Leftover
	note := func(o object, why Obstacle) {
		found = append(found, Leftover{Key: o.Key, First: o.version, Last: o.version, InTheWay: why})
	}
	for _, o := range l.bases {
		why, err := s.whyBase(ctx, l, o, end)
		if err != nil {
			return found, at(o.version, o.Key, err)
		}
		if why != "" {
			note(o, why)
		}
	}
	parts, _ := search(l.parts, end+1)
	for _, o := range l.parts[parts:] {
		_, name, _ := parsePartKey(o.Key)
		_, err := s.peekPart(ctx, o, name)
		if errors.Is(err, ErrCorrupt) {
			note(o, ObstacleDamaged)
		} else if err != nil {
			return found, err
		}
	}
	return found, nil
}

// whyBase returns why a base is in the way, "" if it is not. Up to version end the bundles
// say what the history is; a base there that cannot be read is what Verify tells of.
func (s *session) whyBase(ctx context.Context, l listing, o object, end deltalog.Version) (Obstacle, error) {
	if o.version <= end {
		b, err := s.peekBase(ctx, o)
		if errors.Is(err, ErrCorrupt) {
			return "", nil
		}
		if err == nil {
			err = s.checkOwnBase(ctx, l, b)
		}
		if !errors.Is(err, ErrDiverged) {
			return "", err
		}
		foreign, err := s.isForeign(ctx, o.version, b.Commit.SHA256) // a leftover bundle may have told
		if !foreign {
			return "", err
		}
		return ObstacleForeign, err
	}
	b, _, needs, err := s.baseAndNeeds(ctx, o.version, end, nil)
	if err == nil {
		err = s.checkNeeds(ctx, needs)
	}
	if errors.Is(err, ErrCorrupt) {
		return ObstacleDamaged, nil
	}
	if err != nil {
		return "", err
	}
	foreign, err := s.isForeign(ctx, o.version, b.Commit.SHA256)
	if foreign {
		return ObstacleForeign, err
	}
	return "", err
}
