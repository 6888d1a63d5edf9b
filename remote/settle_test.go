package remote_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// touch gives the commit of a version a modification time.
func (p *pond) touch(v deltalog.Version, modified time.Time) {
	p.t.Helper()
	require.NoError(p.t, os.Chtimes(filepath.Join(p.dir, v.CommitPath()), modified, modified))
}

func TestSettleLeavesOutTheNewestCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := storage.NewMemory()
		r := replicator(t, source.dir, store, &remote.Options{Settle: 5 * time.Second})
		push := func(versions, remaining int) {
			t.Helper()
			report, err := r.Push(t.Context())
			require.NoError(t, err)
			require.Equal(t, versions, report.Versions)
			require.Equal(t, remaining, report.Remaining)
		}
		source.touch(source.append("zero"), time.Now())
		push(0, 1)
		require.Empty(t, objects(t, store), "not even begun")
		time.Sleep(4 * time.Second)
		source.touch(0, time.Now()) // written on
		time.Sleep(4 * time.Second)
		push(0, 1)
		time.Sleep(time.Second)
		push(1, 0)

		source.touch(source.append("one"), time.Now())
		source.touch(source.append("two"), time.Now())
		push(1, 1) // who wrote 2 has read 1
		time.Sleep(5 * time.Second)
		push(1, 0)
		push(0, 0)

		source.touch(source.append("by a clock that is ahead"), time.Now().Add(time.Hour))
		push(0, 1)
		time.Sleep(5 * time.Second)
		push(1, 0)
	})
}

func TestFollowWaitsForStillness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		store := storage.NewMemory()
		source.touch(source.append("zero"), time.Now())
		var began passes
		r := replicator(t, source.dir, store, &remote.Options{Settle: 5 * time.Second, SyncInterval: time.Hour, Observe: began.observe})
		stop := follow(t, r)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, bundles(t, store), "not only after an hour")
		require.EqualValues(t, 2, began.Load())
		require.Error(t, stop())
	})
}

func TestAllowMissing(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00000.parquet")))
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "part-00000.parquet")

	allowing := replicator(t, source.dir, store, &remote.Options{AllowMissing: true})
	report, err := allowing.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, report.Versions)
	require.Equal(t, 1, report.Absent)
	requireSame(t, source.dir, restored(t, store))

	_, err = allowing.Base(t.Context())
	require.NoError(t, err)
	dir := t.TempDir()
	_, err = replicator(t, dir, store, &remote.Options{History: remote.HistoryLive}).Init(t.Context())
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(dir, "part-00001.parquet"))
	require.NoFileExists(t, filepath.Join(dir, "part-00000.parquet"))
}

func TestAllowMissingExtraFile(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	names := func(_ context.Context, _ deltalog.Version) ([]string, error) {
		return []string{"notes/b", "notes/a"}, nil
	}
	source.write("notes/a", "there")
	opts := &remote.Options{Extra: names}
	_, err := replicator(t, source.dir, store, opts).Push(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	opts.AllowMissing = true
	report, err := replicator(t, source.dir, store, opts).Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Absent)
	requireSame(t, source.dir, restored(t, store))
}
