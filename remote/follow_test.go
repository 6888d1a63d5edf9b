package remote_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// passes counts the calls that a Replicator with its Observe began.
type passes struct{ atomic.Int64 }

func (p *passes) observe(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
	p.Add(1)
	return ctx, func(remote.Report, error) {}
}

// follow starts a Follow and returns what ends it and tells its error.
func follow(t *testing.T, r *remote.Replicator) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Follow(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// switchable is a store that can be down, or hold a Create until it is let go.
type switchable struct {
	storage.Store
	down atomic.Bool
	hold atomic.Pointer[chan struct{}]
}

func (s *switchable) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if s.down.Load() {
		return nil, storage.ErrUnavailable
	}
	return s.Store.Open(ctx, key, off, n)
}

func (s *switchable) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if s.down.Load() {
		return storage.ErrUnavailable
	}
	if gate := s.hold.Load(); gate != nil {
		select {
		case <-*gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Store.Create(ctx, key, r, size)
}

func bundles(t *testing.T, store storage.Reader) int {
	t.Helper()
	n := 0
	for _, err := range remote.Versions(t.Context(), store) {
		require.NoError(t, err)
		n++
	}
	return n
}

func TestFollowPushesWhatNotifyAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := storage.NewMemory()
		var began passes
		source.append("zero")
		r := replicator(t, source.dir, store, &remote.Options{Observe: began.observe})
		stop := follow(t, r)
		synctest.Wait()
		require.Equal(t, 1, bundles(t, store), "a first pass at once")

		start := time.Now()
		for range 20 {
			source.append("x")
			r.Notify()
		}
		synctest.Wait()
		require.Equal(t, 21, bundles(t, store))
		require.Zero(t, time.Since(start), "nothing waited for a timer")
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// Any number of hooks during a push lead to one more.
func TestNotifyCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := &switchable{Store: storage.NewMemory()}
		var began passes
		source.append("zero")
		r := replicator(t, source.dir, store, &remote.Options{Observe: began.observe})
		stop := follow(t, r)
		synctest.Wait()
		require.EqualValues(t, 1, began.Load())

		gate := make(chan struct{})
		store.hold.Store(&gate)
		source.append("one")
		r.Notify()
		synctest.Wait() // the push hangs in its Create
		for range 50 {
			source.append("x")
			r.Notify()
		}
		require.EqualValues(t, 2, began.Load())
		close(gate)
		synctest.Wait()
		require.EqualValues(t, 3, began.Load(), "one push for 50 commits")
		require.Equal(t, 52, bundles(t, store))
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// Without Notify the interval finds what is new, and nothing runs more often.
func TestFollowKeepsItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := storage.NewMemory()
		var began passes
		source.append("zero")
		stop := follow(t, replicator(t, source.dir, store, &remote.Options{Observe: began.observe, SyncInterval: 10 * time.Second}))
		synctest.Wait()
		source.append("one")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, 2, bundles(t, store))

		before := began.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.InDelta(t, 405, began.Load()-before, 45, "every 8 to 10 s")
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// A service that is down is asked ever more rarely, however often the host
// commits, and found again within a minute.
func TestFollowBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := &switchable{Store: storage.NewMemory()}
		store.down.Store(true)
		var began passes
		source.append("zero")
		r := replicator(t, source.dir, store, &remote.Options{Observe: began.observe})
		stop := follow(t, r)
		for range 3600 {
			time.Sleep(time.Second)
			r.Notify()
		}
		require.InDelta(t, 70, began.Load(), 15)

		waiting, cancel := context.WithTimeout(t.Context(), time.Second)
		err := r.WaitFor(waiting, 0)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, remote.ErrUnavailable, "it tells why")

		store.down.Store(false)
		require.NoError(t, r.WaitFor(t.Context(), 0))
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestFollowEndsInTheMiddleOfAPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := &switchable{Store: storage.NewMemory()}
		gate := make(chan struct{})
		store.hold.Store(&gate)
		source.append("zero")
		stop := follow(t, replicator(t, source.dir, store, nil))
		synctest.Wait()
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestFollowStopsAtWhatWaitingCannotMend(t *testing.T) {
	source, other, store := newPond(t), newPond(t), storage.NewMemory()
	source.append("ours")
	source.mustPush(store)
	other.append("theirs")
	require.ErrorIs(t, replicator(t, other.dir, store, nil).Follow(t.Context()), remote.ErrDiverged)
}

func TestOnlyOneFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		source.append("zero")
		r := replicator(t, source.dir, storage.NewMemory(), nil)
		stop := follow(t, r)
		synctest.Wait()
		require.ErrorContains(t, r.Follow(t.Context()), "follows already")
		require.ErrorIs(t, stop(), context.Canceled)
		stop = follow(t, r)
		synctest.Wait()
		require.ErrorIs(t, stop(), context.Canceled, "again after the first has ended")
	})
}

// A replica is rebuilt and then follows, also when its source is late.
func TestFollowInitsAndPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, dir := newPond(t), filepath.Join(t.TempDir(), "replica")
		store := storage.NewMemory()
		r := replicator(t, dir, store, &remote.Options{Mode: remote.ModeInit, SwitchToPull: true})
		stop := follow(t, r)
		time.Sleep(10 * time.Minute) // an empty store
		for range 3 {
			source.append("x")
		}
		source.mustPush(store)
		require.NoError(t, r.WaitFor(t.Context(), 2))
		for range 3 {
			source.append("y")
			source.mustPush(store)
			time.Sleep(time.Minute)
			synctest.Wait()
			requireSame(t, source.dir, dir)
		}
		source.append("z")
		source.mustPush(store)
		start := time.Now()
		r.Notify()
		synctest.Wait()
		require.Zero(t, time.Since(start))
		requireSame(t, source.dir, dir)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// That a table has no commit yet, or a store no version, is no failure: the first one is taken as
// soon as it is announced, and nobody is warned.
func TestFollowWaitsForTheFirstCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store, replica := newPond(t), storage.NewMemory(), filepath.Join(t.TempDir(), "replica")
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		pusher := replicator(t, source.dir, store, &remote.Options{Logger: log})
		puller := replicator(t, replica, store, &remote.Options{Logger: log, Mode: remote.ModeInit, SwitchToPull: true})
		stopPusher := follow(t, pusher)
		synctest.Wait()
		stopPuller := follow(t, puller)
		time.Sleep(10 * time.Minute)
		synctest.Wait()

		start := time.Now()
		source.append("zero")
		pusher.Notify()
		synctest.Wait()
		require.Equal(t, 1, bundles(t, store))
		puller.Notify()
		synctest.Wait()
		requireSame(t, source.dir, replica)
		require.Zero(t, time.Since(start), "nothing waited for a timer")
		require.ErrorIs(t, stopPusher(), context.Canceled)
		require.ErrorIs(t, stopPuller(), context.Canceled)
		require.NotContains(t, said.String(), "level=WARN")
		require.Contains(t, said.String(), "nothing to do yet")
	})
}

func TestFollowOfAnInitAloneEnds(t *testing.T) {
	source, store, dir := newPond(t), storage.NewMemory(), t.TempDir()
	source.append("zero")
	source.mustPush(store)
	require.NoError(t, replicator(t, dir, store, &remote.Options{Mode: remote.ModeInit}).Follow(t.Context()))
	requireSame(t, source.dir, dir)
}
