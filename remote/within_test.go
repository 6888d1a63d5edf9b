package remote_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// forkAhead is a store with versions 0 and 1 of source, in which the bundle of version 3 is a
// fork's, who was ahead of its version 2 when we won that. commit makes the fork's versions.
func forkAhead(t *testing.T, store storage.Store, commit func(fork *pond)) (source *pond) {
	source, other := newPond(t), storage.NewMemory()
	source.append("a")
	source.append("b")
	source.pushSingly(store)
	copyAll(t, store, other)
	fork := forked(t, source)
	commit(fork)
	fork.pushSingly(other)
	copyObject(t, other, store, bundle3)
	return source
}

func forkAppends(fork *pond) {
	for range 4 {
		fork.append("fork")
	}
}

// pushRun pushes versions of ours as one run from 2 on.
func (p *pond) pushRun(store storage.Store, versions int) {
	for range versions {
		p.append("ours ")
	}
	p.mustPush(store)
}

// requireSound is requireVerified where leftovers may lie.
func requireSound(t *testing.T, store storage.Reader) {
	t.Helper()
	v := verify(t, "", store, remote.VerifyOptions{Data: true})
	require.NoError(t, v.Err(), "%v", v.Findings)
}

// A base does not take files of a fork from a bundle within the run before the base before.
func TestSecondBaseBesideALeftover(t *testing.T) {
	store := storage.NewMemory()
	source := forkAhead(t, store, forkAppends)
	source.pushRun(store, 4) // 2 to 5
	source.base(store)       // 5
	source.append("ours ")
	source.append("ours ")
	source.pushSingly(store) // 6, 7
	source.base(store)       // 7
	requireVerified(t, store)
	dir, report := initLive(t, store, remote.Options{})
	require.EqualValues(t, 7, *report.Base)
	require.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, dir, 7))
}

// Nor the same file, which the fork brought once more: Repair removes that bundle.
func TestSecondBaseBesideALeftoverWithOurFile(t *testing.T) {
	store := storage.NewMemory()
	source := forkAhead(t, store, func(fork *pond) {
		fork.commit(action{"txn": map[string]any{"appId": "fork", "version": 1}}) // 2
		fork.commit(add("part-00001.parquet", "b"))                               // 3
	})
	source.txns(4)
	source.mustPush(store) // 2 to 5
	source.base(store)     // 5
	source.txns(2)
	source.pushSingly(store) // 6, 7
	source.base(store)       // 7
	requireSound(t, store)
	left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.True(t, left[0].Removed)
	dir, _ := initLive(t, store, remote.Options{})
	require.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, dir, 7))
}

// Retention sets the floor to a version of which a fork left a bundle, and no base refers to
// the run that has ours.
func TestFloorAtALeftover(t *testing.T) {
	setUp := func(t *testing.T, ours func(source *pond)) (*pond, storage.Store) {
		store := storage.NewMemory()
		source := forkAhead(t, store, forkAppends)
		ours(source)
		source.mustPush(store) // 2, 3
		source.base(store)     // 3
		source.churn(3, 3, 100)
		source.pushSingly(store)
		for range 2 {
			prune(t, store, remote.PruneOptions{KeepVersions: 4, Delete: true, Grace: -1})
		}
		require.Contains(t, objects(t, store), "backups/floor-000003.json")
		return source, store
	}
	restorable := func(t *testing.T, source *pond, store storage.Store) {
		requireSound(t, store)
		for v := deltalog.Version(3); v < source.next; v++ {
			dir, err := initErr(t, store, remote.Options{Target: &v})
			require.NoError(t, err)
			if v > 3 { // which a log that was cleaned up does not have
				requireVersion(t, source, dir, v)
			}
		}
	}
	t.Run("whose run nobody needs", func(t *testing.T) {
		source, store := setUp(t, func(source *pond) { source.txns(2) })
		restorable(t, source, store)
	})
	t.Run("repaired by a table whose log begins above", func(t *testing.T) {
		source, store := setUp(t, func(source *pond) { source.append("ours "); source.append("ours ") })
		source.cleanUp(4)
		left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
		require.NoError(t, err)
		for _, l := range left {
			require.Equal(t, deltalog.Version(3), l.First, "only the fork's may be a leftover: %v", left)
		}
		restorable(t, source, store)
	})
}

