package remote

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// goal is what an init works towards.
type goal struct {
	identity *identity
	target   deltalog.Version
	run      segment      // that target lies in
	base     *VersionInfo // to begin with; nil: the first version
}

// goal reads whose store this is and settles on the version to go to and where
// to begin.
func (s *session) goal(ctx context.Context) (*goal, error) {
	id, err := s.readIdentity(ctx)
	if err != nil {
		return nil, err
	}
	l, err := list(ctx, s.store)
	if err != nil {
		return nil, err
	}
	if id == nil && len(l.bundles) > 0 {
		return nil, fmt.Errorf("%w: there are bundles, but %s is missing", ErrCorrupt, identityKey)
	}
	if id == nil || len(l.bundles) == 0 {
		return nil, ErrEmptyStore
	}
	if want := s.opts.SourceID; want != "" && want != id.Lineage && want != id.TableID {
		return nil, fmt.Errorf("%w: the store is of lineage %s and table id %q, not of %q", ErrDiverged, id.Lineage, id.TableID, want)
	}
	runs, err := s.history(ctx, l, id.First)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%w: versions %d to %d", ErrGap, int64(id.First), int64(l.bundles[0].Version-1))
	}
	target, run, err := s.target(ctx, l, runs)
	if err != nil {
		return nil, err
	}
	return &goal{id, target, run, s.beginning(l, run, target)}, nil
}

// target returns the version that the options ask for and the run it lies in.
func (s *session) target(ctx context.Context, l listing, runs []segment) (deltalog.Version, segment, error) {
	last := runs[len(runs)-1]
	switch {
	case s.opts.Target != nil:
		run, err := runOf(runs, *s.opts.Target, l.bundles[len(l.bundles)-1].Version)
		return *s.opts.Target, run, err
	case !s.opts.TargetTime.IsZero():
		v, err := s.versionAt(ctx, l, runs, s.opts.TargetTime)
		if err != nil {
			return 0, segment{}, err
		}
		run, err := runOf(runs, v, last.last)
		return v, run, err
	}
	return last.last, last, nil
}

// runOf returns the run that holds v.
func runOf(runs []segment, v, newest deltalog.Version) (segment, error) {
	for i, run := range runs {
		switch {
		case v < run.first && i == 0:
			return segment{}, fmt.Errorf("%w: version %d: the history begins at %d", ErrGap, int64(v), int64(run.first))
		case v < run.first:
			return segment{}, fmt.Errorf("%w: version %d lies in the gap before version %d", ErrGap, int64(v), int64(run.first))
		case v <= run.last:
			return run, nil
		}
	}
	end := runs[len(runs)-1].last
	return segment{}, fmt.Errorf("%w: version %d: the versions without a gap end at %d, the newest bundle is of %d", ErrGap, int64(v), int64(end), int64(newest))
}

// versionAt returns the newest version that is not newer than t, as Delta
// counts the time of versions, which ascends with them.
func (s *session) versionAt(ctx context.Context, l listing, runs []segment, t time.Time) (deltalog.Version, error) {
	var versions []deltalog.Version
	for _, run := range runs {
		for v := run.first; v <= run.last; v++ {
			versions = append(versions, v)
		}
	}
	var failed error
	newer := sort.Search(len(versions), func(i int) bool {
		if failed != nil {
			return true
		}
		info, _ := find(l.bundles, versions[i])
		m, err := s.peek(ctx, info)
		if err != nil {
			failed = err
		}
		return m.Timestamp > t.UnixMilli()
	})
	if failed != nil {
		return 0, failed
	}
	if newer == 0 {
		return 0, fmt.Errorf("%w: no version is as old as %s", ErrGap, t.UTC().Format(time.RFC3339Nano))
	}
	return versions[newer-1], nil
}

// beginning returns the base to begin with: the newest one if only live files
// are wanted, that of the run's beginning if what came before is missing.
func (s *session) beginning(l listing, run segment, target deltalog.Version) *VersionInfo {
	if s.opts.History == HistoryLive {
		if b, found := l.newestBase(run, target); found {
			return &b
		}
	}
	if b, found := find(l.bases, run.first); found && run.first > 0 {
		return &b
	}
	return nil
}
