package remote_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func TestPushInitPull(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")

	report := source.mustPush(store)
	require.Equal(t, 2, report.Versions)
	require.Equal(t, deltalog.Version(0), report.First)
	require.Equal(t, deltalog.Version(1), report.Last)
	require.Equal(t, 4, report.Files, "two data files, two commits")
	require.Contains(t, objects(t, store), "backups/version-000000/bundle.tar.zst")
	require.NotContains(t, objects(t, store), "backups/version-000001/bundle.tar.zst", "a backlog goes up as a run")
	require.Contains(t, objects(t, store), "sluice.json")
	require.Contains(t, objects(t, store), "backups/head.json")

	replica := restored(t, store)
	requireSame(t, source.dir, replica)

	source.append("two")
	source.mustPush(store)
	pulled, err := replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, pulled.Versions)
	requireSame(t, source.dir, replica)
}

func TestVersionZeroIsAVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	require.Equal(t, 1, source.mustPush(store).Versions)
	require.Equal(t, 0, source.mustPush(store).Versions, "nothing is new")
	requireSame(t, source.dir, restored(t, store))
}

func TestPushInBatches(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 10 {
		source.append("x")
	}
	r := replicator(t, source.dir, store, &remote.Options{MaxVersions: 4})
	for _, want := range []struct{ versions, remaining int }{{4, 6}, {4, 2}, {2, 0}, {0, 0}} {
		report, err := r.Push(t.Context())
		require.NoError(t, err)
		require.Equal(t, want.versions, report.Versions)
		require.Equal(t, want.remaining, report.Remaining)
	}
	requireSame(t, source.dir, restored(t, store))
}

func TestInitToVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 4 {
		source.append("x")
	}
	source.mustPush(store)
	dir, target := t.TempDir(), deltalog.Version(1)
	report, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, report.Versions)
	require.NoFileExists(t, filepath.Join(dir, deltalog.Version(2).CommitPath()))

	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err, "an earlier version of the same history can catch up")
	requireSame(t, source.dir, dir)

	beyond := deltalog.Version(9)
	_, err = replicator(t, t.TempDir(), store, &remote.Options{Target: &beyond}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
}

func TestRunSwitchesToPull(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	dir := t.TempDir()
	r := replicator(t, dir, store, &remote.Options{Mode: remote.ModeInit, SwitchToPull: true})
	report, err := r.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "init", report.Mode)
	source.append("one")
	source.mustPush(store)
	report, err = r.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, "pull", report.Mode)
	requireSame(t, source.dir, dir)
}

func TestLargeFileIsStreamed(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	big := make([]byte, 9<<20)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	source.append(string(big))
	source.append("two")
	source.mustPush(store)
	requireSame(t, source.dir, restored(t, store))
}

func TestExtraFiles(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	lists := map[deltalog.Version][]string{0: {"_large_files/a"}, 1: {"_large_files/b", "_large_files/a"}}
	opts := &remote.Options{Extra: func(_ context.Context, v deltalog.Version) ([]string, error) { return lists[v], nil }}
	source.write("_large_files/a", "large a")
	pusher := replicator(t, source.dir, store, opts)
	_, err := pusher.Push(t.Context())
	require.NoError(t, err)
	source.write("_large_files/b", "large b")
	source.append("one")
	report, err := pusher.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, report.Files, "commit, data and b; a went with version 0")
	requireSame(t, source.dir, restored(t, store))

	source.append("two")
	_, err = source.push(store)
	require.ErrorIs(t, err, remote.ErrExtraHook, "a pusher without the hook")

	other := storage.NewMemory()
	plain := newPond(t)
	plain.append("zero")
	plain.mustPush(other)
	_, err = replicator(t, plain.dir, other, opts).Push(t.Context())
	require.ErrorIs(t, err, remote.ErrExtraHook, "a hook where the store has none")
}

func TestH02FileGoneBeforeItWasPushed(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	source.commit(remove("part-00000.parquet"))
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00000.parquet")))
	report := source.mustPush(store)
	require.Equal(t, 1, report.Absent)
	requireSame(t, source.dir, restored(t, store))

	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00001.parquet")))
	fresh := storage.NewMemory()
	_, err := source.push(fresh)
	require.ErrorIs(t, err, remote.ErrCorrupt, "a live file is missing")
	require.NotContains(t, objects(t, fresh), "backups/version-000001/bundle.tar.zst")
}

func TestStatusAndVersions(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	r := replicator(t, source.dir, store, nil)
	st, err := r.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, remote.Status{}, st)

	source.append("zero")
	source.append("one")
	source.mustPush(store)
	source.append("two")
	st, err = r.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(2), *st.Local)
	require.Equal(t, deltalog.Version(1), *st.Store)
	require.Equal(t, int64(1), st.Ahead)
	require.Zero(t, st.Behind)
	require.False(t, st.Diverged)

	var versions []deltalog.Version
	for v, err := range r.Versions(t.Context()) {
		require.NoError(t, err)
		require.Positive(t, v.Size)
		versions = append(versions, v.Version)
	}
	require.Equal(t, []deltalog.Version{0, 1}, versions)
}
