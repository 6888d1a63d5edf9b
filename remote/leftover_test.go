package remote_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// What a push over a gap leaves that is cut off after its base, when the log is cleaned
// up further before the next push: a base in the middle of the gap. Retention must not
// begin the history there.
func TestFloorIsNoBaseWithinAGap(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(2, 3, 100)
	require.NoError(t, source.pushDivided(store))
	for key := range objects(t, store) {
		copyObject(t, store, other, key)
	}
	source.churn(5, 3, 100)
	source.cleanUp(4)
	require.NoError(t, source.pushDivided(other))
	copyObject(t, other, store, "backups/version-000004/base.tar.zst")
	source.churn(5, 3, 100)
	source.cleanUp(8)
	require.NoError(t, source.pushDivided(store))

	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 7, Delete: true, Grace: -1})
	}
	require.Empty(t, keysWith(t, store, "/floor-"))
	dir := restored(t, store)
	require.Equal(t, liveFiles(t, source.dir, 11), liveFiles(t, dir, 11))
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 2, Delete: true, Grace: -1})
	}
	require.Len(t, keysWith(t, store, "/floor-"), 1)
	dir = restored(t, store)
	require.Equal(t, liveFiles(t, source.dir, 11), liveFiles(t, dir, 11))
}

// A bundle where a gap ends that does not record it, left of a push that was cut off
// before the log was cleaned up, is not taken for ours: nobody would get beyond it.
func TestLeftoverWhereAGapEndsIsTold(t *testing.T) {
	source, store, whole := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(2, 3, 100)
	source.pushSingly(store)
	source.churn(2, 3, 100)
	source.pushSingly(whole)
	const key = "backups/version-000003/bundle.tar.zst"
	copyObject(t, whole, store, key)
	source.churn(1, 3, 100)
	source.cleanUp(3)
	before := objects(t, store)
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.ErrorContains(t, err, key)
	require.ErrorContains(t, err, "does not record the gap")
	require.Equal(t, before, objects(t, store), "told before the base goes up")
	left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, []remote.Leftover{{Key: key, First: 3, Last: 3, InTheWay: remote.ObstacleNoGap, Removed: true}}, left)
	source.mustPush(store)
	dir := restored(t, store)
	require.Equal(t, liveFiles(t, source.dir, 4), liveFiles(t, dir, 4))
}

// A push that finds its base there makes sure of the parts, as long as the source has
// what is in them.
func TestBaseThereButNotItsParts(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	key := keysWith(t, store, "/part-")[0]
	for _, gone := range []string{"backups/version-000002/bundle.tar.zst", "backups/version-000003/bundle.tar.zst", "backups/head.json", key} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), gone))
	}
	err := source.pushDivided(store)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, key)
}

// Without its base, the parts beside a gap are what is left of the data.
func TestPruneLeavesThePartsOfALostBase(t *testing.T) {
	source, store := oldPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/version-000002/base.tar.zst"))
	require.Empty(t, prune(t, store, remote.PruneOptions{Delete: true, Grace: -1}).Keys)
}

// An extra file that is gone is no less missed beyond a gap.
func TestExtraFileGoneBeyondAGap(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.write("_large_files/a", "hello")
	source.cleanUp(2)
	extra := func(context.Context, deltalog.Version) ([]string, error) {
		return []string{"_large_files/a", "_large_files/gone"}, nil
	}
	_, err := replicator(t, source.dir, store, &remote.Options{Extra: extra}).Push(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "_large_files/gone")
	report, err := replicator(t, source.dir, store, &remote.Options{Extra: extra, AllowMissing: true}).Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Absent)
}

