package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// storeOnly is a Replicator without a table.
func storeOnly(t testing.TB, store storage.Reader, opts *remote.Options) *remote.Replicator {
	t.Helper()
	r, err := remote.New(nil, store, opts)
	require.NoError(t, err)
	return r
}

func consolidate(t testing.TB, store storage.Reader) remote.Consolidated {
	t.Helper()
	done, err := storeOnly(t, store, nil).Consolidate(t.Context())
	require.NoError(t, err)
	return done
}

func prune(t testing.TB, store storage.Reader, opts remote.PruneOptions) remote.Pruned {
	t.Helper()
	done, err := storeOnly(t, store, nil).Prune(t.Context(), opts)
	require.NoError(t, err)
	return done
}

func keysWith(t *testing.T, store storage.Reader, part string) (keys []string) {
	t.Helper()
	for key := range objects(t, store) {
		if strings.Contains(key, part) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func TestConsolidate(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 60 {
		source.append(fmt.Sprint(i))
	}
	source.pushSingly(store)
	before := objects(t, store)
	behind, target := filepath.Join(t.TempDir(), "replica"), deltalog.Version(20)
	_, err := replicator(t, behind, store, &remote.Options{Target: &target}).Init(t.Context())
	require.NoError(t, err)

	done := consolidate(t, store)
	require.Equal(t, remote.Consolidated{Packs: 1, Bundles: 60, Bytes: done.Bytes, Requests: done.Requests}, done)
	after := objects(t, store)
	for key, size := range before {
		require.Equal(t, size, after[key], "nothing is removed: %s", key)
	}
	require.Zero(t, consolidate(t, store).Packs, "again there is nothing to do")

	dir := filepath.Join(t.TempDir(), "replica")
	report, err := replicator(t, dir, store, nil).Init(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
	require.LessOrEqual(t, report.Requests.Get+report.Requests.List, int64(6))

	// What the pack took over goes when the grace period is over.
	require.Empty(t, prune(t, store, remote.PruneOptions{Delete: true}).Keys)
	gone := prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	require.Len(t, gone.Keys, 60)
	require.Nil(t, gone.Floor)
	require.Empty(t, keysWith(t, store, "bundle.tar.zst"))
	requireSame(t, source.dir, restored(t, store))
	_, err = replicator(t, behind, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, behind)
	for v := range deltalog.Version(60) {
		if v%13 == 0 {
			_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Target: &v}).Init(t.Context())
			require.NoError(t, err)
		}
	}

	// Life goes on, for pushers and replicas.
	for range 3 {
		source.append("more")
		source.mustPush(store)
	}
	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	source.append("found by listing")
	require.Equal(t, 1, source.mustPush(store).Versions)
	require.Equal(t, 1, consolidate(t, store).Packs)
	requireSame(t, source.dir, restored(t, store))
}

// Bundles that no pack takes, and that lie below the first pack, are still found. A
// random simulation found it: seed 1795664548655552711.
func TestBundlesBelowTheFirstPack(t *testing.T) {
	t.Run("a large one", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.append(noise(1, 3<<20))
		for i := range 20 {
			source.append(fmt.Sprint(i))
		}
		source.pushSingly(store)
		require.Equal(t, 20, consolidate(t, store).Bundles)
		requireSame(t, source.dir, restored(t, store))
		prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
		requireSame(t, source.dir, restored(t, store))
	})
	t.Run("before a gap", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.churn(2, 3, 100)
		source.mustPush(store)
		source.churn(6, 3, 100)
		source.cleanUp(5)
		source.pushSingly(store)
		require.Equal(t, 3, consolidate(t, store).Bundles)
		target := deltalog.Version(1)
		dir := filepath.Join(t.TempDir(), "replica")
		_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
		require.NoError(t, err)
		requireSpan(t, dir, 0, 1)
	})
}

