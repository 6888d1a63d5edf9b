package remote_test

import (
	"bytes"
	"context"
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

// copyObject creates an object of one store in another.
func copyObject(t *testing.T, from, to storage.Store, key string) {
	t.Helper()
	require.NoError(t, to.Create(t.Context(), key, bytes.NewReader(read(t, from, key)), -1))
}

func countBundles(t *testing.T, store storage.Reader) (n int) {
	t.Helper()
	for key := range objects(t, store) {
		if strings.HasSuffix(key, "/bundle.tar.zst") {
			n++
		}
	}
	return n
}

// A backlog of small versions takes few requests, going up and coming down.
func TestH12BacklogGoesUpAsRuns(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 2500 {
		source.append(fmt.Sprint(i))
	}
	report := source.mustPush(store)
	require.Equal(t, 2500, report.Versions)
	require.Equal(t, 3, countBundles(t, store))
	require.LessOrEqual(t, report.Requests.Put, int64(3+4))

	dir := filepath.Join(t.TempDir(), "replica")
	report, err := replicator(t, dir, store, nil).Init(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2500, report.Versions)
	require.LessOrEqual(t, report.Requests.Get, int64(3+2))
	require.EqualValues(t, 1, report.Requests.List)
	table := openTable(t, dir)
	tip, err := table.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(2499), tip)
	require.Equal(t, liveFiles(t, source.dir, tip), liveFiles(t, dir, tip))

	for range 3 {
		source.append("x")
	}
	source.mustPush(store)
	report, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, report.Versions)
	require.LessOrEqual(t, report.Requests.Get, int64(3))
	require.Zero(t, report.Requests.List)
}

// A replica that stands inside a run goes on from there, whether the head knows
// of the run or not.
func TestReplicaInsideARun(t *testing.T) {
	for _, head := range []bool{true, false} {
		source, store := newPond(t), storage.NewMemory()
		for range 9 {
			source.append("x")
		}
		source.mustPush(store)
		require.Equal(t, 1, countBundles(t, store))
		if !head {
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		}
		for target := range deltalog.Version(9) {
			dir := filepath.Join(t.TempDir(), "replica")
			_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
			require.NoError(t, err)
			tip, err := openTable(t, dir).Tip(t.Context())
			require.NoError(t, err)
			require.Equal(t, target, tip)
			report, err := replicator(t, dir, store, nil).Pull(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 8-target, report.Versions)
			requireSame(t, source.dir, dir)
		}
	}
}

// A version of a run that needs a file which an earlier one of the same run
// carries gets it, also on a replica that lost it in between.
func TestFileOfAnEarlierVersionOfTheRun(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.write("shared.parquet", "shared")
	source.commit(add("shared.parquet", "shared"))
	source.commit(remove("shared.parquet"))
	source.commit(add("shared.parquet", "shared")) // as RESTORE does
	source.mustPush(store)
	require.Equal(t, 1, countBundles(t, store))
	requireSame(t, source.dir, restored(t, store))

	dir, target := filepath.Join(t.TempDir(), "replica"), deltalog.Version(2)
	_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "shared.parquet"))) // a VACUUM there
	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
}

// Two pushers, one of which is in a backlog: whoever creates a key first has it,
// and bundles may overlap.
func TestOverlappingBundles(t *testing.T) {
	source, singles := newPond(t), storage.NewMemory()
	for i := range 8 {
		source.append(fmt.Sprint(i))
	}
	source.pushSingly(singles)
	key := func(v int) string { return fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v) }
	for _, there := range [][]int{{0}, {3}, {7}, {2, 3, 5}, {1, 2, 3, 4, 5, 6, 7}} {
		t.Run(fmt.Sprint(there), func(t *testing.T) {
			store := storage.NewMemory()
			for _, name := range []string{"sluice.json"} {
				require.NoError(t, store.Create(t.Context(), name, bytes.NewReader(read(t, singles, name)), -1))
			}
			for _, v := range there {
				require.NoError(t, store.Create(t.Context(), key(v), bytes.NewReader(read(t, singles, key(v))), -1))
			}
			source.mustPush(store)
			requireSame(t, source.dir, restored(t, store))
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
			requireSame(t, source.dir, restored(t, store))
			require.Zero(t, source.mustPush(store).Versions, "found by listing")
			target := deltalog.Version(3)
			dir := filepath.Join(t.TempDir(), "replica")
			_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
			require.NoError(t, err)
			_, err = replicator(t, dir, store, nil).Pull(t.Context())
			require.NoError(t, err)
			requireSame(t, source.dir, dir)
		})
	}
}

