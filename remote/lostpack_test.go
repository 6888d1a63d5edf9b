package remote_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// The versions of a pack that was lost are pushed again, in another form: the index that is left must
// not come to life for another pack of the name.
func TestNameOfALostPack(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 1000)
	source.pushSingly(store)
	consolidate(t, store)
	prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	source.append(noise(77, 3<<20)) // no pack takes it
	source.pushSingly(store)
	source.churn(80, 3, 100)
	source.pushSingly(store)
	lose(t, store, append(keysWith(t, store, "/pack-"), "backups/head.json")...)
	for _, n := range []int{2, 1, 1, 1000} { // 0 and 1 come in one bundle now
		_, err := replicator(t, source.dir, store, &remote.Options{MaxVersions: n, NoBases: true}).Push(t.Context())
		require.NoError(t, err)
	}
	for range 2 {
		requireVersion(t, source, restored(t, store), source.next-1)
		consolidate(t, store)
		requireVersion(t, source, restored(t, store), source.next-1)
		_, err := storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{Delete: true, Grace: -1})
		if err != nil { // the base may still refer to a bundle that came back in another
			require.ErrorIs(t, err, remote.ErrGap)
			source.base(store)
		}
	}
	requireVersion(t, source, restored(t, store), source.next-1)
}

// The index of a lost pack proves that its versions were there.
func TestLostPackIsALoss(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 3, 100)
	source.pushSingly(noHead{store})
	consolidate(t, store)
	source.churn(16, 8, 100)
	source.pushSingly(noHead{store})
	_, err := replicator(t, source.dir, noHead{store}, nil).Base(t.Context()) // 25
	require.NoError(t, err)
	source.churn(5, 3, 100)
	source.pushSingly(noHead{store})
	consolidate(t, store)
	prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	const newest = "backups/pack-000010-000030.tar.zst"
	whole := storage.NewMemory()
	copyAll(t, store, whole)
	lose(t, store, newest)
	lost := func() {
		t.Helper()
		require.ErrorIs(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{}), remote.ErrGap)
		found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{})
		require.NoError(t, err)
		require.ErrorIs(t, found.Err(), remote.ErrGap)
	}
	lost()
	left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	for _, l := range left {
		require.False(t, l.Removed, l.Key)
	}
	copyObject(t, whole, store, newest)
	requireVersion(t, source, restored(t, store), 30)

	lose(t, store, keysWith(t, store, "/pack-")...)
	lost()
}

// What a pusher settles of a longer run is of its own table to the end of that, and it does not ask
// again and again.
func TestRunThatLeadsFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		for range 3 {
			source.append("x")
		}
		source.mustPush(store)
		for range 10 {
			source.append("y")
		}
		_, err := source.push(noHead{store}) // 3 to 12
		require.NoError(t, err)
		source.touch(12, time.Now())
		var passes atomic.Int64
		r := replicator(t, source.dir, store, &remote.Options{Settle: time.Hour, SyncInterval: time.Second,
			Observe: func(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
				return ctx, func(remote.Report, error) { passes.Add(1) }
			}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, r.Follow(ctx), context.DeadlineExceeded)
		require.Less(t, passes.Load(), int64(20))
	})
}

// The run is of a copy that went its own way after the first of its versions.
func TestRunOfAForkThatLeadsFurther(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 3 {
		source.append("x")
	}
	source.mustPush(store)
	source.append("common")
	fork := &pond{t: t, dir: t.TempDir(), next: source.next}
	require.NoError(t, os.CopyFS(fork.dir, os.DirFS(source.dir)))
	for range 20 {
		fork.append("of the fork")
	}
	_, err := fork.push(noHead{store})
	require.NoError(t, err)
	source.append("ours")
	_, err = replicator(t, source.dir, store, &remote.Options{MaxVersions: 1}).Push(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
}

// What a listing does not show yet is not lost.
func TestAcrossGapAndAListingThatLags(t *testing.T) {
	for _, hidden := range []string{bundleOf(5), bundleOf(7)} {
		source, store, behind := halfPushed(t)
		source.base(store) // 9
		late := lateList{store, hidden}
		require.NoError(t, pullIn(t, behind, late, remote.Options{AcrossGap: true}))
		requireSpan(t, behind, 0, 9)
		dir := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, dir, late, remote.Options{AcrossGap: true}))
		start, err := openTable(t, dir).Start(t.Context())
		require.NoError(t, err)
		require.Zero(t, start)
	}
}

