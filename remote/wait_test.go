package remote_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func TestWaitForPushesWithoutAFollow(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 7 {
		source.append("x")
	}
	r := replicator(t, source.dir, store, &remote.Options{MaxVersions: 2})
	require.NoError(t, r.WaitFor(t.Context(), 4))
	require.Equal(t, 6, bundles(t, store), "two at a time, until version 4 is there")
	require.NoError(t, r.WaitFor(t.Context(), 1))
	require.Equal(t, 6, bundles(t, store))
	require.ErrorIs(t, replicator(t, newPond(t).dir, store, nil).WaitFor(t.Context(), 0), remote.ErrNoTable)
}

func TestWaitForWhatIsNotCommittedYet(t *testing.T) {
	for _, following := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			source := newPond(t)
			store := storage.NewMemory()
			source.append("x")
			r := replicator(t, source.dir, store, nil)
			if following {
				stop := follow(t, r)
				defer func() { require.ErrorIs(t, stop(), context.Canceled) }()
			}
			waited := make(chan error, 1)
			go func() { waited <- r.WaitFor(t.Context(), source.next) }()
			synctest.Wait()
			require.Empty(t, waited)
			source.append("y")
			time.Sleep(time.Minute)
			synctest.Wait()
			require.NoError(t, <-waited)
		})
	}
}

// Version 1 of the table that was there before is in the store, that of the
// one that is there now is not.
func TestWaitForDoesNotTakeAnotherTableForThisOne(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 3 {
		source.append("x")
	}
	r := replicator(t, source.dir, store, nil)
	require.NoError(t, r.WaitFor(t.Context(), 2))
	require.NoError(t, os.RemoveAll(source.dir))
	again := &pond{t: t, dir: source.dir}
	for range 2 {
		again.append("made anew")
	}
	require.ErrorIs(t, r.WaitFor(t.Context(), 1), remote.ErrDiverged)
	again.append("as long as the old one")
	require.ErrorIs(t, r.WaitFor(t.Context(), 1), remote.ErrDiverged)
}

func TestWaitForOnAReplica(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("x")
	source.mustPush(store)
	r := replicator(t, restored(t, store), store, &remote.Options{Mode: remote.ModePull})
	source.append("y")
	source.mustPush(store)
	require.NoError(t, r.WaitFor(t.Context(), 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.WaitFor(ctx, deltalog.Version(2)), context.Canceled)
}

// A pull of a table that is not where the store is proves of no version that the store has it.
func TestWaitForAfterAPull(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(source *pond, store storage.Store)
		mode    remote.Mode
		waited  deltalog.Version // for which to wait is in vain
		there   deltalog.Version // that is on both sides; -1: none
	}{
		"the table is ahead": {
			prepare: func(source *pond, store storage.Store) { source.mustPush(store); source.append("more") },
			mode:    remote.ModePull, waited: 3, there: 2,
		},
		"the table is ahead of a store without a head": {
			prepare: func(source *pond, store storage.Store) {
				source.mustPush(store)
				lose(t, store, "backups/head.json")
				source.append("more")
			},
			mode: remote.ModePull, waited: 3, there: 2,
		},
		"another history": {
			prepare: func(_ *pond, store storage.Store) {
				other := newPond(t)
				for range 5 {
					other.append("other")
				}
				other.mustPush(store)
			},
			mode: remote.ModePull, waited: 0, there: -1,
		},
		"the same, to be pushed": {
			prepare: func(_ *pond, store storage.Store) {
				other := newPond(t)
				other.append("other")
				other.mustPush(store)
			},
			mode: remote.ModePush, waited: 0, there: -1,
		},
		"an empty store": {
			prepare: func(*pond, storage.Store) {},
			mode:    remote.ModePull, waited: 0, there: -1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			for range 3 {
				source.append("x")
			}
			c.prepare(source, store)
			r := replicator(t, source.dir, store, &remote.Options{Mode: c.mode})
			_, err := r.Pull(t.Context())
			if c.there >= 0 {
				require.NoError(t, err)
				require.NoError(t, r.WaitFor(t.Context(), c.there))
			} else {
				require.Error(t, err)
			}
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				require.Error(t, r.WaitFor(ctx, c.waited))
				cancel()
			}
		})
	}
}