// A fork may have left the same parts that a base of ours refers to.
func TestRepairLeavesPartsThatABaseNames(t *testing.T) {
	ours, store, whole := newPond(t), storage.NewMemory(), storage.NewMemory()
	ours.churn(2, 3, 100)
	require.NoError(t, ours.pushDivided(store))
	for key := range objects(t, store) {
		copyObject(t, store, whole, key)
	}
	fork := &pond{t: t, dir: filepath.Join(t.TempDir(), "fork"), next: ours.next}
	require.NoError(t, os.CopyFS(fork.dir, os.DirFS(ours.dir)))
	ours.append("ours")
	fork.append("fork")
	for _, p := range []*pond{ours, fork} {
		actions := []action{{"txn": map[string]any{"appId": filepath.Base(p.dir), "version": 1}}}
		for i := range 10 {
			content := noise(uint64(1000+i), 4000)
			p.write(largeFile(3, i), content)
			actions = append(actions, add(largeFile(3, i), content))
		}
		p.commit(actions...)
	}
	require.NoError(t, fork.pushDivided(whole))
	for _, key := range keysWith(t, whole, "version-000003/") {
		copyObject(t, whole, store, key)
	}
	before := len(keysWith(t, store, "version-000003/part-"))
	require.Positive(t, before)
	left, err := replicator(t, ours.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.True(t, left[0].Removed)
	require.Len(t, keysWith(t, store, "version-000003/part-"), before)
	require.NoError(t, ours.pushDivided(store))
	requireSame(t, ours.dir, restored(t, store))
}

// What the versions need that a floor gives up stays for the grace period of that floor,
// though it lies below an older one.
func TestGraceOfASecondFloor(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.commitLarge(2, 100) // needed by the base of version 2
	source.append("1")
	source.append("2")
	base := func() {
		source.pushSingly(store)
		_, err := replicator(t, source.dir, store, nil).Base(t.Context())
		require.NoError(t, err)
	}
	base()
	source.append("3")
	source.commit(remove(largeFile(0, 0)), remove(largeFile(0, 1)))
	source.append("5")
	base()
	now := time.Now()
	pruneAt := func(after time.Duration, keep int64) remote.Pruned {
		r := storeOnly(t, store, &remote.Options{Clock: func() time.Time { return now.Add(after) }})
		done, err := r.Prune(t.Context(), remote.PruneOptions{KeepVersions: keep, Delete: true})
		require.NoError(t, err)
		return done
	}
	pruneAt(0, 4) // floor 2
	pruneAt(48*time.Hour, 4)
	target := deltalog.Version(4)
	initLive4 := func() error {
		dir := filepath.Join(t.TempDir(), "replica")
		_, err := replicator(t, dir, store, &remote.Options{Target: &target, History: remote.HistoryLive}).Init(t.Context())
		return err
	}
	require.NoError(t, initLive4())
	const key = "backups/version-000000/bundle.tar.zst"
	require.Contains(t, objects(t, store), key)
	done := pruneAt(72*time.Hour, 1) // floor 5
	require.True(t, done.NewFloor)
	require.Empty(t, done.Keys)
	require.Positive(t, done.Waiting)
	require.Contains(t, objects(t, store), key)
}

// What only a pin kept stays for a grace period after the pin was removed, though the floor
// above it is old; and so does a version that was pinned again meanwhile.
func TestGraceOfAnUnpin(t *testing.T) {
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
	later := func() { ageAll(t, folder, store, 72*time.Hour) }
	day := remote.PruneOptions{KeepVersions: 1, Delete: true}
	prune(t, store, day)
	later()
	require.Equal(t, []string{"backups/version-000006/bundle.tar.zst"}, prune(t, store, day).Keys, "7 and 8 have what is live at 9")
	restore := func() error {
		v := deltalog.Version(5)
		_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Target: &v}).Init(t.Context())
		return err
	}
	require.NoError(t, restore())
	for range 2 {
		require.NoError(t, pusher.Unpin(t.Context(), "audit"))
		require.ErrorIs(t, restore(), remote.ErrGap)
		done := prune(t, store, day)
		require.Empty(t, done.Keys)
		require.Equal(t, 7, done.Waiting, "versions 0 to 5, and the note of the pin")
		require.NoError(t, store.Create(t.Context(), "backups/pin-000005-audit.json", strings.NewReader(`{"format":1}`), -1))
		require.NoError(t, restore())
		later()
		prune(t, store, day)
		require.NoError(t, restore())
	}
	require.NoError(t, pusher.Unpin(t.Context(), "audit"))
	later()
	require.Len(t, prune(t, store, day).Keys, 7)
	require.Equal(t, []string{"backups/floor-000009.json", "backups/head.json", "backups/version-000007/bundle.tar.zst", "backups/version-000008/bundle.tar.zst",
		"backups/version-000009/base.tar.zst", "backups/version-000009/bundle.tar.zst", "sluice-probe", "sluice.json"}, slices.Sorted(maps.Keys(objects(t, store))))
}

