package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// pruneAll raises the floor and removes what no promised version needs.
func pruneAll(t *testing.T, store storage.Reader) {
	t.Helper()
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	}
}

func (p *pond) base(store storage.Reader) {
	p.t.Helper()
	_, err := replicator(p.t, p.dir, store, nil).Base(p.t.Context())
	require.NoError(p.t, err)
}

// deadLarge commits the removal of the n files of version v.
func (p *pond) deadLarge(v deltalog.Version, n int) {
	var dead []action
	for i := range n {
		dead = append(dead, remove(largeFile(v, i)))
	}
	p.commit(dead...)
}

// overGap makes the history go on beyond a gap: versions 0 and 1 as bundles, then a base of
// version 3, which carries the files of 2 and 3.
func (p *pond) overGap(store storage.Reader) {
	p.append("0")
	p.append("1")
	p.pushSingly(store)
	p.append("2")
	p.append("3")
	p.cleanUp(3)
}

// Of what retention gave up some is still there, for other versions: that it is not whole
// is no problem.
func TestVerifyOfPrunedStores(t *testing.T) {
	shapes := map[string]func(t *testing.T, source *pond, store storage.Store){
		"a pack for a pin, which has a bundle whose parts are gone": func(t *testing.T, source *pond, store storage.Store) {
			source.churn(6, 3, 100)
			source.commitLarge(5, 4000) // 6
			require.NoError(t, source.pushDivided(store))
			source.deadLarge(6, 5)
			source.churn(8, 3, 100)
			source.pushSingly(store)
			require.Equal(t, 1, consolidate(t, store).Packs)
			require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 3))
			source.base(store)
			pruneAll(t, store)
			require.Empty(t, keysWith(t, store, "/part-"))
			require.Len(t, keysWith(t, store, "pack-"), 1)
		},
		"a base that only another base needs": func(t *testing.T, source *pond, store storage.Store) {
			source.overGap(store)
			source.commit(remove("part-00000.parquet")) // 4
			source.pushSingly(store)
			source.base(store)
			pruneAll(t, store)
			require.Len(t, keysWith(t, store, "base.tar.zst"), 2)
			require.NotContains(t, objects(t, store), "backups/version-000000/bundle.tar.zst")
		},
		"a run behind a gap, whose base is gone": func(t *testing.T, source *pond, store storage.Store) {
			source.overGap(store)
			source.append("4")
			source.mustPush(store) // a run from 3 on
			source.commit(remove("part-00002.parquet"), remove("part-00003.parquet"))
			source.pushSingly(store)
			source.base(store)
			pruneAll(t, store)
			require.Len(t, keysWith(t, store, "base.tar.zst"), 1)
			require.Contains(t, objects(t, store), "backups/version-000003/bundle.tar.zst")
		},
		"a pin behind the base of a run": func(t *testing.T, source *pond, store storage.Store) {
			source.churn(4, 3, 100)
			source.pushSingly(store)
			source.base(store) // 3
			source.churn(4, 3, 100)
			source.mustPush(store) // a run from 4 to 7
			source.churn(4, 3, 100)
			source.pushSingly(store)
			require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 5))
			source.base(store)
			pruneAll(t, store)
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			shape(t, source, store)
			live, _ := initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, live, source.next-1))
			for pin, err := range storeOnly(t, store, nil).Pins(t.Context()) {
				require.NoError(t, err)
				dir, err := initErr(t, store, remote.Options{Target: &pin.Version})
				require.NoError(t, err)
				require.Equal(t, liveFiles(t, source.dir, pin.Version), liveFiles(t, dir, pin.Version))
			}
			for _, data := range bothDepths {
				v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
				require.NoError(t, v.Err(), fmt.Sprint(v.Findings))
			}
			// What is needed of it must be whole.
			all := objects(t, store)
			for key := range all {
				of, _, found := strings.Cut(strings.TrimPrefix(key, "backups/version-"), "/")
				if at, err := strconv.Atoi(of); !found || err != nil || at >= int(source.next-1) {
					continue
				}
				damaged := storage.NewMemory()
				copyAll(t, store, damaged)
				spoil(t, damaged, key, func(b []byte) []byte { return b[:len(b)/2] })
				v := verify(t, source.dir, damaged, remote.VerifyOptions{Data: true})
				require.Error(t, v.Err(), key)
			}
		})
	}
}

