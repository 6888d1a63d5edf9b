package remote_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// damage changes a byte of an object, so far into it.
func damage(t *testing.T, store storage.Store, key string, part float64) {
	t.Helper()
	b := read(t, store, key)
	b[int(float64(len(b))*part)] ^= 0x55
	lose(t, store, key)
	require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(b), -1))
}

func pruneNow(t *testing.T, store storage.Store) (remote.Pruned, error) {
	t.Helper()
	return storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
}

// requireRestores makes sure that the store gives the newest version back, both ways, and that
// Verify finds nothing.
func requireRestores(t *testing.T, source *pond, store storage.Store) {
	t.Helper()
	requireVersion(t, source, restored(t, store), source.next-1)
	requireLive(t, source, store)
}

func requireLive(t *testing.T, source *pond, store storage.Store) {
	t.Helper()
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, source.next-1)
	found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	require.NoError(t, found.Err(), "%v", found.Findings)
}

// What a pusher remembers is overruled by what others have stored since: a file may have come
// back, with other bytes or from a version that retention has given up.
func TestBaseOfAPusherThatSlept(t *testing.T) {
	const first, again = "AAAA", "BBBB"
	for name, c := range map[string]struct {
		prune, again bool
		base         func(p *remote.Replicator) error
	}{
		"other bytes": {false, true, func(p *remote.Replicator) error { _, err := p.Base(t.Context()); return err }},
		"given up":    {true, false, func(p *remote.Replicator) error { _, err := p.Base(t.Context()); return err }},
		"by a push":   {true, true, func(p *remote.Replicator) error { _, err := p.Push(t.Context()); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			now := time.Now()
			options := func() *remote.Options {
				return &remote.Options{MaxVersions: 1, NoBases: true, Clock: func() time.Time { return now }}
			}
			sleeps := options()
			sleeps.NoBases = name != "by a push"
			slept, awake := replicator(t, source.dir, store, sleeps), replicator(t, source.dir, store, options())
			push := func(r *remote.Replicator) {
				_, err := r.Push(t.Context())
				require.NoError(t, err)
			}
			source.append("0")
			push(slept)
			source.write("f", first)
			source.commit(add("f", first))
			push(slept)
			source.commit(remove("f"))
			push(slept)
			if c.prune {
				_, err := awake.Base(t.Context())
				require.NoError(t, err)
				pruneAll(t, store)
				require.NotContains(t, objects(t, store), bundleOf(1))
			}
			content := first
			if c.again {
				content = again
			}
			source.write("f", content)
			source.commit(add("f", content))
			push(awake)
			if name == "by a push" { // one that makes a base due
				source.append(noise(1, 2<<20))
				push(awake)
			}
			now = now.Add(2 * time.Hour)
			require.NoError(t, c.base(slept))
			requireLive(t, source, store) // a full one would meet both contents (H8)

			source.append("newest")
			push(awake)
			_, err := replicator(t, source.dir, store, options()).Base(t.Context())
			require.NoError(t, err)
			pruneAll(t, store)
			requireRestores(t, source, store)
		})
	}
}

// What a pusher remembers is not taken for that of a store which was begun anew.
func TestBaseAfterTheStoreWasBegunAnew(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	p := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1, NoBases: true})
	for range 5 {
		source.append("x")
		_, err := p.Push(t.Context())
		require.NoError(t, err)
	}
	for key := range objects(t, store) {
		lose(t, store, key)
	}
	source.mustPush(store) // in one run
	source.append("y")
	_, err := p.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged, "it is told once")
	source.mustPush(store)
	source.append("z")
	_, err = p.Push(t.Context())
	require.NoError(t, err)
	_, err = p.Base(t.Context())
	require.NoError(t, err)
	requireRestores(t, source, store)
}

// Where a pusher may not write heads, one that pushes version by version meets a run of his. A head
// within the run would lead a copy that went its own way to store its versions there.
func TestNoHeadWithinARun(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 100)
	source.mustPush(store)
	host := replicator(t, source.dir, struct{ storage.Store }{store}, nil) // without heads
	source.churn(2, 3, 100)
	_, err := host.Push(t.Context())
	require.NoError(t, err)
	report, err := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1}).Push(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Remaining, "it goes to the end of the run")
	for range 3 { // 7 to 9
		source.churn(1, 3, 100)
		_, err = host.Push(t.Context())
		require.NoError(t, err)
	}
	fork := &pond{t: t, dir: t.TempDir(), next: source.next}
	require.NoError(t, os.CopyFS(fork.dir, os.DirFS(source.dir)))
	fork.append("fork 10")
	fork.append("fork 11")
	source.churn(2, 3, 100)
	for range 2 {
		_, err = host.Push(t.Context())
		require.NoError(t, err)
	}
	_, err = fork.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	source.mustPush(store)
	requireRestores(t, source, store)
}

