package remote_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// leavePack cuts a Consolidate off between its first pack and that one's index.
func leavePack(t *testing.T, store storage.Store) (pack string) {
	t.Helper()
	for n := 1; ; n++ {
		cut, faults := storagetest.Fault(store, storagetest.FaultPlan{Kind: storagetest.FaultBefore, N: n, Times: 1000, Err: errFault})
		_, err := storeOnly(t, cut, nil).Consolidate(t.Context())
		require.True(t, faults.Reached(), "it was never cut off behind a pack")
		require.ErrorIs(t, err, errFault)
		require.Empty(t, keysWith(t, store, "index-"))
		if packs := keysWith(t, store, "pack-"); len(packs) > 0 {
			return packs[0]
		}
	}
}

// indexOf returns the key of a pack's index.
func indexOf(pack string) string {
	return strings.NewReplacer("pack-", "index-", ".tar.zst", ".json").Replace(pack)
}

// rewrite makes the store's bundle of a version one of other bytes, as where a damaged one is
// removed and another host pushes it anew.
func (p *pond) rewrite(store storage.Store, v deltalog.Version, host string) {
	p.t.Helper()
	other := storage.NewMemory()
	hook := replicator(p.t, p.dir, other, &remote.Options{MaxVersions: 1, Writer: bundle.Writer{Host: host}})
	for {
		report, err := hook.Push(p.t.Context())
		require.NoError(p.t, err)
		if report.Remaining == 0 {
			break
		}
	}
	key := fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v)
	b := read(p.t.(*testing.T), other, key)
	require.NotEqual(p.t, b, read(p.t.(*testing.T), store, key))
	require.NoError(p.t, store.(storage.Deleter).Delete(p.t.Context(), key))
	require.NoError(p.t, store.Create(p.t.Context(), key, bytes.NewReader(b), -1))
}

// A pack that a Consolidate left which was cut off does not keep the bundles from packs, also
// where these are not any more what is in it.
func TestConsolidateWhereAnotherPackHasTheName(t *testing.T) {
	for versions, packs := range map[int][]string{
		2: {},
		3: {"000000-000001"},
		4: {"000000-000001", "000002-000003"},
		9: {"000000-000004", "000005-000008"},
	} {
		t.Run(fmt.Sprint(versions), func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(versions, 2, 500)
			source.pushSingly(store)
			left := leavePack(t, store)
			was := read(t, store, left)
			source.rewrite(store, 1, "other")

			done := consolidate(t, store)
			require.Equal(t, len(packs), done.Packs)
			for _, name := range packs {
				require.Contains(t, objects(t, store), "backups/index-"+name+".json")
			}
			require.Equal(t, was, read(t, store, left), "nothing is replaced")
			requireSame(t, source.dir, restored(t, store))
			requireVerified(t, store)
			gone := prune(t, store, remote.PruneOptions{Delete: true, Grace: -1}).Keys
			require.Len(t, keysWith(t, store, "bundle.tar.zst"), versions-done.Bundles)
			require.Equal(t, done.Bundles == versions, slices.Contains(gone, left))
			requireSame(t, source.dir, restored(t, store))

			// Life goes on.
			source.churn(3, 2, 500)
			source.pushSingly(store)
			require.Equal(t, 1, consolidate(t, store).Packs)
			requireSame(t, source.dir, restored(t, store))
		})
	}
}

// Whatever Consolidate is cut off at, and however often other bytes come of the bundles
// meanwhile, the next one gets through, and both sides can be read all the time.
func TestConsolidateCutOffAgainAndAgain(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(12, 2, 500)
	source.pushSingly(store)
	for n := 1; len(keysWith(t, store, "index-")) < 2; n++ {
		require.Less(t, n, 500)
		cut, faults := storagetest.Fault(store, storagetest.FaultPlan{Kind: storagetest.FaultBefore, N: n, Times: 1000, Err: errFault})
		_, err := storeOnly(t, cut, nil).Consolidate(t.Context())
		if faults.Reached() {
			require.ErrorIs(t, err, errFault)
		}
		requireSame(t, source.dir, restored(t, store))
		if len(keysWith(t, store, "index-")) == 0 {
			source.rewrite(store, deltalog.Version(n%12), fmt.Sprint(n))
		}
	}
	consolidate(t, store)
	require.Zero(t, consolidate(t, store).Packs)
	requireSame(t, source.dir, restored(t, store))
	requireVerified(t, store)
}

// A pack that is what was meant is not made again, but taken.
func TestConsolidateTakesAPackThatWasLeft(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 2, 500)
	source.pushSingly(store)
	left := leavePack(t, store)
	require.Equal(t, 1, consolidate(t, store).Packs)
	require.Equal(t, []string{left}, keysWith(t, store, "pack-"))
	require.Equal(t, []string{indexOf(left)}, keysWith(t, store, "index-"))
}

// Nor does it where bundles lie within others, of which a pack has no use.
func TestConsolidateOverlappingBundlesWhereAnotherPackHasTheName(t *testing.T) {
	source, store, singles := newPond(t), storage.NewMemory(), storage.NewMemory()
	for _, n := range []int{3, 7, 2, 2} { // runs 0 to 2, 3 to 9, 10 to 11, 12 to 13
		source.churn(n, 3, 100)
		source.mustPush(store)
	}
	source.pushSingly(singles)
	for _, v := range []int{4, 8, 9} {
		copyObject(t, singles, store, fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v))
	}
	require.NoError(t, store.Create(t.Context(), "backups/pack-000000-000013.tar.zst", strings.NewReader("other"), -1))
	done := consolidate(t, store)
	require.Equal(t, []int{2, 4}, []int{done.Packs, done.Bundles})
	require.Equal(t, []string{"backups/index-000000-000009.json", "backups/index-000010-000013.json"}, keysWith(t, store, "index-"))
	require.Zero(t, consolidate(t, store).Packs)
	requireSame(t, source.dir, restored(t, store))
	prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	requireSame(t, source.dir, restored(t, store))
	requireVerified(t, store)
}