// The base that a pinned version begins with stays, also where one of another history lies
// between the two.
func TestPinAboveAForeignBase(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(3, 3, 100)
	source.pushSingly(store)
	source.base(store) // 2
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.cleanUp(5)
	require.NoError(t, fork.pushDivided(other))
	const foreign = "backups/version-000005/base.tar.zst"
	copyObject(t, other, store, foreign) // its push died before its bundle
	source.churn(9, 3, 100)
	source.pushSingly(store)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 7))
	source.base(store)
	pruneAll(t, store)
	require.Contains(t, objects(t, store), "backups/version-000002/base.tar.zst")
	pin, dir := deltalog.Version(7), filepath.Join(t.TempDir(), "replica")
	restorer := replicator(t, dir, store, &remote.Options{Target: &pin})
	_, err := restorer.Init(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.ErrorContains(t, err, foreign)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), foreign)) // as Repair does
	_, err = restorer.Init(t.Context())
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, dir, 7))
}

// txns commits n versions without files.
func (p *pond) txns(n int) {
	for range n {
		p.commit(action{"txn": map[string]any{"appId": "a", "version": p.next}})
	}
}

func requireVerified(t *testing.T, store storage.Reader) {
	t.Helper()
	for _, data := range bothDepths {
		v := verify(t, "", store, remote.VerifyOptions{Data: data})
		require.NoError(t, v.Err(), fmt.Sprint(v.Findings))
	}
}

// Bundles below the floor that no pack has, and that the base of the floor refers to, are
// not listed where packs have what lies from the floor on. Verify calls them missing.
func TestVerifyOfUnlistedBundlesBelowTheFloor(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.append("1")
	source.append("2")
	source.pushSingly(store)
	source.base(store) // 2
	pruneAll(t, store) // floor 2
	source.txns(4200)
	source.mustPush(store)
	require.Positive(t, consolidate(t, store).Packs)
	live, _ := initLive(t, store, remote.Options{Durability: remote.DurabilityRelaxed})
	require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, live, source.next-1))
	requireVerified(t, store)
}

// The same without any floor: a bundle that others cover has no place in the pack, but a
// base refers to it.
func TestVerifyOfAnUnlistedBundleThatOthersCover(t *testing.T) {
	source, store, singles := newPond(t), storage.NewMemory(), storage.NewMemory()
	for range 10 {
		source.append("x")
	}
	source.pushSingly(store)
	source.append("10")
	source.append("11")
	source.mustPush(store) // a run from 10 to 11
	source.pushSingly(singles)
	copyObject(t, singles, store, "backups/version-000011/bundle.tar.zst") // of a pusher that lagged
	source.base(store)
	source.txns(4200)
	source.mustPush(store)
	require.Positive(t, consolidate(t, store).Packs)
	live, _ := initLive(t, store, remote.Options{Durability: remote.DurabilityRelaxed})
	require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, live, source.next-1))
	requireVerified(t, store)
}

// The index of a pack names the bases of the history below its end, for listings that pass
// over them, and not a foreign one, which Repair or a Prune may remove.
func TestForeignBaseBelowPacks(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(3, 3, 100)
	source.pushSingly(store)
	source.base(store) // 2
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.cleanUp(5)
	require.NoError(t, fork.pushDivided(other))
	const foreign = "backups/version-000005/base.tar.zst"
	copyObject(t, other, store, foreign) // its push died before its bundle
	source.churn(5, 3, 100)
	source.pushSingly(store) // 3 to 7
	source.txns(4200)
	source.mustPush(store)
	require.Positive(t, consolidate(t, store).Packs)
	at := deltalog.Version(6)
	_, err := initErr(t, store, remote.Options{Target: &at, History: remote.HistoryLive})
	require.NoError(t, err, "it is passed over")
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), foreign))

	for name, check := range map[string]func(t *testing.T){
		"live restore": func(t *testing.T) {
			dir, err := initErr(t, store, remote.Options{Target: &at, History: remote.HistoryLive})
			require.NoError(t, err)
			require.Equal(t, liveFiles(t, source.dir, at), liveFiles(t, dir, at))
		},
		"verify": func(t *testing.T) { requireVerified(t, store) },
		"prune": func(t *testing.T) {
			_, err := storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{KeepVersions: int64(source.next-at) + 1})
			require.NoError(t, err)
		},
	} {
		t.Run(name, check)
	}
}

// runsBeside is a store with runs from 7 to 9, with a base of 9, and, of a pusher that lagged,
// from 8 to 12.
func runsBeside(t *testing.T) (source *pond, store, lagging storage.Store) {
	source, store, lagging = newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(7, 3, 100)
	source.mustPush(lagging) // a run from 0 to 6
	copyAll(t, lagging, store)
	source.txns(3)
	source.mustPush(store) // a run from 7 to 9
	source.base(store)
	source.txns(3)
	hook := replicator(t, source.dir, lagging, &remote.Options{MaxVersions: 1})
	_, err := hook.Push(t.Context()) // 7 alone
	require.NoError(t, err)
	source.mustPush(lagging) // a run from 8 to 12
	copyObject(t, lagging, store, "backups/version-000008/bundle.tar.zst")
	return source, store, lagging
}

