package remote_test

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Somebody committed to the replica: nothing is overwritten or renumbered.
func TestH32ForeignCommitOnTheReplica(t *testing.T) {
	for name, more := range map[string]int{"level with the store": 1, "behind the store": 3} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.mustPush(store)
			replica := &pond{t: t, dir: restored(t, store), next: 1}
			replica.append("its own")
			for range more {
				source.append("x")
			}
			source.mustPush(store)
			before, stored := tree(t, replica.dir), objects(t, store)
			_, err := replicator(t, replica.dir, store, nil).Pull(t.Context())
			requireDiverged(t, err, stored, objects(t, store))
			require.Equal(t, before, tree(t, replica.dir))
		})
	}
}

// VACUUM on the replica took a file that a later RESTORE brings back.
func TestH34VacuumOnTheReplica(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	source.commit(remove("part-00000.parquet"))
	source.mustPush(store)
	replica := restored(t, store)
	require.NoError(t, os.Remove(filepath.Join(replica, "part-00000.parquet")))
	source.commit(add("part-00000.parquet", "zero"))
	source.mustPush(store)
	_, err := replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, replica)
}

// An engine cleaned up the replica's log.
func TestH35LogCleanupOnTheReplica(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 3, 10)
	source.mustPush(store)
	replica := &pond{t: t, dir: restored(t, store), next: 6}
	replica.cleanUp(4)
	source.churn(2, 3, 10)
	source.mustPush(store)
	_, err := replicator(t, replica.dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSpan(t, replica.dir, 4, 7)
	require.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, replica.dir, 7))
}

// lateList is a store whose listing does not show the newest objects yet.
type lateList struct {
	storage.Store
	hidden string
}

func (s lateList) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix, after) {
			if info.Key != s.hidden && !yield(info, err) {
				return
			}
		}
	}
}

// A listing that lags makes a pusher look twice and a replica wait; neither takes
// what is missing in it for absent.
func TestH40ListingLags(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 4 {
		source.append("x")
	}
	source.pushSingly(noHead{store})
	late := lateList{store, "backups/version-000003/bundle.tar.zst"}
	replica := restored(t, late)
	source.append("four")
	require.Equal(t, 1, source.mustPush(late).Present, "found by the conditional create")
	before := tree(t, replica)
	report, err := replicator(t, replica, late, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions, "nobody knows whether version 3 is on its way")
	require.Equal(t, before, tree(t, replica))
	_, err = replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, replica)
}

// Tombstones stay in our checkpoints whatever the clock says: dropping them is
// for engines that know the table's retention and whose clock set the times.
func TestH42TombstonesOutliveTheClock(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.interval("5")
	source.churn(20, 2, 10) // each version removes a file, in 1970
	source.mustPush(store)
	replica := restored(t, store)
	checkpoints := checkpointsOf(t, replica)
	require.NotEmpty(t, checkpoints)
	newest := checkpoints[len(checkpoints)-1]
	state, err := openTable(t, replica).Snapshot(t.Context(), newest, nil)
	require.NoError(t, err)
	require.Equal(t, newest, *state.Base, "read from the checkpoint alone")
	removed := 0
	for _, err := range state.Tombstones() {
		require.NoError(t, err)
		removed++
	}
	require.NoError(t, state.Close())
	require.Equal(t, int(newest)-1, removed)
}

// A version restored for itself has nothing above it, and is no replica any more
// once it has gone its own way.
func TestH38RestoredVersionGoesItsOwnWay(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 6 {
		source.append("x")
	}
	source.mustPush(store)
	target := deltalog.Version(3)
	dir := filepath.Join(t.TempDir(), "old")
	_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
	require.NoError(t, err)
	requireSpan(t, dir, 0, 3)
	require.NoFileExists(t, filepath.Join(dir, "part-00004.parquet"))
	own := &pond{t: t, dir: dir, next: 4}
	own.append("own way")
	before := objects(t, store)
	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	requireDiverged(t, err, before, objects(t, store))
	_, err = own.push(store)
	requireDiverged(t, err, before, objects(t, store))
}
