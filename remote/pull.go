package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Pull applies every version of the store that the replica lacks, in order;
// a version that a failure interrupts is not visible, and the next Pull goes on
// from there. It wraps ErrNoTable if there is no replica yet (init first),
// ErrDiverged if the replica is not on the history of the store, ErrGap if a
// version in between is missing there.
func (r *Replicator) Pull(ctx context.Context) (Report, error) {
	return r.do(ctx, "pull", (*session).pull)
}

func (s *session) pull(ctx context.Context) error {
	table, err := s.applier()
	if err != nil {
		return err
	}
	h, _, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	tip, err := s.replicaTip(ctx, table, h)
	if err != nil {
		return err
	}
	if h == nil {
		return s.pullListed(ctx, table, tip)
	}
	if err := s.checkHead(ctx, table, tip, h); err != nil {
		return err
	}
	if h.Version > tip.version {
		if tip, err = s.pullTo(ctx, table, tip, h.Version); err != nil {
			return err
		}
	}
	return s.pullBeyond(ctx, table, tip)
}

// replicaTip reads where the replica is. h, which may be nil, is where it
// probably is.
func (s *session) replicaTip(ctx context.Context, table LogApplier, h *head) (*tipState, error) {
	tip := table.Tip
	if h != nil {
		tip = func(ctx context.Context) (deltalog.Version, error) { return table.TipFrom(ctx, h.Version) }
	}
	v, err := tip(ctx)
	if err != nil {
		return nil, err
	}
	commit, err := hashLocal(ctx, table, v)
	return &tipState{v, commit}, err
}

// checkHead compares with the head where the replica has come that far, so
// that a replica on another history does not hear that nothing is new.
func (s *session) checkHead(ctx context.Context, table LogApplier, tip *tipState, h *head) error {
	if h.Version > tip.version {
		return nil // the chain will tell
	}
	here, err := hashLocal(ctx, table, h.Version)
	if err != nil {
		return err
	}
	if here != h.Commit {
		return diverged(h.Version, here, h.Commit)
	}
	return nil
}

// pullTo applies up to last, all of which should be in the store.
func (s *session) pullTo(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version) (*tipState, error) {
	s.expect(int(last - tip.version))
	tip, err := s.replay(ctx, table, tip, last)
	if errors.Is(err, storage.ErrNotFound) {
		return tip, s.gapError(ctx, nextOf(tip), err)
	}
	return tip, err
}

// gapError names the versions that are missing from v on.
func (s *session) gapError(ctx context.Context, v deltalog.Version, cause error) error {
	versions, err := listVersions(ctx, s.store)
	if err != nil {
		return err
	}
	for _, there := range versions {
		if there.Version > v {
			return at(v, "", fmt.Errorf("%w: versions %d to %d", ErrGap, int64(v), int64(there.Version-1)))
		}
	}
	return at(v, "", fmt.Errorf("%w: version %d and all above: %w", ErrGap, int64(v), cause))
}

// pullBeyond looks for bundles that the head does not know of yet.
func (s *session) pullBeyond(ctx context.Context, table LogApplier, tip *tipState) error {
	for {
		moved, err := s.replay(ctx, table, tip, nextOf(tip))
		if errors.Is(err, storage.ErrNotFound) && moved == tip {
			return nil
		}
		if err != nil {
			return err
		}
		tip = moved
	}
}

// pullListed pulls from a store without a usable head: one listing says what
// is there.
func (s *session) pullListed(ctx context.Context, table LogApplier, tip *tipState) error {
	versions, err := listVersions(ctx, s.store)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return ErrEmptyStore
	}
	end, found := gapFreeEnd(versions, nextOf(tip))
	if found {
		_, err = s.pullTo(ctx, table, tip, end)
		return err
	}
	if newest := versions[len(versions)-1].Version; newest > tip.version {
		return s.gapError(ctx, nextOf(tip), storage.ErrNotFound)
	} else if newest < tip.version {
		tip = &tipState{version: newest}
	}
	here, err := hashLocal(ctx, table, tip.version)
	if err != nil {
		return err
	}
	there, err := s.readManifest(ctx, tip.version)
	if err == nil && here != there.Commit.SHA256 {
		err = diverged(tip.version, here, there.Commit.SHA256)
	}
	return err
}