// Of a pack that is lost the bundles are used, if they are there yet, and none of them is removed.
func TestLostPack(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 3, 100)
	source.pushSingly(store)
	consolidate(t, store)
	source.churn(70, 3, 100)
	source.pushSingly(store)
	before := keysWith(t, store, "/bundle.tar.zst")
	lose(t, store, keysWith(t, store, "/pack-")...)
	prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	require.Equal(t, before, keysWith(t, store, "/bundle.tar.zst"))
	requireVersion(t, source, restored(t, store), 79)
}

// Of a pack that is damaged, too, as long as retention has not removed them.
func TestDamagedPack(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 10, 500)
	source.pushSingly(store)
	consolidate(t, store)
	source.base(store)
	for i := range 40 {
		damage(t, store, keysWith(t, store, "/pack-")[0], float64(i)/40)
	}
	requireVersion(t, source, restored(t, store), 9)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 9)
	found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	require.ErrorIs(t, found.Err(), remote.ErrCorrupt, "it is told all the same")

	lose(t, store, keysWith(t, store, "/bundle.tar.zst")...)
	for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		err = initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{History: history})
		require.ErrorIs(t, err, remote.ErrCorrupt)
		require.ErrorContains(t, err, "/pack-")
	}
}

// Its bundles are gone, too: the table has what it takes to push them again, as the error says.
func TestLostPackIsPushedAgain(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(10, 3, 100)
	source.pushSingly(store)
	consolidate(t, store)
	prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	source.churn(70, 3, 100)
	source.pushSingly(store)
	lose(t, store, keysWith(t, store, "/pack-")...)
	err := initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{})
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "push the missing versions again")
	lose(t, store, "backups/head.json")
	source.mustPush(store)
	requireRestores(t, source, store)
}

// Bundles that were lost come back in another form, to which the next base refers.
func TestBaseAfterBundlesWerePushedAgain(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 9 {
		source.append(noise(uint64(i), 3<<20)) // two of them are a run
	}
	source.pushSingly(store)
	source.base(store)
	lose(t, store, bundleOf(5), bundleOf(6), "backups/head.json")
	source.mustPush(store)
	require.NotContains(t, objects(t, store), bundleOf(6))
	source.append("more")
	source.pushSingly(store)
	source.base(store)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 9)
	pruneAll(t, store)
	requireRestores(t, source, store)
}

// A part of a base is lost: the next one does without.
func TestBaseAfterAPartWasLost(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	lose(t, store, keysWith(t, store, "/part-")[0])
	require.Error(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{}))
	source.append("x")
	require.NoError(t, source.pushDivided(store))
	source.base(store)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, source.next-1)
}

// The newest base cannot be read: an older one will do, or none.
func TestDamagedBase(t *testing.T) {
	for _, part := range []float64{0.2, 0.99} { // what it carries, and what describes it
		source, store := newPond(t), storage.NewMemory()
		source.churn(3, 3, 100)
		source.pushSingly(store)
		source.base(store)
		source.churn(3, 3, 100)
		source.pushSingly(store)
		source.base(store)
		damage(t, store, baseOf(5), part)
		live, _ := initLive(t, store, remote.Options{})
		requireVersion(t, source, live, 5)
		requireSpan(t, live, 2, 5)

		source.churn(6, 3, 100)
		source.cleanUp(9)
		source.mustPush(store)
		requireVersion(t, source, restored(t, store), 11)
		source.base(store)
		pruneAll(t, store)
		requireRestores(t, source, store)
	}
}

// The floor is raised to a base only that can be read, with all that it refers to.
func TestNoFloorAtADamagedBase(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 3, 100)
	source.pushSingly(store)
	source.base(store)
	source.churn(4, 3, 100)
	source.pushSingly(store)
	damage(t, store, baseOf(5), 0.2)
	_, err := storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.Empty(t, keysWith(t, store, "/floor-"))
	requireVersion(t, source, restored(t, store), 9)
	source.base(store)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 9)
}

