package remote_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func forked(t *testing.T, p *pond) *pond {
	fork := &pond{t: t, dir: filepath.Join(t.TempDir(), "fork"), next: p.next}
	require.NoError(t, os.CopyFS(fork.dir, os.DirFS(p.dir)))
	return fork
}

func copyAll(t *testing.T, from, to storage.Store) {
	for key := range objects(t, from) {
		copyObject(t, from, to, key)
	}
}

func initErr(t *testing.T, store storage.Reader, o remote.Options) (string, error) {
	dir := filepath.Join(t.TempDir(), "replica")
	_, err := replicator(t, dir, store, &o).Init(t.Context())
	return dir, err
}

// cutAfterParts fails every bundle, once three parts of version 4 are there.
type cutAfterParts struct {
	storage.Store
	parts *sync.WaitGroup
}

func (s cutAfterParts) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if strings.HasSuffix(key, "/bundle.tar.zst") {
		s.parts.Wait()
		return errStopped
	}
	err := s.Store.Create(ctx, key, r, size)
	if strings.Contains(key, "version-000004/part-") {
		s.parts.Done()
	}
	return err
}

// A commit that adds live files again (row tracking backfill,
// RESTORE) was divided, its push cut off, then the log cleaned up to below that commit.
func TestPartsOfALaterCommit(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(1, 3, 100)
	source.mustPush(store)
	source.commitLarge(10, 1<<20) // 1
	source.churn(2, 3, 100)       // 2, 3
	var again []action
	for i := range 10 {
		again = append(again, add(largeFile(1, i), noise(uint64(1000+i), 1<<20)))
	}
	source.commit(again...) // 4
	var parts sync.WaitGroup
	parts.Add(3)
	r := replicator(t, source.dir, cutAfterParts{store, &parts}, &remote.Options{Concurrency: 8})
	remote.SetPartSize(r, 3<<20)
	_, err := r.Push(t.Context())
	require.ErrorIs(t, err, errStopped)
	source.cleanUp(2)
	r = replicator(t, source.dir, store, nil)
	remote.SetPartSize(r, 3<<20)
	_, err = r.Push(t.Context())
	require.NoError(t, err)
	_, err = initErr(t, store, remote.Options{})
	require.NoError(t, err, "the push was a success")
}

// The parts are beside version 3, the base is of version 2.
func TestPartsBesideALaterVersion(t *testing.T) {
	source, whole, store := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(1, 3, 100)
	source.mustPush(store)
	source.commitLarge(10, 4000)
	source.churn(1, 3, 100)
	source.cleanUp(2)
	source.churn(1, 3, 100)
	behind := forked(t, source)
	copyAll(t, store, whole)
	source.cleanUp(3)
	require.NoError(t, source.pushDivided(whole))
	for _, key := range keysWith(t, whole, "version-000003/part-")[:3] {
		copyObject(t, whole, store, key)
	}
	require.NoError(t, behind.pushDivided(store))
	dir, err := initErr(t, store, remote.Options{})
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, behind.dir, 3), liveFiles(t, dir, 3))
}

// The bundle beside a base is lost, no head: the base is taken for good, though its
// index names that bundle, and the bundle that comes in its place has change data alone.
func TestLostBundleBesideABase(t *testing.T) {
	for name, floor := range map[string]bool{"newest version": false, "at the floor": true} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(5, 3, 100)
			source.pushSingly(store)
			_, err := replicator(t, source.dir, store, nil).Base(t.Context()) // of 4
			require.NoError(t, err)
			for i := 0; floor && i < 2; i++ {
				prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
			}
			for _, key := range []string{"backups/version-000004/bundle.tar.zst", "backups/head.json"} {
				require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
			}
			source.churn(3, 3, 100)
			source.cleanUp(4)
			if _, err = source.push(store); err != nil {
				return // told
			}
			_, err = initErr(t, store, remote.Options{})
			require.NoError(t, err, "the push was a success")
		})
	}
}