// A base within a run, at which the history begins: of the times of that run's versions
// all are taken for the first.
func TestInitToATimeWithinTheRunOfTheFloor(t *testing.T) {
	source, store, _ := runsBeside(t)
	source.churn(2, 3, 100)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	source.mustPush(store) // 13 to 14: found by listing
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 5, Delete: true, Grace: -1})
	}
	require.Len(t, keysWith(t, store, "floor-000009"), 1)
	for v := deltalog.Version(9); v < source.next; v++ {
		info, err := os.Stat(filepath.Join(source.dir, v.CommitPath()))
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "replica")
		_, err = replicator(t, dir, store, &remote.Options{TargetTime: info.ModTime()}).Init(t.Context())
		require.NoError(t, err)
		tip, err := openTable(t, dir).Tip(t.Context())
		require.NoError(t, err)
		require.Equal(t, v, tip)
	}
}

// A fork's push over a gap was killed before it wrote the head, and ours, which went by the
// head, has stored a run over it. The fork's base is taken for one of ours, since the nearest
// bundle of its version is the fork's, too.
func TestForeignBaseAndBundleUnderARun(t *testing.T) {
	setup := func(t *testing.T) (*pond, storage.Store) {
		source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
		source.churn(2, 3, 100)
		source.pushSingly(store)
		copyAll(t, store, other)
		fork := forked(t, source)
		for range 4 {
			fork.append("fork")
		}
		fork.cleanUp(4)
		_, err := replicator(t, fork.dir, other, &remote.Options{MaxVersions: 1}).Push(t.Context())
		require.NoError(t, err)
		copyObject(t, other, store, "backups/version-000004/base.tar.zst")
		copyObject(t, other, store, "backups/version-000004/bundle.tar.zst")
		source.churn(5, 3, 100)
		source.mustPush(store) // a run from 2 to 6
		source.churn(3, 3, 100)
		source.mustPush(store)
		requireSame(t, source.dir, restored(t, store))
		return source, store
	}
	t.Run("live restore", func(t *testing.T) {
		source, store := setup(t)
		for v := deltalog.Version(4); v < source.next; v++ {
			t.Run(fmt.Sprint(int64(v)), func(t *testing.T) {
				dir, err := initErr(t, store, remote.Options{Target: &v, History: remote.HistoryLive})
				require.NoError(t, err)
				require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
			})
		}
	})
	t.Run("prune", func(t *testing.T) {
		source, store := setup(t)
		for range 2 {
			prune(t, store, remote.PruneOptions{KeepVersions: 5, Delete: true, Grace: -1}) // 5 to 9
		}
		for v := deltalog.Version(5); v < source.next; v++ {
			dir, err := initErr(t, store, remote.Options{Target: &v})
			require.NoError(t, err)
			require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
		}
	})
	t.Run("repair", func(t *testing.T) {
		source, store := setup(t)
		for range 2 {
			left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
			require.NoError(t, err)
			t.Log(left)
		}
		v := deltalog.Version(4)
		dir, err := initErr(t, store, remote.Options{Target: &v, History: remote.HistoryLive})
		require.NoError(t, err)
		require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
	})
}

// Prune does not go by the head and settles on the run from 8 to 12. The one from 7 to 9, which
// the head names, has version 9, too, and stays: who goes by the head needs it.
func TestPruneOfARunThatTheHeadNames(t *testing.T) {
	source, store, _ := runsBeside(t)
	source.pushSingly(store) // 10, 11, 12
	source.churn(2, 3, 100)
	source.mustPush(store)
	requireVerified(t, store)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 5, Delete: true, Grace: -1})
	}
	require.Contains(t, objects(t, store), "backups/version-000007/bundle.tar.zst")
	for v := deltalog.Version(9); v < source.next; v++ {
		dir, err := initErr(t, store, remote.Options{Target: &v})
		require.NoError(t, err)
		require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
	}
	requireVerified(t, store)
}

// A bundle is lost whose version a run beside it carries, too. Verify finds nothing wrong,
// but who goes by the head does not look at the run.
func TestLossOfABundleBesideARun(t *testing.T) {
	source, store, _ := runsBeside(t)
	source.pushSingly(store) // 10, 11, 12
	source.churn(2, 3, 100)
	source.mustPush(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/version-000011/bundle.tar.zst"))
	v := verify(t, "", store, remote.VerifyOptions{Data: true})
	if v.Err() != nil {
		return // told
	}
	for v := range source.next {
		_, err := initErr(t, store, remote.Options{Target: &v})
		require.NoError(t, err)
	}
}

// Our own base beside a bundle of a fork that our run covers counts as foreign: a version
// that is pinned above it cannot be restored before the fork's bundle is gone.
func TestPinAboveOurBaseBesideAForeignBundle(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.append("a")
	source.append("b")
	source.pushSingly(store)
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.pushSingly(other)
	copyObject(t, other, store, "backups/version-000005/bundle.tar.zst") // ahead of 2, which we won
	for range 4 {
		source.append("ours ")
	}
	source.mustPush(store) // one run, 2 to 5
	source.base(store)     // 5
	source.churn(3, 3, 100)
	source.pushSingly(store)
	source.base(store) // 8
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 6))
	prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true}) // floor 8; nothing is removed yet
	requireVerified(t, store)
	at := deltalog.Version(6)
	dir, err := initErr(t, store, remote.Options{Target: &at})
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, at), liveFiles(t, dir, at))
}

