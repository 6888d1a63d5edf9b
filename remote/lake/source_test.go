package lake_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// restored returns a folder with what is in backups.
func restored(t testing.TB, backups storage.Store) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "table")
	table, err := deltalog.OpenDir(folder)
	require.NoError(t, err)
	_, err = replicator(t, table, backups, nil).Init(t.Context())
	require.NoError(t, err)
	return folder
}

// requireFolder asserts that the folder has versions from..to of churn.
func requireFolder(t testing.TB, folder string, from, to deltalog.Version) {
	t.Helper()
	for v := from; v <= to; v++ {
		for path, want := range map[string]string{v.CommitPath(): churnCommit(v), fileOf(v): contentOf(v)} {
			got, err := os.ReadFile(filepath.Join(folder, path))
			require.NoError(t, err)
			require.Equal(t, want, string(got))
		}
	}
	require.NoFileExists(t, filepath.Join(folder, (to+1).CommitPath()))
}

func TestPushFromABucket(t *testing.T) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			source, backups := open(t), storage.NewMemory()
			churn(t, source, 0, 6)
			require.Equal(t, 7, push(t, source, backups).Versions)
			require.Zero(t, push(t, source, backups).Versions)
			churn(t, source, 7, 9)
			require.Equal(t, 3, push(t, source, backups).Versions)
			requireFolder(t, restored(t, backups), 0, 9)
		})
	}
}

func TestPushOfALogThatWasCleanedUp(t *testing.T) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			source, backups := open(t), storage.NewMemory()
			churn(t, source, 0, 13)
			cleaned(t, source, 12)
			report := push(t, source, backups)
			require.Equal(t, deltalog.Version(12), *report.Base)
			requireFolder(t, restored(t, backups), 12, 13)
		})
	}
}

// The time of a version is the one that the service gave its commit.
func TestTimesOfASourceInABucket(t *testing.T) {
	source, backups := storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, 2)
	push(t, source, backups)
	folder := restored(t, backups)
	for info, err := range source.List(t.Context(), deltalog.LogDir, "") {
		require.NoError(t, err)
		got, err := os.Stat(filepath.Join(folder, info.Key))
		require.NoError(t, err)
		require.WithinDuration(t, info.ModTime, got.ModTime(), time.Microsecond)
	}
}

func TestNoTable(t *testing.T) {
	table := newTable(t, storage.NewMemory())
	_, err := table.Tip(t.Context())
	require.ErrorIs(t, err, deltalog.ErrNoTable)
	_, err = table.TipFrom(t.Context(), 3)
	require.ErrorIs(t, err, deltalog.ErrNoTable)
	_, err = table.Start(t.Context())
	require.ErrorIs(t, err, deltalog.ErrNoTable)
	_, err = table.OpenCommit(t.Context(), 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, _, err = table.OpenFile(t.Context(), "p=1/a.parquet")
	require.ErrorIs(t, err, fs.ErrNotExist)
	found, err := table.Checkpoints(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestOpenFileRefusesPaths(t *testing.T) {
	store := storage.NewMemory()
	churn(t, store, 0, 0)
	table := newTable(t, store)
	for path, want := range map[string]error{
		"../a": deltalog.ErrCorrupt, "/a": deltalog.ErrCorrupt, "a//b": deltalog.ErrCorrupt, "": deltalog.ErrCorrupt,
		deltalog.Version(0).CommitPath(): deltalog.ErrCorrupt, ".sluice/a": deltalog.ErrCorrupt, `a\b`: deltalog.ErrUnsupported,
		"a\tb": deltalog.ErrUnsupported, strings.Repeat("long/", 220) + "b": deltalog.ErrUnsupported, "p=0": fs.ErrNotExist,
	} {
		_, _, err := table.OpenFile(t.Context(), path)
		require.ErrorIs(t, err, want, path)
	}
}

// A bucket that is mounted as a file system has the name before the bytes.
func TestCommitWithoutBytesIsNotThereYet(t *testing.T) {
	store := storage.NewMemory()
	churn(t, store, 0, 2)
	put(t, store, deltalog.Version(3).CommitPath(), "")
	requireTip(t, newTable(t, store), 2)
}

func TestWhatElseIsInALog(t *testing.T) {
	store := storage.NewMemory()
	churn(t, store, 0, 2)
	for _, name := range []string{
		"00000000000000000001.crc", "00000000000000000000.00000000000000000002.compacted.json", ".tmp/x", "_commit_x.json.tmp",
		"_staged_commits/00000000000000000003.x.json", "00000000000000000003.json.tmp", "00000000000000000007.json/a", "0/00000000000000000003.json",
	} {
		put(t, store, deltalog.LogDir+"/"+name, "{}")
	}
	table := newTable(t, store)
	requireTip(t, table, 2)
	start, err := table.Start(t.Context())
	require.NoError(t, err)
	require.Zero(t, start)
}

func TestHint(t *testing.T) {
	for name, hint := range map[string]string{"right": `{"version":20,"size":5}`, "stale": `{"version":10}`, "wrong": `{"version":999}`, "no JSON": `{"ver`} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMemory()
			churn(t, store, 0, 23)
			for _, v := range []deltalog.Version{10, 20} {
				put(t, store, v.CheckpointPath(), checkpointAt(t, store, v))
			}
			put(t, store, deltalog.LastCheckpointPath, hint)
			table := newTable(t, store)
			requireTip(t, table, 23)
			state, err := table.Snapshot(t.Context(), 23, nil)
			require.NoError(t, err)
			require.Equal(t, deltalog.Version(20), *state.Base)
			require.NoError(t, state.Close())
		})
	}
}