// A base is lost that only the index of a pack tells of, and that has the files of a version.
func TestLostBaseWithFilesThatAPackNames(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 10)
	source.pushSingly(store)
	v := source.many(8)
	source.pushListing3(store, nil)
	source.append("next")
	source.pushSingly(store)
	source.base(store)
	source.txns(5000)
	_, err := replicator(t, source.dir, store, &remote.Options{NoBases: true}).Push(t.Context())
	require.NoError(t, err)
	consolidate(t, store)
	lose(t, store, baseOf(v))
	source.append("last")
	source.mustPush(store)
	source.base(store)
	live, _ := initLive(t, store, remote.Options{Durability: remote.DurabilityRelaxed})
	requireVersion(t, source, live, source.next-1)
	pruneAll(t, store)
	live, _ = initLive(t, store, remote.Options{Durability: remote.DurabilityRelaxed})
	requireVersion(t, source, live, source.next-1)
}

// A grace period that is longer than that of the prune before is no loss.
func TestPruneWithALongerGraceThanBefore(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	now := time.Now()
	run := func(grace time.Duration) {
		source.churn(6, 2, 100)
		source.pushSingly(store)
		source.base(store)
		_, err := storeOnly(t, store, &remote.Options{Clock: func() time.Time { return now }}).
			Prune(t.Context(), remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: grace})
		require.NoError(t, err)
	}
	run(-1)
	now = now.Add(time.Hour)
	run(-1)
	run(30 * time.Minute)
}

// Beyond a loss retention makes a whole base the beginning of the history.
func TestPruneBeyondALoss(t *testing.T) {
	for _, lost := range []deltalog.Version{4, 5} { // which a base that is kept refers to, or none
		source, store := newPond(t), storage.NewMemory()
		source.scatter(4, 2, 300)
		source.pushSingly(store)
		source.base(store) // 3
		source.scatter(6, 2, 300)
		source.pushSingly(store)
		source.base(store) // 9
		lose(t, store, bundleOf(lost))
		source.scatter(4, 2, 300)
		source.pushSingly(store)
		source.base(store) // 13
		pruneAll(t, store)
		requireRestores(t, source, store)
	}
}

// The base beside a recorded gap is damaged: with AcrossGap readers go on from the next.
func TestDamagedBaseOfAGap(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 300)
	source.mustPush(store)
	behind := filepath.Join(t.TempDir(), "replica")
	restoreInto(t, behind, store)
	source.churn(4, 3, 300)
	source.cleanUp(7)
	source.pushSingly(store)
	source.churn(4, 3, 300)
	source.pushSingly(store)
	damage(t, store, baseOf(7), 0.2)
	source.base(store)
	source.churn(1, 3, 300)
	source.pushSingly(store)
	require.ErrorIs(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{}), remote.ErrCorrupt)
	for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		dir := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, dir, store, remote.Options{AcrossGap: true, History: history}))
		requireVersion(t, source, dir, 13)
	}
	require.NoError(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}))
	requireVersion(t, source, behind, 13)
}

// Where a listing leaves out what packs have, a base asks for all parts of a version at once.
func TestRequestsOfABaseWithPartsBelowPacks(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(2, 3, 10)
	source.commitLarge(40, 4000)
	require.NoError(t, source.pushDivided(store))
	require.Greater(t, len(keysWith(t, store, "/part-")), 10)
	source.txns(5000)
	_, err := replicator(t, source.dir, store, &remote.Options{NoBases: true}).Push(t.Context())
	require.NoError(t, err)
	consolidate(t, store)
	source.append("last")
	source.mustPush(store)
	report, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, report.Requests.List, int64(3))
}

