package remote

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Status compares a table with a store.
type Status struct {
	Lineage string            `json:"lineage,omitempty"`  // of the store; "" if it is empty
	TableID string            `json:"table_id,omitempty"` // metaData.id at the store's first version
	Local   *deltalog.Version `json:"local_version"`      // nil: no table here
	Store   *deltalog.Version `json:"store_version"`      // end of the gap-free run, as the head says if there is one; nil: empty store
	// Behind counts the versions that the store has and the table lacks, Ahead
	// those that the table has and the store lacks: the difference of the numbers, so
	// those in a recorded gap count, too, and without a table those that were pruned.
	Behind int64 `json:"behind"`
	Ahead  int64 `json:"ahead"`
	// Lost counts versions between store and table that the table's log no longer
	// has; the next push goes on behind them and records the gap.
	Lost int64 `json:"lost,omitempty"`
	// Lag is how far behind the side is that lacks versions, as Behind or Ahead
	// tell; not filled in if Diverged.
	Lag Lag `json:"lag"`
	// Safe is what SafeVersion returns; nil if nothing is safe: nothing was pushed,
	// the histories differ, the table's log no longer goes back to what the store
	// has, the store lost the beginning of what it had, or may not be listed. Where it is
	// below both Local and Store, the store lost what lies above; Verify tells what.
	Safe *deltalog.Version `json:"safe,omitempty"`
	// Diverged: at the newest version that both have, the commits differ.
	Diverged bool `json:"diverged"`
}

// Status looks at both sides and changes neither. It does not wait for calls
// that move versions. It lists the store once or twice. With an error that wraps
// ErrGap, as where the table lies below what was pruned, the versions and what they
// count are filled in.
func (r *Replicator) Status(ctx context.Context) (Status, error) {
	st, err := r.newSession("status").statusAndSafe(ctx)
	return st, opError("status", err)
}

func (s *session) statusAndSafe(ctx context.Context) (Status, error) {
	st, pos, err := s.status(ctx)
	if err != nil || st.Local == nil || !pos.some || pos.gap != nil || st.Diverged {
		return st, err
	}
	safe, err := s.safe(ctx, pos, *st.Local)
	if errors.Is(err, ErrGap) || errors.Is(err, ErrDiverged) || errors.Is(err, ErrDenied) || isBroken(err) {
		return st, nil
	}
	if err == nil {
		st.Safe = &safe
	}
	return st, err
}

// status fills in all but what is safe.
func (s *session) status(ctx context.Context) (Status, *position, error) {
	var st Status
	pos, err := s.locateNow(ctx)
	if err != nil {
		return st, nil, err
	}
	if pos.identity != nil {
		st.Lineage, st.TableID = pos.identity.Lineage, pos.identity.TableID
	}
	if pos.some {
		st.Store = &pos.last
	}
	tip, err := s.localTip(ctx, pos)
	if err != nil && !errors.Is(err, ErrNoTable) {
		return st, pos, err
	}
	if err == nil {
		err = s.compare(ctx, &st, pos, tip)
		return st, pos, err
	}
	if pos.some {
		st.Behind = int64(pos.last - pos.identity.First + 1)
		st.Lag, err = s.lagOfTable(ctx, pos, pos.identity.First)
		return st, pos, err
	}
	return st, pos, nil
}

// compare fills in what takes a table that is at version tip.
func (s *session) compare(ctx context.Context, st *Status, pos *position, tip deltalog.Version) error {
	st.Local = &tip
	st.Behind = max(0, int64(pos.next()-tip-1))
	st.Ahead = max(0, int64(tip+1-pos.next()))
	err := s.findGap(ctx, pos, tip)
	if err == nil {
		err = s.checkHistory(ctx, pos, tip)
	}
	if errors.Is(err, ErrDiverged) {
		st.Diverged = true
		return nil
	}
	if err != nil {
		return err
	}
	if gap := pos.gap; gap != nil {
		st.Lost = int64(gap.version - gap.from)
		st.Ahead = int64(tip - gap.version + 1)
	}
	if st.Behind > 0 {
		st.Lag, err = s.lagOfTable(ctx, pos, tip+1)
	} else {
		st.Lag, err = s.lagOfStore(ctx, pos.next(), tip)
	}
	return err
}

// locateNow is locate for a reader that wants to know the end even when the
// head lags: if there is a bundle after the head, it lists.
func (s *session) locateNow(ctx context.Context) (*position, error) {
	pos, err := s.locate(ctx)
	if err != nil || !pos.some || pos.mend {
		return pos, err
	}
	more, err := s.has(ctx, bundleKey(pos.next()))
	if err != nil {
		return nil, err
	}
	if !more {
		return pos, nil
	}
	return s.locateByList(ctx, pos.identity)
}

// VersionInfo is one version that can be had from the store.
type VersionInfo struct {
	Version deltalog.Version `json:"version"`
	// Bundle is the version in the key of the bundle that carries it, which may
	// carry several.
	Bundle deltalog.Version `json:"bundle"`
	Size   int64            `json:"size"`   // bytes of that bundle, without its parts
	Stored time.Time        `json:"stored"` // when it was, or the pack that has it, by the clock of the service
}

// Versions yields the versions that can be restored in ascending order. See the
// function of the same name.
func (r *Replicator) Versions(ctx context.Context) iter.Seq2[VersionInfo, error] {
	return r.newSession("versions").versions(ctx)
}

// Versions yields the versions that can be restored from a store in ascending order,
// for which it needs no table: those of the history, and below a floor those that are
// pinned. A number left out is a recorded gap, or was given up by Prune. What lies above
// a gap that is not recorded is no part of the history yet and not yielded, nor is any
// version of an empty store. It goes by which versions the bundles carry: that the newest fit those
// before them Init and Verify look at. After an error it ends.
func Versions(ctx context.Context, store storage.Reader) iter.Seq2[VersionInfo, error] {
	r, err := New(nil, store, nil)
	if err != nil {
		return func(yield func(VersionInfo, error) bool) { yield(VersionInfo{}, opError("versions", err)) }
	}
	return r.Versions(ctx)
}

func (s *session) versions(ctx context.Context) iter.Seq2[VersionInfo, error] {
	return func(yield func(VersionInfo, error) bool) {
		segments, err := s.restorable(ctx)
		if err != nil {
			yield(VersionInfo{}, opError("versions", err))
			return
		}
		for _, in := range segments {
			for v := in.first; v <= in.last; v++ {
				o := in.bundleOf(v)
				if !yield(VersionInfo{v, o.version, o.Size, o.ModTime}, nil) {
					return
				}
			}
		}
	}
}

// restorable returns the versions that can be restored: a segment for each that is
// pinned below the floor, and the history.
func (s *session) restorable(ctx context.Context) ([]segment, error) {
	id, l, segments, err := s.wholeHistory(ctx)
	if errors.Is(err, ErrEmptyStore) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pinned []segment
	for _, v := range slices.Compact(slices.Sorted(slices.Values(l.pins))) {
		if v >= l.floor() {
			break
		}
		below, err := s.history(ctx, l.upTo(v), l.startOf(id, v), onlyTo(-1))
		if err != nil {
			return nil, err
		}
		if in, err := segmentOf(below, v, v); err == nil { // else it cannot be had, which Verify tells
			pinned = append(pinned, segment{first: v, last: v, bundles: in.bundles})
		}
	}
	return append(pinned, segments...), nil
}

// bundleOf returns the bundle that carries v, a version of seg.
func (seg segment) bundleOf(v deltalog.Version) object {
	i, found := search(seg.bundles, v)
	if !found {
		i--
	}
	return seg.bundles[i]
}
