package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/deltalog"
)

// marker is the note that init keeps beside an unfinished replica.
type marker struct {
	Format  int              `json:"format"`
	Lineage string           `json:"lineage"`
	Target  deltalog.Version `json:"target"`
}

// Init rebuilds the table from the store, version by version, up to
// Options.Target or the newest one. The place of the table must be empty, or
// hold an unfinished Init of the same store, or the beginning of the very
// same history; the last two are carried on. Else it wraps ErrNotEmpty and
// touches nothing. It wraps ErrEmptyStore if there is nothing to restore, and
// ErrGap if a version up to the target is missing.
func (r *Replicator) Init(ctx context.Context) (Report, error) {
	return r.do(ctx, "init", (*session).init)
}

func (s *session) init(ctx context.Context) error {
	table, err := s.applier()
	if err != nil {
		return err
	}
	id, target, err := s.initTarget(ctx)
	if err != nil {
		return err
	}
	tip, err := s.initTip(ctx, table, id, target)
	if err != nil {
		return err
	}
	note, err := json.Marshal(marker{storeFormat, id.Lineage, target})
	if err != nil {
		return err
	}
	if err := table.SetMarker(ctx, note); err != nil {
		return err
	}
	if err := table.Discard(ctx); err != nil { // left by an init that was killed
		return err
	}
	s.expect(int(target - nextOf(tip) + 1))
	if _, err := s.replay(ctx, table, tip, target); err != nil {
		return err
	}
	return table.SetMarker(ctx, nil)
}

// initTarget reads whose store this is and settles on the version to go to.
func (s *session) initTarget(ctx context.Context) (*identity, deltalog.Version, error) {
	id, err := s.readIdentity(ctx)
	if err != nil {
		return nil, 0, err
	}
	versions, err := listVersions(ctx, s.store)
	if err != nil {
		return nil, 0, err
	}
	if id == nil && len(versions) > 0 {
		return nil, 0, fmt.Errorf("%w: there are bundles, but %s is missing", ErrCorrupt, identityKey)
	}
	if id == nil || len(versions) == 0 {
		return nil, 0, ErrEmptyStore
	}
	if want := s.opts.SourceID; want != "" && want != id.Lineage && want != id.TableID {
		return nil, 0, fmt.Errorf("%w: the store is of lineage %s and table id %q, not of %q", ErrDiverged, id.Lineage, id.TableID, want)
	}
	end, found := gapFreeEnd(versions, id.First)
	newest := versions[len(versions)-1].Version
	if !found {
		return nil, 0, fmt.Errorf("%w: versions %d to %d", ErrGap, int64(id.First), int64(versions[0].Version-1))
	}
	if s.opts.Target == nil {
		return id, end, nil
	}
	target := *s.opts.Target
	if target < id.First {
		return nil, 0, fmt.Errorf("%w: version %d: the history begins at %d", ErrGap, int64(target), int64(id.First))
	}
	if target > end {
		return nil, 0, fmt.Errorf("%w: version %d: the versions without a gap end at %d, the newest bundle is of %d", ErrGap, int64(target), int64(end), int64(newest))
	}
	return id, target, nil
}

// initTip decides whether init may work in this place, and from where on. nil
// means from the start.
func (s *session) initTip(ctx context.Context, table LogApplier, id *identity, target deltalog.Version) (*tipState, error) {
	state, err := table.State(ctx)
	if err != nil {
		return nil, err
	}
	ours, err := ownMarker(state.Marker, id)
	if err != nil {
		return nil, err
	}
	if !state.Table {
		if state.Empty || ours {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: it holds files that are no table", ErrNotEmpty)
	}
	tip, err := table.Tip(ctx)
	if errors.Is(err, ErrNoTable) && ours {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it holds a table that cannot be carried on: %w", ErrNotEmpty, err)
	}
	return s.sameBeginning(ctx, table, tip, target)
}

// ownMarker reports whether an init of this store was at work here; one of
// another store makes the place not empty.
func ownMarker(note []byte, id *identity) (bool, error) {
	if note == nil {
		return false, nil
	}
	var m marker
	if err := decodeRecord(note, &m); err != nil {
		return false, fmt.Errorf("%w: it holds an unfinished init that cannot be read: %w", ErrNotEmpty, err)
	}
	if m.Lineage != id.Lineage {
		return false, fmt.Errorf("%w: it holds an unfinished init of another store, lineage %s", ErrNotEmpty, m.Lineage)
	}
	return true, nil
}

// sameBeginning makes sure that the table here is the beginning of the
// history in the store.
func (s *session) sameBeginning(ctx context.Context, table LogApplier, tip, target deltalog.Version) (*tipState, error) {
	if tip > target {
		return nil, fmt.Errorf("%w: it holds a table at version %d, past the target %d", ErrNotEmpty, int64(tip), int64(target))
	}
	here, err := hashLocal(ctx, table, tip)
	if err != nil {
		return nil, err
	}
	there, err := s.readManifest(ctx, tip)
	if err != nil {
		return nil, err
	}
	if here != there.Commit.SHA256 {
		return nil, fmt.Errorf("%w: it holds another table: commit %d has sha256 %s here, %s in the store", ErrNotEmpty, int64(tip), here, there.Commit.SHA256)
	}
	return &tipState{tip, here}, nil
}