// A base of a fork, left above the end, is passed by a push of ours.
func TestForeignBase(t *testing.T) {
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
		require.NoError(t, fork.pushDivided(other))
		copyObject(t, other, store, "backups/version-000004/base.tar.zst") // its push died before its bundle
		for range 5 {
			source.append("ours ")
		}
		source.pushSingly(store) // 2 to 6, no error
		return source, store
	}
	t.Run("live restore", func(t *testing.T) {
		source, store := setup(t)
		for _, v := range []deltalog.Version{4, 5, 6} {
			dir, err := initErr(t, store, remote.Options{History: remote.HistoryLive, Target: &v})
			require.NoError(t, err)
			requireSpan(t, dir, 0, v) // there is no other base
			require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
		}
		v := deltalog.Version(4)
		left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, []remote.Leftover{{Key: "backups/version-000004/base.tar.zst", First: 4, Last: 4, InTheWay: remote.ObstacleForeign, Removed: true}}, left)
		dir, err := initErr(t, store, remote.Options{History: remote.HistoryLive, Target: &v})
		require.NoError(t, err)
		require.Equal(t, liveFiles(t, source.dir, 4), liveFiles(t, dir, 4))
	})
	t.Run("live restore, with an older base", func(t *testing.T) {
		source, store := setup(t)
		old := deltalog.Version(1)
		behind := filepath.Join(t.TempDir(), "replica")
		_, err := replicator(t, behind, store, &remote.Options{Target: &old}).Init(t.Context())
		require.NoError(t, err)
		copied := storage.NewMemory()
		(&pond{t: t, dir: behind}).pushSingly(copied)
		(&pond{t: t, dir: behind}).base(copied)
		copyObject(t, copied, store, "backups/version-000001/base.tar.zst")
		dir, err := initErr(t, store, remote.Options{History: remote.HistoryLive})
		require.NoError(t, err)
		requireSpan(t, dir, 1, 6)
		require.Equal(t, liveFiles(t, source.dir, 6), liveFiles(t, dir, 6))
	})
	t.Run("prune", func(t *testing.T) {
		_, store := setup(t)
		for range 2 {
			_, err := storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
			require.NoError(t, err)
		}
		_, err := initErr(t, store, remote.Options{})
		require.NoError(t, err)
	})
	t.Run("our next base", func(t *testing.T) {
		source, store := setup(t)
		_, err := replicator(t, source.dir, store, nil).Base(t.Context())
		require.NoError(t, err)
		dir, _ := initLive(t, store, remote.Options{})
		require.Equal(t, liveFiles(t, source.dir, 6), liveFiles(t, dir, 6))
	})
}

// A bundle of a fork within the history that the chain passes by gets into our bases.
func TestForeignBundleWithinTheHistory(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.append("a")
	source.append("b")
	source.pushSingly(store)
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 3 {
		fork.append("fork")
	}
	fork.pushSingly(other)
	copyObject(t, other, store, "backups/version-000003/bundle.tar.zst") // ahead of 2, which we won
	for range 4 {
		source.append("ours ")
	}
	source.mustPush(store) // one run, 2 to 5
	requireSame(t, source.dir, restored(t, store))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	dir, _ := initLive(t, store, remote.Options{})
	require.Equal(t, liveFiles(t, source.dir, 5), liveFiles(t, dir, 5))
}

// A base above the end names a part that is damaged, or is missing.
func TestLeftBaseWithABadPart(t *testing.T) {
	for name, c := range map[string]struct{ damaged, repair bool }{
		"damaged, repaired": {true, true}, "damaged, pushed over": {true, false}, "missing, repaired": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			source, whole, store := oldPond(t), storage.NewMemory(), storage.NewMemory()
			require.NoError(t, source.pushDivided(whole))
			for _, key := range append(keysWith(t, whole, "version-000002/part-"), "sluice.json", "backups/version-000002/base.tar.zst") {
				copyObject(t, whole, store, key) // cut off before the bundle
			}
			key := keysWith(t, store, "/part-")[0]
			if c.damaged {
				spoil(t, store, key, func(b []byte) []byte { return b[:len(b)/2] })
			} else {
				require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
			}
			for i := 0; c.repair && i < 2; i++ {
				_, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
				require.NoError(t, err)
			}
			err := source.pushDivided(store)
			if c.repair {
				require.NoError(t, err, "repaired twice")
			}
			if err == nil {
				_, err = initErr(t, store, remote.Options{})
				require.NoError(t, err, "the push was a success")
			}
		})
	}
}

type beforeKey struct {
	storage.Store
	key  string
	once *sync.Once
	do   func()
}

