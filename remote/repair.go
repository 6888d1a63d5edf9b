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
	// ObstacleDamaged: a part or a base that cannot be read, so that it cannot be used,
	// while its key is taken.
	ObstacleDamaged Obstacle = "damaged"
	// ObstacleNoGap: a bundle of the first version of the table's log. It does not record
	// that the log does not go back to what the store has, as the one must that the next
	// push brings.
	ObstacleNoGap Obstacle = "without the gap before it"
)

// Repair finds the leftovers in a store and, with remove, deletes those that keep a push
// of this table from going on, which mostly was ErrDiverged. What the
// store's history has up to its end is never touched, whatever the table says: the
// table must be on that history, else it wraps ErrDiverged. Other leftovers of the table's
// own history are harmless, the next push takes them over. Removing needs the right
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
	promised := l.promisedBy(h) // what lies up to there was history, also where that is broken
	bundles, end, err := s.unlinked(ctx, id, l, segments, promised)
	if err != nil {
		return nil, err
	}
	var found []Leftover
	for _, m := range bundles {
		left, err := s.leftoverBundle(ctx, m)
		if err != nil {
			return found, err
		}
		found = append(found, left)
	}
	beside, err := s.leftoversBeside(ctx, l, max(end, promised))
	if err != nil {
		return found, err
	}
	found = append(found, beside...)
	for i := range found {
		left := &found[i]
		if !remove || left.InTheWay == "" {
			continue
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

// unlinked returns the bundles that are no part of the history, and where that ends; -1 if
// there is none yet. The table must be on it.
func (s *session) unlinked(ctx context.Context, id *identity, l listing, segments []segment, promised deltalog.Version) ([]bundle.Manifest, deltalog.Version, error) {
	if len(segments) == 0 {
		pos := &position{identity: id}
		tip, err := s.localTip(ctx, pos)
		if err == nil {
			err = s.checkTableID(ctx, pos, tip)
		}
		if err != nil {
			return nil, -1, err
		}
		from, _ := search(l.bundles, promised+1)
		above, err := s.peekAll(ctx, l.bundles[from:])
		return above, -1, err
	}
	end, unlinked, err := s.linkedEnd(ctx, segments[len(segments)-1])
	if err != nil {
		return nil, -1, err
	}
	pos := &position{identity: id, some: true, last: deltalog.Version(end.Version), commit: end.Commit.SHA256}
	tip, err := s.localTip(ctx, pos)
	if err == nil {
		err = s.findGap(ctx, pos, tip) // where there is one, the table's id is what counts
	}
	if err == nil {
		err = s.checkHistory(ctx, pos, max(tip, pos.last))
	}
	if err != nil {
		return nil, -1, err
	}
	from, _ := search(l.bundles, max(segments[len(segments)-1].last, promised)+1)
	above, err := s.peekAll(ctx, l.bundles[from:])
	return append(unlinked, above...), deltalog.Version(end.Version), err
}

// linkedEnd follows the chain of hashes through the newest bundles of the segment
// and returns where it ends, and the bundles that do not hang on it.
func (s *session) linkedEnd(ctx context.Context, seg segment) (end bundle.Version, unlinked []bundle.Manifest, err error) {
	bundles := seg.bundles[max(0, len(seg.bundles)-2*runAhead):]
	manifests, err := s.peekAll(ctx, bundles)
	if err != nil {
		return end, nil, err
	}
	commits := map[int64]bundle.Digest{}
	for i, m := range manifests {
		first, last := m.Versions[0], m.Versions[len(m.Versions)-1]
		before, known := commits[first.Version-1]
		if i > 0 && first.Gap == nil && (!known || before != *first.Previous) {
			unlinked = append(unlinked, m)
			continue
		}
		for _, v := range m.Versions {
			commits[v.Version] = v.Commit.SHA256
		}
		if last.Version >= end.Version {
			end = last
		}
	}
	return end, unlinked, nil
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

// leftoversBeside returns the bases and parts above version end that are in the way.
func (s *session) leftoversBeside(ctx context.Context, l listing, end deltalog.Version) ([]Leftover, error) {
	var found []Leftover
	note := func(o object, why Obstacle, err error) error {
		if errors.Is(err, ErrCorrupt) {
			why, err = ObstacleDamaged, nil
		}
		if why != "" {
			found = append(found, Leftover{Key: o.Key, First: o.version, Last: o.version, InTheWay: why})
		}
		return err
	}
	bases, _ := search(l.bases, end+1)
	for _, o := range l.bases[bases:] {
		why := Obstacle("")
		b, err := s.readWholeBase(ctx, o)
		if err == nil {
			var foreign bool
			if foreign, err = s.isForeign(ctx, o.version, b.Commit.SHA256); foreign {
				why = ObstacleForeign
			}
		}
		if err := note(o, why, err); err != nil {
			return found, at(o.version, o.Key, err)
		}
	}
	parts, _ := search(l.parts, end+1)
	for _, o := range l.parts[parts:] {
		_, name, _ := parsePartKey(o.Key)
		_, err := s.peekPart(ctx, o, name)
		if err := note(o, "", err); err != nil {
			return found, err
		}
	}
	return found, nil
}
