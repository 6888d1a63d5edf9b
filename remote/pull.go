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
	if err == nil {
		s.came(tipState{v, commit})
	}
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
	var gap *gapAt
	switch {
	case errors.As(err, &gap) && s.opts.AcrossGap:
		return s.pullFrom(ctx, table, gap.version, last)
	case errors.Is(err, storage.ErrNotFound):
		return s.pullOver(ctx, table, tip, last, err)
	}
	return tip, err
}

// pullFrom goes on from the base after a gap.
func (s *session) pullFrom(ctx context.Context, table LogApplier, after, last deltalog.Version) (*tipState, error) {
	tip, err := s.restoreBase(ctx, table, after, true)
	if err != nil {
		return nil, err
	}
	return s.pullTo(ctx, table, tip, last)
}

// pullOver finds out why the version after tip is missing, and takes a recorded
// gap if it may.
func (s *session) pullOver(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, cause error) (*tipState, error) {
	missing := nextOf(tip)
	l, err := list(ctx, s.store)
	if err != nil {
		return tip, err
	}
	after, found, err := s.bridge(ctx, l, tip.version)
	switch {
	case err != nil:
		return tip, err
	case found && s.opts.AcrossGap:
		return s.pullFrom(ctx, table, after, max(after, last))
	case found:
		return tip, at(missing, "", &gapAt{after, missing})
	}
	for _, there := range l.bundles {
		if there.Version > missing {
			return tip, at(missing, "", fmt.Errorf("%w: versions %d to %d", ErrGap, int64(missing), int64(there.Version-1)))
		}
	}
	return tip, at(missing, "", fmt.Errorf("%w: version %d and all above: %w", ErrGap, int64(missing), cause))
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
	l, err := list(ctx, s.store)
	if err != nil {
		return err
	}
	if len(l.bundles) == 0 {
		return ErrEmptyStore
	}
	end, found := gapFreeEnd(l.bundles, nextOf(tip))
	if found {
		_, err = s.pullTo(ctx, table, tip, end)
		return err
	}
	newest := l.bundles[len(l.bundles)-1].Version
	if newest > tip.version {
		_, err = s.pullOver(ctx, table, tip, newest, storage.ErrNotFound)
		return err
	}
	if newest < tip.version {
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