func (s beforeKey) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if strings.HasSuffix(key, s.key) {
		s.once.Do(s.do)
	}
	return s.Store.Create(ctx, key, r, size)
}

// Prune with its default grace, while a base is under way that uses old parts again.
func TestPruneWhileABaseUsesOldParts(t *testing.T) {
	folder := t.TempDir()
	store, err := storage.OpenDir(folder)
	require.NoError(t, err)
	source, whole := newPond(t), storage.NewMemory()
	source.churn(1, 3, 100)
	source.mustPush(store)
	copyAll(t, store, whole)
	source.commitLarge(10, 4000) // 1
	source.churn(1, 3, 100)      // 2
	source.cleanUp(2)
	source.churn(1, 3, 100) // 3
	require.NoError(t, source.pushDivided(whole))
	for _, key := range keysWith(t, whole, "version-000002/part-") {
		copyObject(t, whole, store, key)
	}
	ageAll(t, folder, store, 7*24*time.Hour)
	var dead []action
	for i := range 10 {
		dead = append(dead, remove(largeFile(1, i)))
	}
	source.commit(dead...)                                                   // 4
	source.commit(action{"txn": map[string]any{"appId": "a", "version": 1}}) // 5
	slow := forked(t, source)                                                // its log begins at 2
	source.cleanUp(5)
	meanwhile := beforeKey{store, "version-000002/base.tar.zst", &sync.Once{}, func() {
		require.NoError(t, source.pushDivided(store))
		prune(t, store, remote.PruneOptions{Delete: true})
	}}
	if err := slow.pushDivided(meanwhile); err != nil {
		return // told
	}
	_, err = initErr(t, store, remote.Options{})
	require.NoError(t, err)
}

// A damaged bundle above the end stops the push, and Repair, too.
func TestRepairOfADamagedBundle(t *testing.T) {
	source, whole, store := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(2, 3, 100)
	source.pushSingly(store)
	copyAll(t, store, whole)
	source.churn(4, 3, 100)
	source.pushSingly(whole)
	const key = "backups/version-000004/bundle.tar.zst"
	copyObject(t, whole, store, key)
	spoil(t, store, key, func(b []byte) []byte { return b[:len(b)/2] })
	_, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	source.pushSingly(store)
}

// The grace period of an unpin, where packs have what lies from the floor on.
func TestUnpinBelowPacks(t *testing.T) {
	folder := t.TempDir()
	store, err := storage.OpenDir(folder)
	require.NoError(t, err)
	source := newPond(t)
	source.churn(10, 3, 100)
	source.pushSingly(store)
	pusher := replicator(t, source.dir, store, nil)
	_, err = pusher.Base(t.Context()) // of version 9
	require.NoError(t, err)
	require.NoError(t, pusher.Pin(t.Context(), "audit", 5))
	day := remote.PruneOptions{KeepVersions: 1, Delete: true}
	prune(t, store, day) // floor 9
	ageAll(t, folder, store, 72*time.Hour)
	prune(t, store, day)
	for range 4300 {
		source.commit(action{"txn": map[string]any{"appId": "a", "version": source.next}})
	}
	source.mustPush(store)
	require.Positive(t, consolidate(t, store).Packs)
	ageAll(t, folder, store, 72*time.Hour)
	prune(t, store, remote.PruneOptions{Delete: true})
	restore := func() error {
		v := deltalog.Version(5)
		_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Target: &v}).Init(t.Context())
		return err
	}
	require.NoError(t, restore())
	require.NoError(t, pusher.Unpin(t.Context(), "audit"))
	done := prune(t, store, remote.PruneOptions{Delete: true})
	require.Empty(t, done.Keys, "within the grace period of the unpin")
}

// What was left within a gap is no part of the history, and no loss.
func TestVerifyOfBundlesInsideAGap(t *testing.T) {
	for name, stray := range map[string]deltalog.Version{"just below its end": 9, "in the middle": 7} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(5, 3, 500)
			source.mustPush(store)
			source.churn(8, 3, 500)
			complete := storage.NewMemory()
			source.pushSingly(complete)
			copyObject(t, complete, store, fmt.Sprintf("backups/version-%06d/bundle.tar.zst", stray))
			source.cleanUp(10)
			source.mustPush(store)
			v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err())
		})
	}
}