// Bundles within others have no place in a pack, and go with what it took over. A
// random simulation found it: seed 1795659926832711154.
func TestConsolidateOverlappingBundles(t *testing.T) {
	for name, within := range map[string][]int{ // keys of bundles of one version within the run from 3 to 9
		"one at the beginning": {4},
		"one at the end":       {9},
		"several":              {4, 6, 7, 8},
		"all":                  {4, 5, 6, 7, 8, 9},
	} {
		t.Run(name, func(t *testing.T) {
			source, store, singles := newPond(t), storage.NewMemory(), storage.NewMemory()
			for _, n := range []int{3, 7, 2} {
				for i := range n {
					source.append(fmt.Sprint(i))
				}
				source.mustPush(store)
			}
			source.pushSingly(singles)
			for _, v := range within {
				key := fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v)
				require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(read(t, singles, key)), -1))
			}
			done := consolidate(t, store)
			require.Equal(t, []int{1, 3}, []int{done.Packs, done.Bundles})
			require.Zero(t, consolidate(t, store).Packs)
			prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
			requireSame(t, source.dir, restored(t, store))
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
			requireSame(t, source.dir, restored(t, store))
			source.append("found by listing")
			require.Equal(t, 1, source.mustPush(store).Versions)
		})
	}
}

// A pusher that lags may create a bundle under a name that lies among those which a
// pack took over, and that leads further: where the pack has a run, names within it are
// free. The nightly random simulation found it, seed 1795713164178772105: the listing
// passed it over, so the store seemed to end before it.
func TestRunBesideAPack(t *testing.T) {
	source, store, lagging := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(7, 3, 100)
	source.mustPush(lagging) // a run from 0 to 6
	source.pushSingly(store)
	source.churn(3, 3, 100)
	source.mustPush(store) // a run from 7 to 9
	source.churn(3, 3, 100)
	hook := replicator(t, source.dir, lagging, &remote.Options{MaxVersions: 1})
	_, err := hook.Push(t.Context()) // 7 alone
	require.NoError(t, err)
	source.mustPush(lagging) // a run from 8 to 12
	require.Equal(t, 8, consolidate(t, store).Bundles)
	key := "backups/version-000008/bundle.tar.zst"
	require.NotContains(t, objects(t, store), key)
	require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(read(t, lagging, key)), -1))

	requireSame(t, source.dir, restored(t, store))
	pusher := replicator(t, source.dir, store, nil)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	report, err := pusher.Push(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions, "all is there")

	// Retention does not take it for one whose versions are given up.
	_, err = pusher.Base(t.Context())
	require.NoError(t, err)
	source.churn(1, 3, 100)
	_, err = pusher.Push(t.Context())
	require.NoError(t, err)
	prune(t, store, remote.PruneOptions{KeepVersions: 2, Grace: -1, Delete: true})
	prune(t, store, remote.PruneOptions{KeepVersions: 2, Grace: -1, Delete: true})
	dir := restored(t, store)
	for _, v := range []deltalog.Version{12, 13} {
		require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
	}
}

// A run that a lagging pusher stored more than 64 bundles below the end, and that leads
// beyond it, is known to a head alone. Without one retention must not take it for given
// up.
func TestPruneLeavesARunThatLeadsFurther(t *testing.T) {
	source, store, lagging := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(1, 3, 100)
	source.mustPush(lagging)
	source.churn(2, 3, 100)
	source.mustPush(store) // a run from 0 to 2
	source.churn(80, 3, 100)
	source.pushSingly(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.churn(4, 3, 100)
	source.mustPush(lagging) // a run from 1 to 86
	copyObject(t, lagging, store, "backups/version-000001/bundle.tar.zst")
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))

	opts := remote.PruneOptions{KeepVersions: 1, Grace: -1, Delete: true}
	require.Len(t, prune(t, store, opts).Keys, 78, "the run from 0 to 2, and 3 to 79: the base refers to the others")
	report, err := replicator(t, source.dir, store, nil).Push(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions, "all is there")
	dir := restored(t, store)
	require.Equal(t, liveFiles(t, source.dir, 86), liveFiles(t, dir, 86))
}

// lists is a store that notes behind which keys listings begin.
type lists struct {
	storage.Store
	after []string
}

func (s *lists) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	s.after = append(s.after, after)
	return s.Store.List(ctx, prefix, after)
}

