package remote

import (
	"context"
	"fmt"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// Leftover is a bundle that is no part of the history: what an upload that was cut
// off, or a pusher of another history, left above the end or inside a run.
type Leftover struct {
	Key   string           `json:"key"`
	First deltalog.Version `json:"first_version"`
	Last  deltalog.Version `json:"last_version"`
	// Foreign: the table that was asked has another commit for one of its versions.
	// Only such a one is in the way, and only such a one is removed.
	Foreign bool `json:"foreign"`
	Removed bool `json:"removed"`
}

// Repair finds the leftovers in a store and, with remove, deletes those of other
// histories, which keep a push of this table from going on (ErrDiverged). What the
// store's history has up to its end is never touched, whatever the table says: the
// table must be on that history, else it wraps ErrDiverged. Leftovers of the table's
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
	_, l, segments, err := s.wholeHistory(ctx)
	if err != nil || len(segments) == 0 {
		return nil, err
	}
	end, unlinked, err := s.linkedEnd(ctx, segments[len(segments)-1])
	if err != nil {
		return nil, err
	}
	if err := s.checkHistory(ctx, &position{some: true, last: deltalog.Version(end.Version), commit: end.Commit.SHA256}, deltalog.Version(end.Version)); err != nil {
		return nil, err
	}
	from, _ := search(l.bundles, segments[len(segments)-1].last+1)
	above, err := s.peekAll(ctx, l.bundles[from:])
	if err != nil {
		return nil, err
	}
	var found []Leftover
	for _, m := range append(unlinked, above...) {
		left, err := s.leftover(ctx, m)
		if err == nil && remove && left.Foreign {
			err = s.removeBundle(ctx, m)
			left.Removed = err == nil
		}
		if err != nil {
			return found, err
		}
		found = append(found, left)
	}
	return found, nil
}

// removeBundle removes a bundle. Its parts stay for Prune, since a base of ours may
// refer to the same ones: their names say what is in them.
func (s *session) removeBundle(ctx context.Context, m bundle.Manifest) error {
	return s.store.deleter.Delete(ctx, bundleKey(deltalog.Version(m.Versions[0].Version)))
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

// leftover compares a bundle with the table.
func (s *session) leftover(ctx context.Context, m bundle.Manifest) (Leftover, error) {
	first, last := m.Versions[0].Version, m.Versions[len(m.Versions)-1].Version
	left := Leftover{Key: bundleKey(deltalog.Version(first)), First: deltalog.Version(first), Last: deltalog.Version(last)}
	for _, v := range m.Versions {
		there, err := s.hasCommit(ctx, deltalog.Version(v.Version))
		if err != nil {
			return left, err
		}
		if !there {
			continue
		}
		here, err := hashLocal(ctx, s.table, deltalog.Version(v.Version))
		if err != nil {
			return left, err
		}
		left.Foreign = left.Foreign || here != v.Commit.SHA256
	}
	return left, nil
}