// Where the first bundle and the head were lost, a table of another history removes nothing.
func TestRepairOfALostBeginning(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 100)
	source.pushSingly(store)
	fork := &pond{t: t, dir: restored(t, store), next: source.next}
	source.churn(5, 3, 100)
	source.pushSingly(store)
	for range 5 {
		fork.append("the fork")
	}
	for _, key := range []string{"backups/version-000000/bundle.tar.zst", "backups/head.json"} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	}
	left, err := replicator(t, fork.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Empty(t, left)
}

// ageAll makes all objects of a store in a folder older.
func ageAll(t *testing.T, folder string, store storage.Reader, by time.Duration) {
	for key := range objects(t, store) {
		name := filepath.Join(folder, filepath.FromSlash(key))
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.NoError(t, os.Chtimes(name, time.Time{}, info.ModTime().Add(-by)))
	}
}

// A pusher whose log goes back further than that of the one who recorded a gap goes on,
// also where the head lags.
func TestPusherWithALongerLogBehindAGap(t *testing.T) {
	source, store, before := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(4, 3, 100)
	source.mustPush(store)
	copyObject(t, store, before, "backups/head.json")
	source.churn(1, 3, 100)
	other := forked(t, source)
	source.cleanUp(4)
	source.mustPush(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	copyObject(t, before, store, "backups/head.json") // as after a push that was killed before it wrote it
	other.churn(2, 3, 100)
	other.mustPush(store)
	dir := restored(t, store)
	require.Equal(t, liveFiles(t, other.dir, 6), liveFiles(t, dir, 6))
	v := verify(t, other.dir, store, remote.VerifyOptions{Data: true})
	require.NoError(t, v.Err())
}

// overtakenFork: a fork whose log was cleaned up pushes over its gap. While its base goes up,
// which takes long, we push a run over that version. Both pushes are a success.
func overtakenFork(t *testing.T) (source *pond, store storage.Store) {
	source, store = newPond(t), storage.NewMemory()
	source.churn(2, 3, 100)
	source.pushSingly(store)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.cleanUp(4)
	for range 5 {
		source.append("ours ")
	}
	race := &hooked{Store: store, create: "version-000004/base", beforeCreate: func() { source.mustPush(store) }} // 2 to 6
	_, err := fork.push(race)
	require.NoError(t, err)
	return source, store
}

// leftoverInARun: a fork's bundle lies within our run, 2 to 5; before has what the store had when its
// end was version 1.
func leftoverInARun(t *testing.T, foreign string) (source *pond, store, before storage.Store) {
	source, store, before = newPond(t), storage.NewMemory(), storage.NewMemory()
	other := storage.NewMemory()
	source.append("a")
	source.append("b")
	source.pushSingly(store)
	copyAll(t, store, before)
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.pushSingly(other)
	copyObject(t, other, store, foreign) // ahead of 2, which we won
	for range 4 {
		source.append("ours ")
	}
	source.mustPush(store)
	return source, store, before
}

const bundle3, bundle5 = "backups/version-000003/bundle.tar.zst", "backups/version-000005/bundle.tar.zst"

// A base of a fork has its bundle beside it, which lies within our run.
func TestForeignBaseWithItsBundle(t *testing.T) {
	source, store := overtakenFork(t)
	for v := deltalog.Version(4); v <= 6; v++ {
		dir, err := initErr(t, store, remote.Options{Target: &v}) // full: fine
		require.NoError(t, err)
		requireVersion(t, source, dir, v)
		dir, err = initErr(t, store, remote.Options{Target: &v, History: remote.HistoryLive})
		if assert.NoError(t, err, "version %d", v) {
			assert.Equal(t, readString(t, filepath.Join(source.dir, v.CommitPath())), readString(t, filepath.Join(dir, v.CommitPath())), "version %d is the fork's, and the init a success", v)
		}
	}
}

// Prune does not raise the floor to it.
func TestPruneWithAForeignBase(t *testing.T) {
	source, store := overtakenFork(t)
	source.append("more")
	source.mustPush(store)
	source.base(store) // 7
	prune(t, store, remote.PruneOptions{KeepVersions: 4, Delete: true, Grace: -1})
	for v := deltalog.Version(5); v <= 7; v++ {
		dir, err := initErr(t, store, remote.Options{Target: &v})
		if assert.NoError(t, err, "version %d", v) {
			assert.Equal(t, readString(t, filepath.Join(source.dir, v.CommitPath())), readString(t, filepath.Join(dir, v.CommitPath())), "version %d is the fork's, and the init a success", v)
		}
	}
}

// The opposite: our base, and beside it a bundle of a fork, within our run.
func TestOwnBaseBesideALeftover(t *testing.T) {
	source, store, _ := leftoverInARun(t, bundle5)
	source.base(store) // 5
	source.append("more")
	source.mustPush(store)
	_, report := initLive(t, store, remote.Options{})
	assert.NotNil(t, report.Base, "the base of version 5 is ours")
	assert.True(t, prune(t, store, remote.PruneOptions{KeepVersions: 1}).NewFloor, "Prune never gets on")
}

// The same where that comes late, and the floor is there.
func TestFloorBesideALeftover(t *testing.T) {
	source, store, _ := leftoverInARun(t, bundle5)
	late := storage.NewMemory()
	copyObject(t, store, late, bundle5)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), bundle5))
	source.base(store) // 5
	source.append("more")
	source.mustPush(store)
	pruneAll(t, store)
	copyObject(t, late, store, bundle5)
	_, err := initErr(t, store, remote.Options{})
	require.NoError(t, err)
}

