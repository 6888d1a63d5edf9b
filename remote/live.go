package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// isLive reports whether the table needs the file at version tip, or, where it
// went on meanwhile, at its newest one: what is gone there is the writer's doing.
func (s *session) isLive(ctx context.Context, path string, tip deltalog.Version) (bool, error) {
	s.looks.Lock()
	defer s.looks.Unlock()
	if s.live == nil || s.liveVersion < tip {
		if err := s.readLive(ctx, tip); err != nil {
			return false, err
		}
	}
	if is, err := s.live.Has(path); err != nil || !is {
		return false, err
	}
	newest, err := s.table.TipFrom(ctx, s.liveVersion)
	if err != nil || newest <= s.liveVersion {
		return true, err
	}
	if err := s.readLive(ctx, newest); err != nil {
		return false, err
	}
	return s.live.Has(path)
}

// readLive reads the state once per push: rare, so that the time of every other
// push does not depend on the history.
func (s *session) readLive(ctx context.Context, v deltalog.Version) error {
	if err := s.closeLive(); err != nil {
		return err
	}
	var err error
	s.live, err = s.liveAt(ctx, v)
	s.liveVersion = v
	return at(v, "", err)
}

func (s *session) liveAt(ctx context.Context, v deltalog.Version) (*extsort.Set, error) {
	table, ok := s.table.(StateReader)
	if !ok {
		return nil, fmt.Errorf("%w: a file is missing and the table cannot tell its state", ErrUnsupported)
	}
	state, err := table.Snapshot(ctx, v, &deltalog.SnapshotOptions{Memory: s.stateMemory()})
	if err != nil {
		return nil, err
	}
	live, err := extsort.NewSet(s.stateMemory(), "", state.LiveFiles())
	return live, errors.Join(err, state.Close())
}

// closeLive removes what readLive left on disk.
func (s *session) closeLive() error {
	if s.live == nil {
		return nil
	}
	live := s.live
	s.live = nil
	return live.Close()
}