// TestListingSkipsWhatPacksHave: all but the last 4,096 versions, and the bases among
// them are still known, from the index.
func TestListingSkipsWhatPacksHave(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("first")
	for range 30 { // below what is skipped
		source.append("x")
	}
	source.mustPush(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for range 4200 {
		source.commit(action{"txn": map[string]any{"appId": "a", "version": source.next}})
	}
	source.mustPush(store)
	require.Equal(t, 1, consolidate(t, store).Packs)
	source.append("behind the pack")
	source.mustPush(store)

	seen := &lists{Store: store}
	target := deltalog.Version(30)
	dir, report := initLive(t, seen, remote.Options{Target: &target, Durability: remote.DurabilityRelaxed})
	require.Equal(t, target, *report.Base)
	require.Equal(t, liveFiles(t, source.dir, target), liveFiles(t, dir, target))
	require.Contains(t, seen.after, "backups/version-000134", "4,096 below the last version of the pack, 4,230")

	report, err = replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Durability: remote.DurabilityRelaxed}).Init(t.Context())
	require.NoError(t, err)
	require.Equal(t, source.next-1, report.Last)
}

func TestH41Prune(t *testing.T) {
	for name, packs := range map[string]bool{"bundles": false, "packs": true} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			pusher := replicator(t, source.dir, store, nil)
			step := func(n int) {
				for range n {
					source.churn(1, 3, 2000)
					_, err := pusher.Push(t.Context())
					require.NoError(t, err)
				}
			}
			step(10)
			behind := restored(t, store)
			step(10)
			_, err := pusher.Base(t.Context()) // of version 19
			require.NoError(t, err)
			step(10)
			if packs {
				consolidate(t, store)
			}
			require.NoError(t, pusher.Pin(t.Context(), "audit", 5))
			all := objects(t, store)

			dry := prune(t, store, remote.PruneOptions{KeepVersions: 8, Grace: -1})
			require.Equal(t, deltalog.Version(19), *dry.Floor)
			require.NotEmpty(t, dry.Keys)
			require.Equal(t, all, objects(t, store), "a dry run changes nothing")
			first := prune(t, store, remote.PruneOptions{KeepVersions: 8, Delete: true})
			require.True(t, first.NewFloor)
			require.Empty(t, first.Keys, "not before the grace period")
			require.Positive(t, first.Waiting)
			done := prune(t, store, remote.PruneOptions{KeepVersions: 8, Grace: -1, Delete: true})
			require.False(t, done.NewFloor)
			require.NotEmpty(t, done.Keys)
			require.Empty(t, prune(t, store, remote.PruneOptions{KeepVersions: 8, Grace: -1, Delete: true}).Keys)

			// From the floor on everything is as before.
			for v := deltalog.Version(19); v < 30; v++ {
				dir := filepath.Join(t.TempDir(), "replica")
				_, err := replicator(t, dir, store, &remote.Options{Target: &v}).Init(t.Context())
				require.NoError(t, err)
				require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
			}
			live, _ := initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, 29), liveFiles(t, live, 29))

			// Below it only what is pinned.
			for v, want := range map[deltalog.Version]error{5: nil, 6: remote.ErrGap, 18: remote.ErrGap} {
				dir := filepath.Join(t.TempDir(), "replica")
				_, err := replicator(t, dir, store, &remote.Options{Target: &v}).Init(t.Context())
				require.ErrorIs(t, err, want)
				if want == nil {
					require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
				}
			}
			_, err = replicator(t, behind, store, nil).Pull(t.Context())
			if packs { // the pack has what it needs, and stays as long as anything in it is needed
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, remote.ErrGap)
				require.Contains(t, err.Error(), "pruned")
			}
			_, err = replicator(t, behind, store, &remote.Options{AcrossGap: true}).Pull(t.Context())
			require.NoError(t, err)
			require.Equal(t, liveFiles(t, source.dir, 29), liveFiles(t, behind, 29))

			step(3)
			source.churn(2, 3, 2000)
			source.mustPush(store)
			require.NoError(t, pusher.Unpin(t.Context(), "audit"))
			prune(t, store, remote.PruneOptions{Grace: -1, Delete: true})
			v := deltalog.Version(5)
			_, err = replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Target: &v}).Init(t.Context())
			require.ErrorIs(t, err, remote.ErrGap)
			live, _ = initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, 34), liveFiles(t, live, 34))
		})
	}
}