// A replica ends at a version of which a fork left a bundle.
func TestInitGoesOnAtALeftover(t *testing.T) {
	source, store, _ := leftoverInARun(t, bundle3)
	dir, err := initErr(t, store, remote.Options{Target: ptr(3)})
	require.NoError(t, err)
	require.NoError(t, initIn(t, dir, store, remote.Options{})) // Pull can
	requireVersion(t, source, dir, 5)
}

// A copy that lags compares its newest version with our run, not with a leftover in it.
func TestPushOfACopyThatLags(t *testing.T) {
	_, store, _ := leftoverInARun(t, bundle3)
	for v := range deltalog.Version(6) {
		dir, err := initErr(t, store, remote.Options{Target: &v})
		require.NoError(t, err)
		_, err = replicator(t, dir, store, nil).Push(t.Context())
		assert.NoError(t, err, "version %d", v)
	}
}

// Progress counts what is read after a base was passed over.
func TestProgressOverAForeignBase(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(2, 3, 100000)
	source.pushSingly(store)
	source.base(store) // 1
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 4 {
		fork.append(noise(4, 100000))
	}
	fork.cleanUp(4)
	require.NoError(t, fork.pushDivided(other))
	copyObject(t, other, store, "backups/version-000004/base.tar.zst") // its push died before its bundle
	for i := range 5 {
		source.append(noise(uint64(i), 100001))
	}
	source.pushSingly(store) // 2 to 6
	var last remote.Progress
	dir := filepath.Join(t.TempDir(), "replica")
	require.NoError(t, initIn(t, dir, store, remote.Options{History: remote.HistoryLive, Concurrency: 1, Progress: func(p remote.Progress) { last = p }}))
	requireVersion(t, source, dir, 6)
	assert.Greater(t, last.Size, int64(5*100000), "two live files and bundles 2 to 6 were read: %+v", last)
	assert.Equal(t, last.Size, last.Done)
}

// telling is a store whose head can be written.
type telling struct {
	*hooked
	storage.Overwriter
}

// A fork that pushed over its gap, while we took the versions below and its own with them,
// hears of it from the head.
func TestOvertakenForkIsTold(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(2, 3, 100)
	source.pushSingly(store)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.cleanUp(4)
	for range 5 {
		source.append("ours ")
	}
	race := telling{&hooked{Store: store, create: "version-000004/base", beforeCreate: func() { source.mustPush(store) }}, store.(storage.Overwriter)} // 2 to 6
	_, err := fork.push(race)
	require.ErrorIs(t, err, remote.ErrDiverged)
	source.append("more")
	source.mustPush(store)
	requireVersion(t, source, restored(t, store), 7)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	source.append("by listing")
	source.mustPush(store)
	requireVersion(t, source, restored(t, store), 8)
}

// Where the head is lost, the end of the store is that of our run, beside a leftover there.
func TestEndBesideALeftover(t *testing.T) {
	for _, key := range []string{bundle3, bundle5} {
		source, store, _ := leftoverInARun(t, key)
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		source.append("more")
		source.mustPush(store)
		requireVersion(t, source, restored(t, store), 6)
	}
}
