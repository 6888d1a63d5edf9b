package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// oldPond is a table whose log begins at version 2, at which 12 files are live, ten of
// 4,000 bytes: five parts of two files of these and what the order of the paths puts
// beside them, or four and a base with the rest.
func oldPond(t *testing.T) *pond {
	source := newPond(t)
	source.churn(1, 3, 100)
	source.commitLarge(10, 4000)
	source.churn(1, 3, 100)
	source.cleanUp(2)
	source.churn(1, 3, 100)
	return source
}

// onlyGap requires that nothing is wrong but the gap at the beginning.
func onlyGap(t *testing.T, v remote.Verification) {
	t.Helper()
	require.NoError(t, v.Err())
	require.Equal(t, []string{"gap backups/version-000002/bundle.tar.zst"}, kinds(v))
}

// What is live beyond a gap goes up in parts, like a large commit.
func TestBaseIsDivided(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	require.Len(t, keysWith(t, store, "version-000002/part-"), 4)
	require.Less(t, objects(t, store)["backups/version-000002/base.tar.zst"], int64(16_000), "two files of ten, and the checkpoint")

	for name, history := range map[string]remote.History{"full": remote.HistoryFull, "live": remote.HistoryLive} {
		dir := filepath.Join(t.TempDir(), "replica")
		_, err := replicator(t, dir, store, &remote.Options{History: history}).Init(t.Context())
		require.NoError(t, err, name)
		for v := deltalog.Version(2); v < 4; v++ {
			require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v), name)
		}
	}
	for _, data := range bothDepths {
		v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
		onlyGap(t, v)
		require.True(t, v.Table.Identical)
	}

	// A later base refers to the same parts, also when the first is pruned.
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.churn(2, 3, 100)
	require.NoError(t, source.pushDivided(store))
	require.Len(t, keysWith(t, store, "/part-"), 4)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	}
	require.Len(t, keysWith(t, store, "/part-"), 4)
	v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
	require.NoError(t, v.Err())
	live, report := initLive(t, store, remote.Options{})
	require.Equal(t, deltalog.Version(3), *report.Base)
	require.Equal(t, liveFiles(t, source.dir, 5), liveFiles(t, live, 5))

	// And go when nothing refers to them any more.
	var gone []action
	for i := range 10 {
		gone = append(gone, remove(largeFile(1, i)))
	}
	source.commit(gone...)
	require.NoError(t, source.pushDivided(store))
	_, err = replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	}
	require.Empty(t, keysWith(t, store, "/part-"))
	live, _ = initLive(t, store, remote.Options{})
	require.Equal(t, liveFiles(t, source.dir, 6), liveFiles(t, live, 6))
}

// A replica that is told to goes over a gap by such a base.
func TestPullAcrossADividedBase(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(1, 3, 100)
	require.NoError(t, source.pushDivided(store))
	behind := restored(t, store)
	source.commitLarge(10, 4000)
	source.churn(1, 3, 100)
	source.cleanUp(2)
	require.NoError(t, source.pushDivided(store))
	require.Len(t, keysWith(t, store, "version-000002/part-"), 4)
	_, err := replicator(t, behind, store, &remote.Options{AcrossGap: true}).Pull(t.Context())
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, 2), liveFiles(t, behind, 2))
}

// A push of such a base that is cut off at any request is carried on by another process,
// which sends no part again that is there, and no base.
func TestPushOfABaseIsCarriedOn(t *testing.T) {
	fresh, begun := oldPond(t), newPond(t)
	before := storage.NewMemory()
	begun.churn(1, 3, 100)
	begun.mustPush(before)
	begun.commitLarge(10, 4000)
	begun.churn(1, 3, 100)
	begun.cleanUp(2)
	begun.churn(1, 3, 100)
	t.Run("an empty store", func(t *testing.T) { cutOffEverywhere(t, fresh, storage.NewMemory(), 4) })
	t.Run("a hole", func(t *testing.T) { cutOffEverywhere(t, begun, before, 4) })
	t.Run("cleaned up further", func(t *testing.T) {
		whole, left := storage.NewMemory(), storage.NewMemory()
		require.NoError(t, fresh.pushDivided(whole))
		copyObject(t, whole, left, "sluice.json")
		for _, key := range keysWith(t, whole, "/part-")[:2] {
			copyObject(t, whole, left, key)
		}
		fresh.cleanUp(3)
		cutOffEverywhere(t, fresh, left, 2)
	})
}