// A history that begins with a base, and a pin that needs it below the floor: that the base
// is lost is not told.
func TestLossOfTheBaseThatAPinBeginsWith(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 100)
	source.cleanUp(2)
	source.pushSingly(store) // a base of 2, and 2 to 3
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 3))
	var dead []action
	for v := 1; v < 4; v++ {
		dead = append(dead, remove(churnFile(v)))
	}
	source.commit(dead...)
	source.pushSingly(store)
	source.base(store) // 4
	pruneAll(t, store)
	requireVerified(t, store)
	at := deltalog.Version(3)
	_, err := initErr(t, store, remote.Options{Target: &at})
	require.NoError(t, err)

	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/version-000002/base.tar.zst"))
	_, err = initErr(t, store, remote.Options{Target: &at})
	require.ErrorIs(t, err, remote.ErrGap)
	for _, data := range bothDepths {
		v := verify(t, "", store, remote.VerifyOptions{Data: data})
		require.Error(t, v.Err(), fmt.Sprint(v.Findings))
	}
}

// A fork's bundle lies right above the end. Consolidate takes it into a pack, since it goes
// by keys alone; what Repair then removes is only the key, so that a push never gets past it.
func TestConsolidateLeavesAForeignBundle(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(4, 3, 100)
	source.pushSingly(store) // 0 to 3
	copyAll(t, store, other)
	fork := forked(t, source)
	fork.append("fork")
	fork.append("fork")
	fork.pushSingly(other)
	copyObject(t, other, store, "backups/version-000005/bundle.tar.zst") // ahead of 4, which we won
	source.churn(1, 3, 100)
	source.pushSingly(store) // 4
	consolidate(t, store)
	source.churn(1, 3, 100) // 5
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.True(t, left[0].Removed)
	_, err = source.push(store)
	require.NoError(t, err)
	t.Run("prune", func(t *testing.T) { // leaves ours, since the pack has another
		done := prune(t, store, remote.PruneOptions{Grace: -1})
		require.NotContains(t, done.Keys, "backups/version-000005/bundle.tar.zst")
	})
	t.Run("init", func(t *testing.T) { requireSame(t, source.dir, restored(t, store)) })
	t.Run("verify", func(t *testing.T) { requireVerified(t, store) })
}

// A table that ends below the floor hears so from whoever asks, with the versions, and a
// Follow does not try for ever.
func TestTableBelowTheFloor(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 3, 2000)
	source.pushSingly(store)
	behind := restored(t, store)
	source.churn(10, 3, 2000)
	source.pushSingly(store)
	source.base(store)
	source.churn(3, 3, 2000)
	source.pushSingly(store)
	prune(t, store, remote.PruneOptions{KeepVersions: 3, Grace: -1, Delete: true})

	for name, ask := range map[string]func(*remote.Replicator) error{
		"status": func(r *remote.Replicator) error { _, err := r.Status(t.Context()); return err },
		"safe":   func(r *remote.Replicator) error { _, err := r.SafeVersion(t.Context()); return err },
		"lag":    func(r *remote.Replicator) error { _, err := r.Lag(t.Context()); return err },
		"push":   func(r *remote.Replicator) error { _, err := r.Push(t.Context()); return err },
		"base":   func(r *remote.Replicator) error { _, err := r.Base(t.Context()); return err },
		"follow": func(r *remote.Replicator) error { return r.Follow(t.Context()) },
		"pull":   func(r *remote.Replicator) error { _, err := r.Pull(t.Context()); return err },
	} {
		err := ask(replicator(t, behind, store, nil))
		require.ErrorIs(t, err, remote.ErrGap, name)
		if name != "base" {
			require.ErrorContains(t, err, "what is below version 19 was pruned", name)
		}
	}
	st, err := replicator(t, behind, store, nil).Status(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.Equal(t, []int64{9, 22, 13}, []int64{int64(*st.Local), int64(*st.Store), st.Behind})
	require.Nil(t, st.Safe)
}

// Nor does a bare "not found" come of a bundle that the store lost.
func TestTableAtALostVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 100)
	behind := forked(t, source)
	source.churn(2, 3, 100)
	source.pushSingly(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), keysWith(t, store, "version-000003/")[0]))
	_, err := behind.push(store)
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "push version 3: version missing from the store: the table ends with it")
}