// What cannot be read above the end keeps its key from being used, and a base of another
// history is not ours: repair removes both, and nothing that only looks like it.
func TestRepairOfPartsAndBases(t *testing.T) {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, c := range map[string]struct {
		spoil func(t *testing.T, source *pond, store storage.Store) (key string)
		want  remote.Obstacle
		class error
	}{
		"a damaged part": {func(t *testing.T, _ *pond, store storage.Store) string {
			key := keysWith(t, store, "/part-")[0]
			spoil(t, store, key, half)
			return key
		}, remote.ObstacleDamaged, remote.ErrCorrupt},
		"a damaged base": {func(t *testing.T, _ *pond, store storage.Store) string {
			spoil(t, store, "backups/version-000002/base.tar.zst", half)
			return "backups/version-000002/base.tar.zst"
		}, remote.ObstacleDamaged, remote.ErrCorrupt},
		"a base of another history": {func(t *testing.T, source *pond, _ storage.Store) string {
			log := filepath.Join(source.dir, deltalog.Version(2).CommitPath())
			b, err := os.ReadFile(log)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(log, append(b, "\n"...), 0o644))
			return "backups/version-000002/base.tar.zst"
		}, remote.ObstacleForeign, remote.ErrDiverged},
	} {
		t.Run(name, func(t *testing.T) {
			source, whole, store := oldPond(t), storage.NewMemory(), storage.NewMemory()
			require.NoError(t, source.pushDivided(whole))
			copyObject(t, whole, store, "sluice.json")
			for _, key := range keysWith(t, whole, "/part-") {
				copyObject(t, whole, store, key)
			}
			if c.want == remote.ObstacleForeign || name == "a damaged base" {
				copyObject(t, whole, store, "backups/version-000002/base.tar.zst")
			}
			key := c.spoil(t, source, store)
			err := source.pushDivided(store)
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, key)
			before := objects(t, store)
			for _, remove := range []bool{false, true} {
				require.Equal(t, before, objects(t, store))
				left, err := replicator(t, source.dir, store, nil).Repair(t.Context(), remove)
				require.NoError(t, err)
				require.Equal(t, []remote.Leftover{{Key: key, First: 2, Last: 2, InTheWay: c.want, Removed: remove}}, left)
			}
			delete(before, key)
			require.Equal(t, before, objects(t, store))
			require.NoError(t, source.pushDivided(store))
			onlyGap(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}))
		})
	}
}

// Where the history is broken, what lies beyond is not removed, whatever the table says.
func TestRepairLeavesWhatWasHistory(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 100)
	source.pushSingly(store)
	fork := &pond{t: t, dir: restored(t, store), next: source.next}
	source.churn(5, 3, 100)
	source.pushSingly(store)
	for range 5 {
		fork.append("fork")
	}
	for _, broken := range []int{5, 0} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), fmt.Sprintf("backups/version-%06d/bundle.tar.zst", broken)))
		left, err := replicator(t, fork.dir, store, nil).Repair(t.Context(), true)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// A pack proves what was history, too, also without a head.
func TestRepairLeavesWhatAPackHas(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 100)
	source.pushSingly(store)
	fork := &pond{t: t, dir: restored(t, store), next: source.next}
	source.commitLarge(1, 3<<20) // 5, too large for a pack
	source.churn(4, 3, 100)
	source.pushSingly(store)
	for range 5 {
		fork.append("fork")
	}
	require.Equal(t, 2, consolidate(t, store).Packs)
	for _, key := range []string{"backups/version-000005/bundle.tar.zst", "backups/head.json"} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	}
	left, err := replicator(t, fork.dir, store, nil).Repair(t.Context(), true)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A table that is not at the end of the history cannot tell what is in the way of a push.
func TestRepairOfATableThatIsBehind(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 100)
	behind := forked(t, source)
	source.churn(3, 3, 100)
	source.mustPush(store)
	_, err := replicator(t, behind.dir, store, nil).Repair(t.Context(), true)
	require.ErrorIs(t, err, remote.ErrGap)
	require.EqualError(t, err, "repair: the table is at version 3, the store at 6: pull first (nothing was changed)")

	behind.append("of its own")
	_, err = replicator(t, behind.dir, store, nil).Repair(t.Context(), true)
	require.ErrorIs(t, err, remote.ErrDiverged)
}