// What another history left behind inside a run does not count.
func TestForeignLeftoverInsideARun(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	foreign, other := &pond{t: t, dir: restored(t, store), next: 1}, storage.NewMemory()
	for range 3 {
		foreign.append("foreign")
	}
	foreign.pushSingly(other)
	const leftover = "backups/version-000003/bundle.tar.zst"
	require.NoError(t, store.Create(t.Context(), leftover, bytes.NewReader(read(t, other, leftover)), -1))
	for range 5 {
		source.append("mine")
	}
	source.mustPush(store)
	for _, head := range []bool{true, false} {
		if !head {
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		}
		dir, target := filepath.Join(t.TempDir(), "replica"), deltalog.Version(2)
		_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
		require.NoError(t, err)
		for range 2 { // without a head the leftover hides for a moment what is behind it
			_, err = replicator(t, dir, store, nil).Pull(t.Context())
			require.NoError(t, err, "head: %t", head)
		}
		requireSame(t, source.dir, dir)
	}
}

func TestVersionsOfRuns(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	for range 4 {
		source.append("x")
	}
	source.mustPush(store)
	var got []deltalog.Version
	for v, err := range remote.Versions(t.Context(), store) {
		require.NoError(t, err)
		require.Equal(t, min(v.Version, 1), v.Bundle)
		got = append(got, v.Version)
	}
	require.Equal(t, []deltalog.Version{0, 1, 2, 3, 4}, got)
}

// Two pushers at once can leave a long run below the key of a shorter one, so
// that the newest key does not tell where the store ends.
func TestLongRunBelowTheNewestKey(t *testing.T) {
	source, run, single, store := newPond(t), storage.NewMemory(), storage.NewMemory(), storage.NewMemory()
	source.append("zero")
	source.mustPush(run)
	for range 6 {
		source.append("x")
	}
	source.mustPush(run)
	source.pushSingly(single)
	for key, from := range map[string]storage.Store{
		"sluice.json":                           run,
		"backups/version-000000/bundle.tar.zst": run,
		"backups/version-000001/bundle.tar.zst": run,
		"backups/version-000002/bundle.tar.zst": single,
	} {
		require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(read(t, from, key)), -1))
	}
	st, err := replicator(t, source.dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(6), *st.Store)
	requireSame(t, source.dir, restored(t, store))
	require.Zero(t, source.mustPush(store).Versions)

	// The head knows the run, and its size is that of the listing.
	_, err = store.(storage.Overwriter).Put(t.Context(), "backups/head.json", read(t, run, "backups/head.json"), "")
	require.NoError(t, err)
	require.Equal(t, 2, consolidate(t, store).Bundles)
	requireSame(t, source.dir, restored(t, store))
}

// Of a run the manifest stays within its limits, too, where the host says much of each version.
func TestRunOfMuchMetadata(t *testing.T) {
	for name, metadata := range map[string]map[string]string{
		"many bytes": {"cmd": strings.Repeat("m", 80<<10)},
		"many names": func() map[string]string {
			names := map[string]string{}
			for i := range 1100 {
				names[strconv.Itoa(i)] = ""
			}
			return names
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.txns(1024)
			_, err := replicator(t, source.dir, store, &remote.Options{Metadata: func(context.Context, deltalog.Version) (map[string]string, error) {
				return metadata, nil
			}}).Push(t.Context())
			require.NoError(t, err)
			requireSame(t, source.dir, restored(t, store))
		})
	}
}
