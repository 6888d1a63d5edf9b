package remote_test

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// A pusher that goes by a head which lags must not record a file as absent, for good,
// that another pusher still had and stored. A random simulation found it: seed
// 1795679001458797189.
func TestAbsenceIsRecordedOnlyAtTheEnd(t *testing.T) {
	source, store, twin := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	for _, key := range []string{"sluice.json", "backups/version-000000/bundle.tar.zst", "backups/head.json"} {
		copyObject(t, store, twin, key)
	}
	source.append("one")
	source.mustPush(twin) // its head says 1
	source.append("two")
	source.commit(remove("part-00002.parquet"))
	source.mustPush(noHead{store}) // a run, so that no bundle begins at version 2
	over, _ := storage.Store(store).(storage.Overwriter)
	_, err := over.Put(t.Context(), "backups/head.json", read(t, twin, "backups/head.json"), "")
	require.NoError(t, err)
	want := tree(t, source.dir)

	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00002.parquet")))
	source.append("four")
	report := source.mustPush(store)
	require.Zero(t, report.Absent)
	require.Equal(t, 1, report.Versions)
	require.NotContains(t, objects(t, store), "backups/version-000002/bundle.tar.zst")
	got := tree(t, restored(t, store))
	for name, content := range want {
		require.Equal(t, content, got[name], name)
	}
}

// What it costs to look the end up does not grow with the history: a listing, and
// what the manifests of the last 64 bundles say.
func TestAbsenceCostsOneListing(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 80 {
		source.append("x")
	}
	source.pushSingly(store)
	source.append("more")
	source.commit(remove("part-00080.parquet"))
	plain := source.mustPush(store).Requests
	source.append("gone")
	source.commit(remove("part-00082.parquet"))
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00082.parquet")))
	report := source.mustPush(store)
	require.Equal(t, 1, report.Absent)
	require.Equal(t, plain.List+1, report.Requests.List)
	require.LessOrEqual(t, report.Requests.Get, plain.Get+2*64+1)
	requireSame(t, source.dir, restored(t, store))
}

// Prune frees no name above the head: whoever goes by the head would fill it again.
// A random simulation found it: seed 1795679001458797195.
func TestPruneKeepsWhatLiesAboveTheHead(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	for range 2 {
		source.append("x")
		source.mustPush(noHead{store})
	}
	require.Equal(t, 1, consolidate(t, store).Packs)
	pruned := prune(t, store, remote.PruneOptions{Grace: -1, Delete: true})
	require.Equal(t, []string{"backups/version-000000/bundle.tar.zst"}, pruned.Keys)

	source.append("y")
	source.mustPush(store)
	require.Contains(t, objects(t, store), "backups/version-000003/bundle.tar.zst")
	requireSame(t, source.dir, restored(t, store))
	pruned = prune(t, store, remote.PruneOptions{Grace: -1, Delete: true})
	require.Len(t, pruned.Keys, 2, "now that the head is above them")
	requireSame(t, source.dir, restored(t, store))
}

// beforeList lets something happen right before the first listing.
type beforeList struct {
	storage.Store
	happens *sync.Once
	what    func()
}

func (s beforeList) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	s.happens.Do(s.what)
	return s.Store.List(ctx, prefix, after)
}

// A store that gets its identity and its first bundles while a call looks around is no
// damaged one. A random simulation found it: seed 1795680227637311789.
func TestFirstPushWhileAnotherCallLooks(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	report, err := source.push(beforeList{store, new(sync.Once), func() { source.mustPush(store) }})
	require.NoError(t, err)
	require.Zero(t, report.Versions)

	other, dir := storage.NewMemory(), t.TempDir()
	_, err = replicator(t, dir, beforeList{other, new(sync.Once), func() { source.mustPush(other) }}, nil).Init(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
}