// Prune removes a pack without an index when nobody takes it any more, and not before.
func TestPruneOfAPackThatWasLeft(t *testing.T) {
	begin := func(t *testing.T) (source *pond, store storage.Store, left string) {
		source, store = newPond(t), storage.NewMemory()
		source.churn(6, 2, 500)
		source.pushSingly(store)
		return source, store, leavePack(t, store)
	}
	now, never := remote.PruneOptions{Delete: true, Grace: -1}, remote.PruneOptions{Delete: true}
	t.Run("it may still be taken", func(t *testing.T) {
		source, store, left := begin(t)
		require.Empty(t, prune(t, store, now).Keys)
		require.Equal(t, 1, consolidate(t, store).Packs)
		require.NotContains(t, prune(t, store, now).Keys, left)
		require.Contains(t, objects(t, store), left)
		requireSame(t, source.dir, restored(t, store))
	})
	t.Run("others have its bundles", func(t *testing.T) {
		source, store, left := begin(t)
		source.churn(2, 2, 500)
		source.pushSingly(store)
		require.Equal(t, 8, consolidate(t, store).Bundles)
		require.Empty(t, prune(t, store, never).Keys, "not before the grace period")
		dry := prune(t, store, remote.PruneOptions{Grace: -1})
		require.Contains(t, dry.Keys, left)
		require.Contains(t, objects(t, store), left)
		require.Equal(t, dry.Bytes, prune(t, store, now).Bytes)
		require.NotContains(t, objects(t, store), left)
		requireSame(t, source.dir, restored(t, store))
		requireVerified(t, store)
	})
	t.Run("others have some of its bundles", func(t *testing.T) {
		source, store, left := begin(t)
		source.rewrite(store, 0, "other")
		half := &hooked{Store: store, create: "backups/pack-000003", beforeCreate: func() {
			require.Len(t, keysWith(t, store, "index-"), 1)
			require.NotContains(t, prune(t, store, now).Keys, left)
		}}
		require.Equal(t, 2, consolidate(t, storage.Compose(half, nil, nil)).Packs)
		require.Contains(t, objects(t, store), left)
		requireSame(t, source.dir, restored(t, store))
	})
	t.Run("the floor is above it", func(t *testing.T) {
		source, store, left := begin(t)
		source.churn(4, 2, 500)
		source.mustPush(store)
		source.base(store) // 9
		require.Contains(t, prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1}).Keys, left)
		live, _ := initLive(t, store, remote.Options{})
		require.Equal(t, liveFiles(t, source.dir, 9), liveFiles(t, live, 9))
	})
}

// A Consolidate that takes long makes no index of what another one packed meanwhile, or what a
// floor gave up: Prune may have removed its pack.
func TestConsolidateThatTakesLong(t *testing.T) {
	for name, meanwhile := range map[string]func(*pond, storage.Store){
		"others have its bundles": func(source *pond, store storage.Store) {
			source.rewrite(store, 2, "other")
			require.Equal(t, 2, consolidate(t, store).Packs)
		},
		"the floor is above it": func(source *pond, store storage.Store) {
			source.churn(4, 2, 500)
			source.mustPush(store)
			source.base(store) // 9
			prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(6, 2, 500)
			source.pushSingly(store)
			left := leavePack(t, store)
			now := time.Now()
			slow := &hooked{Store: store, open: left, beforeOpen: func() { // it reads back what it takes
				meanwhile(source, store)
				now = now.Add(48 * time.Hour)
			}}
			done, err := storeOnly(t, storage.Compose(slow, nil, nil), &remote.Options{Clock: func() time.Time { return now }}).Consolidate(t.Context())
			require.NoError(t, err)
			require.Zero(t, done.Packs)
			require.NotContains(t, objects(t, store), indexOf(left))
			require.Contains(t, prune(t, store, remote.PruneOptions{Delete: true, Grace: -1}).Keys, left)
			live, _ := initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, live, source.next-1))
		})
	}
}

// A pack whose index was lost may be all that is left of bundles that a base refers to: who
// removes it takes the last copy. Nothing else may go either.
func TestPruneKeepsAPackWhoseIndexWasLost(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 6 {
		source.append("some content")
	}
	source.pushSingly(store)
	consolidate(t, store)
	now := remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1}
	prune(t, store, now) // the bundles
	pack := keysWith(t, store, "pack-")[0]
	source.churn(4, 2, 500)
	source.mustPush(store)
	source.base(store) // 9
	require.NotNil(t, prune(t, store, now).Floor)
	index := read(t, store, indexOf(pack))
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), indexOf(pack)))

	before := objects(t, store)
	_, err := storeOnly(t, store, nil).Prune(t.Context(), now)
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "put it back")
	require.Equal(t, before, objects(t, store))
	require.NoError(t, store.Create(t.Context(), indexOf(pack), bytes.NewReader(index), -1))
	live, _ := initLive(t, store, remote.Options{})
	require.Equal(t, liveFiles(t, source.dir, 9), liveFiles(t, live, 9))
}