// What a read of the source fails with, the push may fail, but what it left
// behind is right and the next push ends well.
func TestPushResumesAfterAnyFaultOfTheSource(t *testing.T) {
	source := storage.NewMemory()
	churn(t, source, 0, 11)
	cleaned(t, source, 11) // so that it reads the checkpoint too
	churn(t, source, 12, 13)
	for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultMiddle} {
		for n := 1; ; n++ {
			backups := storage.NewMemory()
			faulty, faults := storagetest.Fault(source, storagetest.FaultPlan{Kind: kind, N: n, Err: errors.New("stopped here")})
			_, err := replicator(t, newTable(t, faulty), backups, nil).Push(t.Context())
			if !faults.Reached() {
				require.NoError(t, err)
				require.Greater(t, n, 10)
				break
			}
			push(t, source, backups)
			replica := storage.NewMemory()
			_, err = replicator(t, newTable(t, replica), backups, nil).Init(t.Context())
			require.NoError(t, err)
			require.Equal(t, deltalog.Version(13), requireWhole(t, replica))
		}
	}
}

// What a push asks of the table's bucket does not depend on history.
func TestRequestsOfAPush(t *testing.T) {
	var pushed []storagetest.Requests
	for _, versions := range []deltalog.Version{10, 2500} {
		held, backups := storage.NewMemory(), storage.NewMemory()
		churn(t, held, 0, versions)
		push(t, held, backups)
		churn(t, held, versions+1, versions+1)
		source, counter := storagetest.Count(held)
		require.Equal(t, 1, push(t, source, backups).Versions)
		sums := counter.Requests()
		sums.BytesRead = 0
		pushed = append(pushed, sums)
	}
	require.Equal(t, pushed[0], pushed[1])
	require.Equal(t, storagetest.Requests{Open: pushed[0].Open, List: 2}, pushed[0], "one listing of the log, one for the file")
	require.LessOrEqual(t, pushed[0].Open, 5)
}

// A first push lists a long log page by page.
func TestFirstPushListsPages(t *testing.T) {
	held := storage.NewMemory()
	const versions = 2500
	churn(t, held, 0, versions)
	source, counter := storagetest.Count(held)
	table := newTable(t, source)
	_, err := table.Tip(t.Context())
	require.NoError(t, err)
	for v := range deltalog.Version(versions) {
		f, err := table.OpenCommit(t.Context(), v)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.LessOrEqual(t, counter.Requests().List, 6)
}

// vanishing is a bucket of which an engine deletes an object between a listing
// and the reading of it.
type vanishing struct {
	storage.Store
	key string
}

func (v *vanishing) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key == v.key {
		if err := v.Store.(storage.Deleter).Delete(ctx, key); err != nil {
			return nil, err
		}
	}
	return v.Store.Open(ctx, key, off, n)
}

// H3: the push says that it is to be repeated. Then a file that is dead at the
// tip is recorded absent; one that is live stops the push.
func TestFileVanishesBeforeItIsRead(t *testing.T) {
	for name, v := range map[string]deltalog.Version{"dead": 1, "live": 5} {
		t.Run(name, func(t *testing.T) {
			source, backups := storage.NewMemory(), storage.NewMemory()
			churn(t, source, 0, 5)
			rep := replicator(t, newTable(t, &vanishing{source, fileOf(v)}), backups, nil)
			_, err := rep.Push(t.Context())
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.NotErrorIs(t, err, storage.ErrNotFound, "that would be an object among the backups")
			report, err := rep.Push(t.Context())
			if name == "live" {
				require.ErrorIs(t, err, remote.ErrCorrupt)
				return
			}
			require.NoError(t, err)
			require.Equal(t, 1, report.Absent)
		})
	}
}