// Where something is lost that it takes to restore what is promised, Prune removes nothing.
func TestPruneOfWhatIsNotWhole(t *testing.T) {
	for name, c := range map[string]struct {
		packed bool
		pin    deltalog.Version
		lost   string
	}{
		"the base of the floor, within the grace period": {false, -1, baseOf(5)},
		"the base of a pinned version":                   {false, 7, baseOf(5)},
		"a bundle that a pinned version takes":           {false, 7, bundleOf(6)},
		"the index of a pack that has a pinned version":  {true, 3, "backups/index-000000-000005.json"},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(6, 3, 100)
			source.pushSingly(store)
			if c.packed {
				consolidate(t, store)
			}
			source.base(store)
			source.churn(4, 3, 100)
			source.pushSingly(store)
			if c.pin >= 0 {
				require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "keep", c.pin))
				source.base(store) // 9
				pruneAll(t, store)
			} else {
				prune(t, store, remote.PruneOptions{KeepVersions: 3, Delete: true})
			}
			lose(t, store, c.lost)
			before := objects(t, store)
			pruned, err := pruneNow(t, store)
			require.ErrorIs(t, err, remote.ErrGap)
			require.ErrorContains(t, err, "nothing is removed")
			require.Empty(t, pruned.Keys)
			require.Equal(t, before, objects(t, store))
			for range remote.Versions(t.Context(), store) { // it may be told of, and must not panic
			}
		})
	}
}

// The bundle at the floor is lost. Its base is no leftover, and the table brings the bundle back.
func TestBundleAtTheFloorIsLost(t *testing.T) {
	for _, cleaned := range []deltalog.Version{3, 5} {
		source, store := newPond(t), storage.NewMemory()
		source.churn(6, 3, 100)
		source.pushSingly(store)
		source.base(store)
		source.churn(4, 3, 100)
		source.pushSingly(store)
		for range 2 {
			prune(t, store, remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
		}
		source.cleanUp(cleaned)
		lose(t, store, bundleOf(5), "backups/head.json")
		left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
		require.NoError(t, err)
		require.False(t, slices.ContainsFunc(left, func(l remote.Leftover) bool { return l.Removed }))
		require.Contains(t, objects(t, store), baseOf(5))
		_, err = source.push(store)
		if cleaned == 5 { // the commit before proves that what comes is of this history
			require.ErrorIs(t, err, remote.ErrGap)
			continue
		}
		require.NoError(t, err)
		requireRestores(t, source, store)
	}
}

// A table of another history does not get in by the hole.
func TestBundleAtTheFloorIsLostAndAnotherTableComes(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), newPond(t)
	source.churn(6, 3, 100)
	source.pushSingly(store)
	source.base(store)
	source.churn(4, 3, 100)
	source.pushSingly(store)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
	}
	lose(t, store, bundleOf(5), "backups/head.json")
	before := objects(t, store)
	other.churn(9, 2, 100)
	_, err := other.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.Equal(t, before, objects(t, store))
}

// A base is lost that the index of a pack names, so that a listing need not tell of it.
func TestLostBaseThatAPackNames(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 10)
	source.pushSingly(store)
	source.base(store)
	source.churn(5000, 3, 10)
	_, err := replicator(t, source.dir, store, &remote.Options{NoBases: true}).Push(t.Context())
	require.NoError(t, err)
	consolidate(t, store)
	lose(t, store, baseOf(2))
	live, _ := initLive(t, store, remote.Options{Durability: remote.DurabilityRelaxed})
	requireVersion(t, source, live, 5002)
	source.base(store)
	pruneAll(t, store)
	live, _ = initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 5002)
	requireSpan(t, live, 5002, 5002)
}

// A bundle comes back under its name with less in it: the log begins with it now, so that its base
// has what was live. The next base does not take it for the bundle that was lost.
func TestBaseAfterABundleCameBackWithLess(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 4 {
		source.append("x")
	}
	source.pushSingly(store)
	source.base(store) // 3, which refers to bundle 2
	source.cleanUp(2)
	lose(t, store, bundleOf(2), "backups/head.json")
	source.mustPush(store)
	require.Equal(t, []string{deltalog.Version(2).CommitPath()}, carriedIn(t, store, bundleOf(2))[:1])
	source.append("more")
	source.mustPush(store)
	source.base(store)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 4)
}