// A leftover at the very place where Repair begins to look.
func TestRepairWhereALeftoverIsTheFirstThatItSees(t *testing.T) {
	store := storage.NewMemory()
	source := forkAhead(t, store, forkAppends)
	source.pushRun(store, 2) // 2, 3
	for range 127 {
		source.append("ours ")
	}
	source.pushSingly(store)
	source.cleanUp(4)
	requireVerified(t, store)
	_, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Contains(t, objects(t, store), "backups/version-000004/bundle.tar.zst")
	_, err = initErr(t, store, remote.Options{})
	require.NoError(t, err)
}

// Pushes of one process each, which find the end by listing, go on while a leftover is among
// what they look at, and when it is the first of it.
func TestPushesByListingBesideALeftover(t *testing.T) {
	store := noHead{storage.NewMemory()}
	source := forkAhead(t, store, forkAppends)
	source.pushRun(store, 2) // 2, 3
	for i := range 70 {
		source.append("ours ")
		_, err := source.push(store)
		require.NoError(t, err, "push %d, of version %d", i, source.next-1)
	}
}

// A leftover whose clock was ahead, or behind, does not mislead the search for a time.
func TestTimeBesideALeftover(t *testing.T) {
	for name, clock := range map[string]deltalog.Version{"ahead": 600, "behind": 0} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMemory()
			source := forkAhead(t, store, func(fork *pond) {
				fork.append("fork")
				fork.append("fork")
				fork.touch(3, commitTime(clock))
			})
			source.pushRun(store, 2) // 2, 3
			source.churn(8, 3, 100)
			source.pushSingly(store)
			for _, head := range []bool{true, false} {
				if !head {
					require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
				}
				for v := range source.next {
					dir, err := initErr(t, store, remote.Options{TargetTime: commitTime(v)})
					require.NoError(t, err)
					tip, err := openTable(t, dir).Tip(t.Context())
					require.NoError(t, err)
					require.Equal(t, v, tip, "with a head: %t", head)
				}
			}
		})
	}
}

// A leftover too large for a pack lies before what is to be packed.
func TestConsolidateBehindALargeLeftover(t *testing.T) {
	store := storage.NewMemory()
	source := forkAhead(t, store, func(fork *pond) {
		fork.append("fork")
		fork.commitLarge(3, 1<<20)
	})
	source.pushRun(store, 2) // 2, 3
	for range 20 {
		source.append("ours ")
	}
	source.pushSingly(store)
	require.GreaterOrEqual(t, consolidate(t, store).Bundles, 20)
	requireSame(t, source.dir, restored(t, store))
}

// Consolidate asks for the bases only where it names them in an index, once.
func TestRequestsOfConsolidate(t *testing.T) {
	source, store := newPond(t), noHead{storage.NewMemory()}
	var before remote.Requests
	for i := range 5 {
		source.churn(70, 3, 100)
		source.pushSingly(store)
		source.base(store)
		consolidate(t, store)
		idle := consolidate(t, store)
		require.Zero(t, idle.Packs)
		if i > 0 {
			require.LessOrEqual(t, idle.Requests.Get, before.Get+2, "with %d bases", i+1)
		}
		before = idle.Requests
	}
}