func TestPruneByAge(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 2, 100)
	source.pushSingly(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context()) // of version 9
	require.NoError(t, err)
	source.churn(10, 2, 100)
	source.pushSingly(store)
	_, err = replicator(t, source.dir, store, nil).Base(t.Context()) // of version 19
	require.NoError(t, err)
	at := func(v int) time.Time { // as pond.commit sets the times
		return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(v) * time.Minute)
	}
	for now, want := range map[int]deltalog.Version{18: 0, 20: 9, 28: 9, 29: 19} {
		r := storeOnly(t, store, &remote.Options{Clock: func() time.Time { return at(now).Add(30 * time.Second) }})
		done, err := r.Prune(t.Context(), remote.PruneOptions{KeepAge: 10 * time.Minute})
		require.NoError(t, err)
		if want == 0 {
			assert.Nil(t, done.Floor, "at %d", now)
			continue
		}
		require.NotNil(t, done.Floor, "at %d", now)
		assert.Equal(t, want, *done.Floor, "at %d", now)
	}
}

// The version at which a pruned history begins has a time, too, though no bundle begins with
// it; found by the simulation.
func TestInitToTheTimeOfTheFloor(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 2, 100)
	source.mustPush(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context()) // of version 9
	require.NoError(t, err)
	source.churn(4, 2, 100)
	source.pushSingly(store)
	done := prune(t, store, remote.PruneOptions{KeepVersions: 5, Grace: -1, Delete: true})
	require.Equal(t, deltalog.Version(9), *done.Floor)
	info, err := os.Stat(filepath.Join(source.dir, deltalog.Version(9).CommitPath()))
	require.NoError(t, err)
	at := info.ModTime().Truncate(time.Millisecond)
	for _, when := range []time.Time{at, at.Add(30 * time.Second)} {
		dir := filepath.Join(t.TempDir(), "replica")
		_, err = replicator(t, dir, store, &remote.Options{TargetTime: when}).Init(t.Context())
		require.NoError(t, err)
		tip, err := openTable(t, dir).Tip(t.Context())
		require.NoError(t, err)
		require.Equal(t, deltalog.Version(9), tip)
	}
	_, err = replicator(t, t.TempDir(), store, &remote.Options{TargetTime: at.Add(-time.Millisecond)}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
}

// A store whose head was left behind, and which holds what a copy that went its own
// way has pushed above its end.
func TestRepair(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	foreign, other := &pond{t: t, dir: restored(t, store), next: 1}, storage.NewMemory()
	for range 4 {
		foreign.append("foreign")
	}
	foreign.pushSingly(other)
	copyObject(t, other, store, "backups/version-000003/bundle.tar.zst")
	source.append("mine")
	source.append("mine")
	source.append("mine")
	mine := storage.NewMemory()
	source.pushSingly(mine)
	copyObject(t, mine, store, "backups/version-000002/bundle.tar.zst")

	hook := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
	found, err := hook.Repair(t.Context(), false)
	require.NoError(t, err)
	want := []remote.Leftover{
		{Key: "backups/version-000002/bundle.tar.zst", First: 2, Last: 2},
		{Key: "backups/version-000003/bundle.tar.zst", First: 3, Last: 3, InTheWay: remote.ObstacleForeign},
	}
	require.Equal(t, want, found)
	found, err = hook.Repair(t.Context(), true)
	require.NoError(t, err)
	want[1].Removed = true
	require.Equal(t, want, found)
	source.pushSingly(store)
	requireSame(t, source.dir, restored(t, store))

	_, err = replicator(t, foreign.dir, store, nil).Repair(t.Context(), true)
	require.ErrorIs(t, err, remote.ErrDiverged, "a table of another history decides nothing")
}
