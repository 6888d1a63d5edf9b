package remote

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestUploadsLetGo: a bundle that is through is told of, and let go of, when the
// next one starts, however few there are. Of a long backlog of small versions all plans
// were once held to the end.
func TestUploadsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var through []*plan
		up := newUploads(t.Context(), 4, 100, func(p *plan) { through = append(through, p) })
		finish := make(chan struct{})
		done := func(context.Context) error { return nil }
		waits := func(context.Context) error { <-finish; return nil }

		first, second, third, fourth := &plan{}, &plan{size: 1}, &plan{size: 2}, &plan{size: 3}
		require.NoError(t, up.start(first, 1, done))
		synctest.Wait()
		require.NoError(t, up.start(second, 1, waits))
		require.Equal(t, []*plan{first}, through)
		require.NoError(t, up.start(third, 1, done))
		synctest.Wait()
		require.NoError(t, up.start(fourth, 1, done))
		require.Equal(t, []*plan{first}, through, "the third is there, but not all below it")
		close(finish)
		require.NoError(t, up.wait(nil))
		require.Equal(t, []*plan{first, second, third, fourth}, through)
	})
}

// No more uploads are under way than there are places, nor than their memory allows.
func TestUploadsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		places      int
		memory, one int64 // bytes; what one upload takes
		most        int
	}{
		"by their number": {places: 3, memory: 100, one: 1, most: 3},
		"by their memory": {places: 9, memory: 100, one: 45, most: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now, most := 0, 0
				up := newUploads(t.Context(), c.places, c.memory, func(*plan) {})
				var mu sync.Mutex
				for range 20 {
					require.NoError(t, up.start(&plan{}, c.one, func(context.Context) error {
						mu.Lock()
						now++
						most = max(most, now)
						mu.Unlock()
						time.Sleep(time.Second)
						mu.Lock()
						now--
						mu.Unlock()
						return nil
					}))
				}
				require.NoError(t, up.wait(nil))
				require.Equal(t, c.most, most)
			})
		})
	}
}

// What an upload gives back early others have before it ends, and no byte of it twice.
func TestUploadsGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newUploads(t.Context(), 9, 100, func(*plan) {})
		finish := make(chan struct{})
		waits := func(context.Context) error { <-finish; return nil }
		first, second := &plan{}, &plan{}
		require.NoError(t, up.start(first, 60, waits))
		require.False(t, up.memory.TryAcquire(60))
		first.memory.keep(40)
		first.memory.keep(50)
		require.NoError(t, up.start(second, 60, waits))
		require.False(t, up.memory.TryAcquire(1))
		second.memory.keep(30)
		require.True(t, up.memory.TryAcquire(30))
		require.False(t, up.memory.TryAcquire(1))
		up.memory.Release(30)
		close(finish)
		require.NoError(t, up.wait(nil))
		require.True(t, up.memory.TryAcquire(100))
		require.False(t, up.memory.TryAcquire(1))
	})
}

// An upload that fails ends those above it; one that meets another history also those below.
func TestUploadsThatFail(t *testing.T) {
	other := errors.New("input/output error")
	for name, c := range map[string]struct {
		fails error
		below error // of the one below
	}{
		"for a reason of its own": {other, nil},
		"at another history":      {ErrDiverged, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var through []*plan
				up := newUploads(t.Context(), 9, 100, func(p *plan) { through = append(through, p) })
				finish, fail := make(chan struct{}), make(chan struct{})
				waits := func(err *error) func(context.Context) error {
					return func(ctx context.Context) error {
						select {
						case <-finish:
						case <-ctx.Done():
							*err = ctx.Err()
						}
						return *err
					}
				}
				var below, above error
				first, last := &plan{}, &plan{}
				require.NoError(t, up.start(first, 1, waits(&below)))
				require.NoError(t, up.start(&plan{}, 1, func(context.Context) error { <-fail; return c.fails }))
				require.NoError(t, up.start(last, 1, waits(&above)))
				synctest.Wait()
				close(fail)
				synctest.Wait()
				require.ErrorIs(t, above, context.Canceled)
				require.ErrorIs(t, up.start(&plan{}, 1, nil), context.Canceled, "no more are started")
				close(finish)
				require.ErrorIs(t, up.wait(nil), c.fails)
				require.Equal(t, c.below, below)
				if c.below == nil {
					require.Equal(t, []*plan{first}, through)
				} else {
					require.Empty(t, through)
				}
			})
		})
	}
}
