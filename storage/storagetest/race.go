package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func testRace(t *testing.T, s suite) {
	for round := range 5 {
		s.race(t, fmt.Sprintf("round-%d/key", round), s.opts.Racers, 100)
	}
}

func testRaceLarge(t *testing.T, s suite) {
	s.race(t, "large/key", s.opts.LargeRacers, s.opts.LargeSize)
}

// race lets n goroutines create one key with a content each: exactly one must
// win, and what the key holds must be the winner's.
func (s suite) race(t *testing.T, key string, n, size int) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		b := content(size, uint64(i))
		wg.Go(func() {
			<-start
			errs[i] = s.store.Create(t.Context(), key, plain{bytes.NewReader(b)}, knownHalf(i, size))
		})
	}
	close(start)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("%s: both %d and %d believe that they created it", key, winner, i)
		case err == nil:
			winner = i
		case errors.Is(err, storage.ErrUnavailable):
			// Services may say "conflict, try again" (S3: 409).
		default:
			require.ErrorIs(t, err, storage.ErrExists, "a loser")
		}
	}
	require.GreaterOrEqual(t, winner, 0, "nobody won: %v", errors.Join(errs...))
	s.holds(t, key, content(size, uint64(winner)))
}

// knownHalf lets every second racer announce its size.
func knownHalf(i, size int) int64 {
	if i%2 == 0 {
		return int64(size)
	}
	return -1
}

// testRaceManyKeys has two writers push the same keys, as two processes that
// replicate one table do: each key has one winner, also where the folders of
// the keys come into being at the same time.
func testRaceManyKeys(t *testing.T, s suite) {
	const writers, keys = 4, 20
	var won [writers][keys]bool
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for k := range keys {
				won[w][k] = s.tryCreate(t, fmt.Sprintf("a/b/version-%d/bundle", k), content(50, uint64(w)))
			}
		})
	}
	wg.Wait()
	for k := range keys {
		winner := -1
		for w := range writers {
			if won[w][k] {
				require.Equal(t, -1, winner, "key %d has two winners", k)
				winner = w
			}
		}
		require.GreaterOrEqual(t, winner, 0, "key %d has no winner", k)
		s.holds(t, fmt.Sprintf("a/b/version-%d/bundle", k), content(50, uint64(winner)))
	}
}

// tryCreate reports whether it created key; losing is fine.
func (s suite) tryCreate(t *testing.T, key string, b []byte) bool {
	err := storage.ErrUnavailable
	for errors.Is(err, storage.ErrUnavailable) && t.Context().Err() == nil {
		err = s.store.Create(t.Context(), key, plain{bytes.NewReader(b)}, int64(len(b)))
	}
	if err != nil && !errors.Is(err, storage.ErrExists) {
		t.Errorf("create %s: %v", key, err)
	}
	return err == nil
}

func testProbe(t *testing.T, s suite) {
	for range 2 {
		require.NoError(t, storage.Probe(t.Context(), s.store, "folder/probe"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := storage.Probe(ctx, s.store, "folder/other")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, storage.ErrUnsafe)
}