// cutOffEverywhere cuts pushes off that make so many parts of four.
func cutOffEverywhere(t *testing.T, source *pond, begun storage.Store, parts int) {
	resumed := map[int]bool{} // with how many parts there
	for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultAfter, storagetest.FaultMiddle} {
		for n := 1; ; n++ {
			store := storage.NewMemory()
			for key := range objects(t, begun) {
				copyObject(t, begun, store, key)
			}
			faulty, faults := storagetest.Fault(store, storagetest.FaultPlan{Kind: kind, N: n, Times: 1000, Err: errStopped})
			err := source.pushDivided(faulty)
			if !faults.Reached() {
				require.NoError(t, err)
				break
			}
			before := objects(t, store)
			pruned, err := storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{Delete: true, Grace: -1})
			if !errors.Is(err, remote.ErrEmptyStore) {
				require.NoError(t, err)
			}
			require.Empty(t, pruned.Keys, "%s %d: what the next push goes on with stays", kind, n)
			again := &created{Store: store}
			require.NoError(t, source.pushDivided(again), "%s %d", kind, n)
			for key := range again.keys {
				if strings.Contains(key, "/part-") || strings.Contains(key, "/base") {
					require.NotContains(t, before, key, "%s %d: sent twice", kind, n)
				}
			}
			require.Len(t, keysWith(t, store, "/part-"), 4, "%s %d", kind, n)
			v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err(), "%s %d", kind, n)
			require.True(t, v.Table.Identical, "%s %d", kind, n)
			resumed[parts-partsOf(again.keys)] = true
		}
	}
	require.Len(t, resumed, parts+1, "after each of the parts, and before the first")
}

// What was left is used file by file, but not if it has other bytes than the table.
func TestPartsOfABaseThatWereLeft(t *testing.T) {
	for name, c := range map[string]struct {
		change func(source *pond, file string)
		sent   int // parts
	}{
		"nothing changed":      {func(*pond, string) {}, 2},
		"a file was rewritten": {func(source *pond, file string) { source.write(file, noise(99, 4000)) }, 3},
		"by another table":     {func(source *pond, file string) { source.write(file, noise(99, 5000)) }, 3},
		"a dead file was vacuumed": {func(source *pond, file string) {
			source.commit(remove(file))
			require.NoError(source.t, os.Remove(filepath.Join(source.dir, file)))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			source, whole, store := oldPond(t), storage.NewMemory(), storage.NewMemory()
			require.NoError(t, source.pushDivided(whole))
			for _, key := range keysWith(t, whole, "/part-")[:2] {
				copyObject(t, whole, store, key)
			}
			copyObject(t, whole, store, "sluice.json")
			c.change(source, partsFiles(t, source, store)[0])
			again := &created{Store: store}
			require.NoError(t, source.pushDivided(again))
			assert.Equal(t, c.sent, partsOf(again.keys))
			v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err())
			tip := source.next - 1
			dir := restored(t, store)
			require.Equal(t, liveFiles(t, source.dir, tip), liveFiles(t, dir, tip))
			dir, _ = initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, tip), liveFiles(t, dir, tip))
		})
	}
}

// Parts are used again although the log was cleaned up further before the next push, which
// begins with another version.
func TestPartsOfABaseOfAnotherVersion(t *testing.T) {
	for name, begun := range map[string]int{"an empty store": 0, "a hole": 1} {
		t.Run(name, func(t *testing.T) {
			source, whole, store := newPond(t), storage.NewMemory(), storage.NewMemory()
			source.churn(1, 3, 100)
			for range begun {
				source.mustPush(store)
			}
			source.commitLarge(10, 4000)
			source.churn(1, 3, 100)
			source.cleanUp(2)
			source.churn(1, 3, 100)
			for key := range objects(t, store) {
				copyObject(t, store, whole, key)
			}
			require.NoError(t, source.pushDivided(whole))
			require.Len(t, keysWith(t, whole, "version-000002/part-"), 4)
			for _, key := range keysWith(t, whole, "/part-")[:3] {
				copyObject(t, whole, store, key)
			}
			if begun == 0 {
				copyObject(t, whole, store, "sluice.json")
			}
			source.cleanUp(3)
			again := &created{Store: store}
			require.NoError(t, source.pushDivided(again))
			require.Equal(t, 1, partsOf(again.keys))
			require.Len(t, keysWith(t, store, "version-000003/part-"), 1)
			prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
			require.Len(t, keysWith(t, store, "version-000002/part-"), 3)
			v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err())
			require.True(t, v.Table.Identical)
			require.Contains(t, kinds(v), "gap backups/version-000003/bundle.tar.zst")
			dir := restored(t, store)
			require.Equal(t, liveFiles(t, source.dir, 3), liveFiles(t, dir, 3))
			dir, said, err := readElsewhere(t, store)
			require.NoError(t, err, said)
			require.Equal(t, liveFiles(t, source.dir, 3), liveFiles(t, dir, 3))
		})
	}
}

