package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// SafeVersion returns the newest version of the table that is in the store
// together with all before it, as far as the source still had them. Files that
// no version above it needs may be vacuumed, and the log up to it cleaned up,
// without a later push missing them: ask before either. It goes by the keys that
// the store has now, of bundles, packs, and the bases to begin with, whatever the
// head says, and so lists the store; what is in these objects, and parts and bases that a
// version has its files in, Verify tells. It wraps
// ErrEmptyStore if nothing was pushed yet, ErrDiverged if the store holds another
// history, ErrGap if the table's log no longer goes back to what the store has, or the
// store lost what its history begins with; then nothing is safe.
func (r *Replicator) SafeVersion(ctx context.Context) (deltalog.Version, error) {
	v, err := r.newSession("safe version").safeVersion(ctx)
	return v, opError("safe version", err)
}

func (s *session) safeVersion(ctx context.Context) (deltalog.Version, error) {
	pos, err := s.locateNow(ctx)
	if err != nil {
		return 0, err
	}
	if pos.lostFirst {
		return 0, lostBeginning(max(pos.identity.First, pos.floor))
	}
	if !pos.some {
		return 0, ErrEmptyStore
	}
	tip, err := s.localTip(ctx, pos)
	if err == nil {
		err = s.checkHistory(ctx, pos, tip)
	}
	if err != nil {
		return 0, err
	}
	return s.safe(ctx, pos, tip)
}

// safe is SafeVersion for a table at version tip, whose history is that of the store.
func (s *session) safe(ctx context.Context, pos *position, tip deltalog.Version) (deltalog.Version, error) {
	if pos.unsound != nil {
		return 0, pos.unsound
	}
	end, err := s.unbroken(ctx, pos)
	if err != nil {
		return 0, err
	}
	if end < pos.last {
		s.log.Warn("the store lacks versions that it had", logVersion, end+1, logLast, pos.last)
	}
	return min(tip, pos.last, end), nil
}

// unbroken returns the version up to which all is in the store, by its keys: the head, and
// who remembers, only know that it was.
func (s *session) unbroken(ctx context.Context, pos *position) (deltalog.Version, error) {
	l, err := s.list(ctx)
	if err != nil {
		return 0, err
	}
	packs, err := s.packSizes(ctx, l)
	if err != nil {
		return 0, err
	}
	start := l.start(pos.identity)
	segments, err := s.history(ctx, l, start, pos.hints())
	if err != nil {
		return 0, err
	}
	end := deltalog.Version(-1)
	for _, seg := range segments {
		whole, err := s.wholeSegment(ctx, seg, packs)
		if err != nil {
			return 0, err
		}
		if whole >= seg.first {
			end = whole
		}
		if whole < seg.last {
			break
		}
	}
	if end < 0 {
		return 0, lostBeginning(start)
	}
	return end, nil
}

// wholeSegment returns up to which version a segment can be restored, by the base with
// which it begins and the packs; below its first if not at all.
func (s *session) wholeSegment(ctx context.Context, seg segment, packs map[string]int64) (deltalog.Version, error) {
	if seg.first > 0 {
		there, err := s.has(ctx, baseKey(seg.first))
		if err != nil || !there {
			return -1, err
		}
	}
	for _, o := range seg.bundles {
		if o.pack && packs[o.Key] < o.off+o.Size {
			return o.version - 1, nil
		}
	}
	return seg.last, nil
}

// packSizes returns how many bytes the packs have, by their keys, if there are any.
func (s *session) packSizes(ctx context.Context, l listing) (map[string]int64, error) {
	sizes := map[string]int64{}
	if len(l.indexes) == 0 {
		return sizes, nil
	}
	for info, err := range s.store.List(ctx, packPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", packPrefix, err)
		}
		sizes[info.Key] = info.Size
	}
	return sizes, nil
}

// has reports whether the store has an object.
func (s *session) has(ctx context.Context, key string) (bool, error) {
	r, err := s.store.Open(ctx, key, 0, 1)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// lostBeginning: the history begins with version v, which is not there, though later
// versions were stored.
func lostBeginning(v deltalog.Version) error {
	return at(v, "", fmt.Errorf("%w: the history of the store begins with it, and later versions were stored", ErrGap))
}