type uncomparable struct {
	storage.Reader
	_ map[string]int
}

// Stores that cannot be compared are no reason to panic.
func TestMultiOfStoresThatCannotBeCompared(t *testing.T) {
	source := newPond(t)
	source.append("0")
	wrap := func() storage.Reader {
		return struct{ storage.Reader }{uncomparable{Reader: storage.NewMemory()}}
	}
	_, err := remote.NewMulti(openTable(t, source.dir), []remote.Target{{Name: "a", Store: wrap()}, {Name: "b", Store: wrap()}}, nil)
	require.NoError(t, err)
}

// Without a head, too, a pull says that the newest pack is gone, also where nothing else is left.
func TestPullWhereThePackIsLost(t *testing.T) {
	for _, all := range []bool{false, true} {
		source, store := newPond(t), storage.NewMemory()
		source.churn(6, 3, 100)
		source.pushSingly(noHead{store})
		behind := restored(t, store)
		consolidate(t, store)
		source.churn(6, 3, 100)
		source.pushSingly(noHead{store})
		consolidate(t, store)
		prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
		lost := keysWith(t, store, "/pack-")
		require.Len(t, lost, 2)
		if !all {
			lost = lost[1:]
		}
		lose(t, store, lost...)
		require.ErrorIs(t, pullIn(t, behind, store, remote.Options{}), remote.ErrGap)
		requireVersion(t, source, behind, 5)
	}
}

// A process takes a base by itself, after one of its own bundles was lost.
func TestBaseOfAProcessWhoseBundleIsLost(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	p := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
	push := func() remote.Report {
		report, err := p.Push(t.Context())
		require.NoError(t, err)
		return report
	}
	for range 6 {
		source.append("x")
		push()
	}
	lose(t, store, bundleOf(3))
	source.append(noise(1, 2<<20))
	require.NotNil(t, push().Base)
	dir := filepath.Join(t.TempDir(), "replica")
	require.NoError(t, initIn(t, dir, store, remote.Options{History: remote.HistoryLive, AcrossGap: true}))
	requireVersion(t, source, dir, 6)
}

// Where no base above will do an init ends.
func TestInitThatFindsNoBase(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 3, 100)
	source.pushSingly(store)
	source.base(store)
	source.churn(4, 3, 100)
	source.pushSingly(store)
	source.base(store)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
	}
	damage(t, store, baseOf(5), 0.2)
	damage(t, store, baseOf(9), 0.2)
	require.ErrorIs(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{AcrossGap: true}), remote.ErrCorrupt)
}

// All of a store is gone but the index of a pack: no other table is pushed there.
func TestStoreOfWhichAnIndexIsLeft(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 3, 100)
	source.pushSingly(store)
	consolidate(t, store)
	for key := range objects(t, store) {
		if key != "backups/index-000000-000009.json" {
			lose(t, store, key)
		}
	}
	other := newPond(t)
	other.churn(3, 2, 100)
	_, err := other.push(store)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.Len(t, objects(t, store), 1)
}

// A bundle below a pack is lost, with the head: what is pushed above it must not begin under
// a name that the pack has, which retention has freed.
func TestPushBelowAPackAboveALoss(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append(noise(7, 9<<20)) // too large for a run with what follows
	for range 4 {
		source.append("some")
	}
	source.pushSingly(store)
	_, err := storeOnly(t, store, nil).Consolidate(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, keysWith(t, store, "/pack"))
	for v := deltalog.Version(1); v < 6; v++ { // as Prune removes those in the pack; that of 1 is lost
		lose(t, store, bundleOf(v))
	}
	lose(t, store, "backups/head.json")
	source.append("more")
	source.mustPush(store)
	require.NotContains(t, objects(t, store), bundleOf(2), "it lies in the pack")
	requireSame(t, source.dir, restored(t, store))
}