// Where the base beside a gap was lost the next one has all that it had, in parts beside
// the same version, where retention leaves them alone until they are named.
func TestBaseInPlaceOfALostOne(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	parts := keysWith(t, store, "/part-")
	for _, key := range []string{"backups/version-000002/base.tar.zst", parts[0], parts[1]} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	}
	for n := 1; ; n++ {
		faulty, _ := storagetest.Fault(store, storagetest.FaultPlan{Kind: storagetest.FaultBefore, N: n, Times: 1000, Err: errStopped})
		r := replicator(t, source.dir, faulty, nil)
		remote.SetPartSize(r, 10_000)
		before := keysWith(t, store, "/part-")
		_, err := r.Base(t.Context())
		require.Subset(t, keysWith(t, store, "/part-"), before)
		if err == nil {
			require.Greater(t, n, 4)
			break
		}
		require.ErrorIs(t, err, errStopped)
		require.Empty(t, prune(t, store, remote.PruneOptions{Delete: true, Grace: -1}).Keys)
	}
	require.Equal(t, parts, keysWith(t, store, "/part-"), "the two that were left and two new ones")
	require.Empty(t, prune(t, store, remote.PruneOptions{Delete: true, Grace: -1}).Keys)
	dir, report := initLive(t, store, remote.Options{})
	require.Equal(t, deltalog.Version(3), *report.Base)
	require.Equal(t, liveFiles(t, source.dir, 3), liveFiles(t, dir, 3))
}

// A file that vanishes while a part is made of it, and that nobody needs any more, is
// recorded absent.
func TestFileVanishesBeforeItsPartIsMade(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	source.commit(remove(largeFile(1, 0)))
	table := &vanishing{Dir: openTable(t, source.dir), path: largeFile(1, 0), at: filepath.Join(source.dir, largeFile(1, 0))}
	r, err := remote.New(table, store, nil)
	require.NoError(t, err)
	remote.SetPartSize(r, 10_000)
	report, err := r.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Absent)
	dir := restored(t, store)
	require.Equal(t, liveFiles(t, source.dir, 4), liveFiles(t, dir, 4))
	v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
	require.NoError(t, v.Err())
}

// vanishing is a table of which somebody removes a file when it is opened.
type vanishing struct {
	*deltalog.Dir
	path, at string
}

func (v *vanishing) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if path == v.path {
		if err := os.Remove(v.at); err != nil && !os.IsNotExist(err) {
			return nil, 0, err
		}
	}
	return v.Dir.OpenFile(ctx, path)
}

// Parts that no listing names, since packs have all versions there, are found all the
// same.
func TestVerifyFindsPartsBelowPacks(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for range 4300 {
		source.commit(action{"txn": map[string]any{"appId": "a", "version": source.next}})
	}
	source.mustPush(store)
	consolidate(t, store)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 4300, Delete: true, Grace: -1})
	}
	require.NotEmpty(t, keysWith(t, store, "/floor-000003"))
	require.Len(t, keysWith(t, store, "/part-"), 4)
	for _, data := range bothDepths {
		require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: data}).Findings)
	}
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), keysWith(t, store, "/part-")[0]))
	v := verify(t, "", store, remote.VerifyOptions{})
	require.Error(t, v.Err())
}

// Two pushers of one table that divide a base at once make one set of parts, also in a store
// that was begun before the log was cleaned up further.
func TestTwoPushersDivideABase(t *testing.T) {
	source, whole := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(whole))
	for i := range 20 {
		store := storage.NewMemory()
		if i == 10 {
			source.cleanUp(3)
		}
		if i >= 10 {
			copyObject(t, whole, store, "sluice.json")
			copyObject(t, whole, store, keysWith(t, whole, "/part-")[0])
		}
		var pushers sync.WaitGroup
		for range 2 {
			pushers.Go(func() { assert.NoError(t, source.pushDivided(store)) })
		}
		pushers.Wait()
		require.Len(t, keysWith(t, store, "/part-"), 4)
		v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
		require.Equal(t, []string{fmt.Sprintf("gap backups/version-%06d/bundle.tar.zst", 2+i/10)}, kinds(v))
	}
}

// A part of a base that is missing or damaged is damage, and named.
func TestDamagedPartOfABaseIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b []byte) []byte
		found string
	}{
		"missing":       {func([]byte) []byte { return nil }, "missing"},
		"a flipped bit": {func(b []byte) []byte { b[len(b)/3] ^= 4; return b }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := oldPond(t), storage.NewMemory()
			require.NoError(t, source.pushDivided(store))
			key := keysWith(t, store, "/part-")[0]
			spoil(t, store, key, c.spoil)
			_, err := replicator(t, t.TempDir(), store, nil).Init(t.Context())
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.ErrorContains(t, err, key)
			v := verify(t, "", store, remote.VerifyOptions{Data: true})
			require.Contains(t, kinds(v), c.found+" "+key)
			require.Error(t, v.Err())
		})
	}
}

// Many small files do not make one long list.
func TestBaseOfManyFilesIsDivided(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	actions := begin("many")
	for i := range 20_010 {
		name := largeFile(0, i)
		source.write(name, "x")
		actions = append(actions, add(name, "x"))
	}
	source.commit(actions...)
	source.churn(1, 3, 100)
	source.cleanUp(1)
	source.mustPush(store)
	require.Len(t, keysWith(t, store, "version-000001/part-"), 1)
	dir := restored(t, store)
	require.Equal(t, liveFiles(t, source.dir, 1), liveFiles(t, dir, 1))
}
