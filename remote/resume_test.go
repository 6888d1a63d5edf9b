package remote_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// stopping is a table whose n-th write fails, as if the process ended there.
type stopping struct {
	*deltalog.Dir
	left int
}

var errStopped = errors.New("stopped here")

func (s *stopping) step() error {
	if s.left--; s.left < 0 {
		return errStopped
	}
	return nil
}

func (s *stopping) Apply(ctx context.Context, b deltalog.Batch) (int, error) {
	for i := range b.Changes {
		if err := s.step(); err != nil {
			n, aerr := s.Dir.Apply(ctx, deltalog.Batch{Changes: b.Changes[:i]})
			return n, errors.Join(err, aerr)
		}
	}
	return s.Dir.Apply(ctx, b)
}

func (s *stopping) SetMarker(ctx context.Context, note []byte) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.Dir.SetMarker(ctx, note)
}

func (s *stopping) Discard(ctx context.Context) error {
	if s.left < 0 {
		return errStopped // a process that is gone cleans nothing up
	}
	return s.Dir.Discard(ctx)
}

func TestH33InitResumesFromAnyStep(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 3 {
		source.append("x")
	}
	source.mustPush(store)
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "replica")
		r, err := remote.New(&stopping{openTable(t, dir), n}, store, &remote.Options{Concurrency: 2})
		require.NoError(t, err)
		_, err = r.Init(t.Context())
		if err == nil {
			require.Equal(t, 5, n, "marker, three versions, marker")
			return
		}
		require.ErrorIs(t, err, errStopped)
		_, err = replicator(t, dir, store, nil).Init(t.Context())
		require.NoError(t, err, "step %d", n)
		got := tree(t, dir)
		// What the dead process staged is locked as long as this one lives, of which
		// it is a part. That it goes when a process is killed: internal/e2e.
		maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasPrefix(name, ".sluice/stage/") })
		require.Equal(t, tree(t, source.dir), got)
	}
}

func TestEndOfContext(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 5 {
		source.append("x")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := replicator(t, source.dir, store, nil).Push(ended)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, objects(t, store))

	source.mustPush(store)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	opts := &remote.Options{Concurrency: 1, Progress: func(p remote.Progress) {
		if p.Versions == 2 {
			cancel()
		}
	}}
	_, err = replicator(t, dir, store, opts).Init(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = replicator(t, dir, store, nil).Init(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
}