// Prune is at work when another packs bundles and a second Prune removes them: what is gone may
// be in a pack, so the first must not take it for the end of what a pin needs.
func TestPruneBesideConsolidateAndPrune(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.pushSingly(store)
	source.base(store) // 2
	for range 2 {
		source.churn(3, 3, 100)
		source.mustPush(store) // runs, 3 to 5 and 6 to 8
	}
	pushed := func() {
		_, err := replicator(t, source.dir, store, &remote.Options{NoBases: true}).Push(t.Context())
		require.NoError(t, err)
	}
	source.commitLarge(3, 1<<20) // 9, which no pack takes
	pushed()
	source.churn(3, 3, 100)
	pushed() // run, 10 to 12
	at := deltalog.Version(11)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", at))
	source.deadLarge(9, 3)
	source.churn(10, 3, 100)
	source.pushSingly(store)
	source.base(store)

	race := &hooked{Store: store, create: "backups/floor-", beforeCreate: func() {
		require.NotZero(t, consolidate(t, store).Packs)
		require.NotEmpty(t, prune(t, store, remote.PruneOptions{Delete: true, Grace: -1}).Keys)
	}}
	_, err := storeOnly(t, storage.Compose(race, store.(storage.Deleter), nil), nil).Prune(t.Context(), remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	require.ErrorIs(t, err, storage.ErrNotFound)
	dir, err := initErr(t, store, remote.Options{Target: &at})
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, at), liveFiles(t, dir, at))
	prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	dir, err = initErr(t, store, remote.Options{Target: &at})
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, at), liveFiles(t, dir, at))
}

// Nor does it refuse a replica of this table, whose id has changed within its history.
func TestPullAcrossAGapOfATableWithAnotherID(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 2, 10)
	source.commit(begin("replaced")[1])
	source.churn(2, 2, 10)
	source.pushSingly(store)
	replica := restored(t, store) // 5
	source.churn(6, 2, 10)
	source.pushSingly(store)
	source.base(store)
	source.churn(2, 2, 10)
	source.pushSingly(store)
	pruneAll(t, store)
	require.ErrorIs(t, pullIn(t, replica, store, remote.Options{}), remote.ErrGap)
	require.NoError(t, pullIn(t, replica, store, remote.Options{AcrossGap: true}))
	require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, replica, source.next-1))
}

// A pull over a gap does not replace the log of another table.
func TestPullAcrossAGapIntoAnotherTable(t *testing.T) {
	stranger, store := newPond(t), storage.NewMemory()
	stranger.commit(begin("stranger")...)
	stranger.churn(11, 2, 300)
	stranger.pushSingly(store)
	stranger.base(store)
	pruneAll(t, store) // the floor is 11
	require.NotContains(t, objects(t, store), "backups/version-000002/bundle.tar.zst")
	table := func(dir string) map[string]string {
		files := tree(t, dir)
		maps.DeleteFunc(files, func(path, _ string) bool { return strings.HasPrefix(path, ".sluice") })
		return files
	}
	refused := func(t *testing.T, dir string) {
		before := table(dir)
		err := pullIn(t, dir, store, remote.Options{AcrossGap: true})
		require.ErrorIs(t, err, remote.ErrDiverged)
		require.Equal(t, before, table(dir))
	}
	t.Run("whole", func(t *testing.T) {
		mine := newPond(t)
		mine.commit(begin("mine")...)
		mine.append("a precious file")
		refused(t, mine.dir)
	})
	t.Run("whose last commit is missing", func(t *testing.T) {
		mine := newPond(t)
		mine.commit(begin("mine")...)
		mine.append("a precious file")
		mine.append("a precious file")
		_, err := openTable(t, mine.dir).WriteCheckpoint(t.Context(), 2, nil)
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(mine.dir, deltalog.Version(2).CommitPath())))
		refused(t, mine.dir)
	})
	t.Run("where a jump was stopped", func(t *testing.T) {
		source, ours := newPond(t), storage.NewMemory()
		source.churn(2, 2, 300)
		source.mustPush(ours)
		dir := restored(t, ours)
		source.churn(6, 2, 300)
		source.cleanUp(5)
		source.mustPush(ours)
		cutAt(t, dir, commitOf(5), func() error { return pullIn(t, dir, ours, remote.Options{AcrossGap: true}) })
		refused(t, dir)
	})
}
