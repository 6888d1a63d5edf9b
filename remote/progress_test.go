package remote_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// watcher sees to it that a bar which is drawn from Progress never goes back.
type watcher struct {
	t     *testing.T
	last  remote.Progress
	steps map[int64]bool // values of Done while Size was known
}

func watch(t *testing.T) (*watcher, *remote.Options) {
	w := &watcher{t: t, steps: map[int64]bool{}}
	return w, &remote.Options{Memory: 1 << 10, Progress: w.see}
}

func (w *watcher) see(p remote.Progress) {
	if p.Mode != w.last.Mode {
		w.last = remote.Progress{}
	}
	if p.Done < w.last.Done || p.Size < w.last.Size || p.Done > p.Size || p.Versions < w.last.Versions || p.Bytes < w.last.Bytes {
		w.t.Errorf("%+v, then %+v", w.last, p)
	}
	w.last = p
	if p.Size > 0 {
		w.steps[p.Done] = true
	}
}

// requireAll makes sure that all of size bytes was seen to be done, and some of it
// before the rest.
func (w *watcher) requireAll(size int64) {
	w.t.Helper()
	require.Equal(w.t, size, w.last.Size)
	require.Equal(w.t, size, w.last.Done)
	require.Greater(w.t, len(w.steps), 2, "nothing between nothing and all")
}

// stored is how many bytes the bundles of a store and their parts have.
func stored(t *testing.T, store storage.Reader) (size int64) {
	for key, n := range objects(t, store) {
		if strings.Contains(key, "/bundle.") || strings.Contains(key, "/part-") {
			size += n
		}
	}
	return size
}

func TestProgressOfOneLargeVersion(t *testing.T) {
	for name, divided := range map[string]bool{"one bundle": false, "parts": true} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.commitLarge(5, 100<<10)
			w, opts := watch(t)
			r := replicator(t, source.dir, store, opts)
			if divided {
				remote.SetPartSize(r, 150<<10)
			}
			report, err := r.Push(t.Context())
			require.NoError(t, err)
			w.requireAll(report.Bytes)

			dir := t.TempDir()
			w, opts = watch(t)
			_, err = replicator(t, dir, store, opts).Init(t.Context())
			require.NoError(t, err)
			w.requireAll(stored(t, store))

			w, opts = watch(t)
			v, err := replicator(t, dir, store, opts).Verify(t.Context(), remote.VerifyOptions{Data: true})
			require.NoError(t, err)
			require.NoError(t, v.Err())
			w.requireAll(stored(t, store) + 5*100<<10)
		})
	}
}

// What a base beyond a gap carries, and its parts, is foreseen and counted, also what an
// earlier push left of them.
func TestProgressOfABase(t *testing.T) {
	for name, left := range map[string]int{"nothing was left": 0, "some parts were": 2} {
		t.Run(name, func(t *testing.T) {
			source, whole, store := oldPond(t), storage.NewMemory(), storage.NewMemory()
			require.NoError(t, source.pushDivided(whole))
			copyObject(t, whole, store, "sluice.json")
			for _, key := range keysWith(t, whole, "/part-")[:left] {
				copyObject(t, whole, store, key)
			}
			w, opts := watch(t)
			r := replicator(t, source.dir, store, opts)
			remote.SetPartSize(r, 10_000)
			report, err := r.Push(t.Context())
			require.NoError(t, err)
			w.requireAll(report.Bytes)
			live := int64(0)
			for _, content := range liveFiles(t, source.dir, 3) {
				live += int64(len(content))
			}
			require.Greater(t, report.Bytes, live)
			require.Equal(t, deltalog.Version(2), *report.Base)
			require.Equal(t, 2, report.Versions)
			require.Equal(t, 12+2+1, report.Files, "what was live at version 2, two commits and a file")
		})
	}
}

// TestProgressOfPartsThatAreThere: what an earlier push left counts as done.
func TestProgressOfPartsThatAreThere(t *testing.T) {
	source := dividedPond(t)
	store := cutOff(t, source, 2)
	w, opts := watch(t)
	r := replicator(t, source.dir, store, opts)
	remote.SetPartSize(r, 10_000)
	report, err := r.Push(t.Context())
	require.NoError(t, err)
	w.requireAll(report.Bytes)
}

func TestProgressOfABacklog(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 5 {
		source.append(strings.Repeat("x", 10<<10))
	}
	w, opts := watch(t)
	report, err := replicator(t, source.dir, store, opts).Push(t.Context())
	require.NoError(t, err)
	w.requireAll(report.Bytes)
	require.Equal(t, 5, w.last.Versions)
}

func TestProgressOfLiveInit(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.commitLarge(3, 50<<10)
	source.mustPush(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for range 3 {
		source.append(strings.Repeat("y", 10<<10))
		source.mustPush(store)
	}
	tail := stored(t, store)
	for key, n := range objects(t, store) {
		if strings.Contains(key, "version-000000/bundle") {
			tail -= n
		}
	}
	w, opts := watch(t)
	opts.History = remote.HistoryLive
	_, err = replicator(t, t.TempDir(), store, opts).Init(t.Context())
	require.NoError(t, err)
	w.requireAll(tail + 3*50<<10)
}

// TestProgressOfPull: only a listing tells how large bundles are.
func TestProgressOfPull(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("x")
	source.mustPush(store)
	replica := restored(t, store)
	before := stored(t, store)
	source.commitLarge(3, 50<<10)
	source.mustPush(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	w, opts := watch(t)
	_, err := replicator(t, replica, store, opts).Pull(t.Context())
	require.NoError(t, err)
	w.requireAll(stored(t, store) - before)

	source.append("y")
	source.mustPush(store)
	w, opts = watch(t)
	_, err = replicator(t, replica, store, opts).Pull(t.Context())
	require.NoError(t, err)
	require.Zero(t, w.last.Size, "not known, and not made up")
	require.Equal(t, 1, w.last.Total)
}

func TestProgressOfRetention(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 4 {
		source.append(strings.Repeat("x", 10<<10))
		source.mustPush(store)
	}
	size := stored(t, store)
	w, opts := watch(t)
	_, err := replicator(t, source.dir, store, opts).Consolidate(t.Context())
	require.NoError(t, err)
	w.requireAll(2 * size)

	w, opts = watch(t)
	pruned, err := replicator(t, source.dir, store, opts).Prune(t.Context(), remote.PruneOptions{Grace: -1, Delete: true})
	require.NoError(t, err)
	require.Len(t, pruned.Keys, 4)
	w.requireAll(pruned.Bytes)
}

func TestProgressOfDrill(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.commitLarge(3, 50<<10)
	source.mustPush(store)
	w, opts := watch(t)
	_, err := remote.Drill(t.Context(), store, opts, remote.DrillOptions{Folder: t.TempDir()})
	require.NoError(t, err)
	w.requireAll(3 * 50 << 10)
	require.Equal(t, "drill", w.last.Mode)
}

func TestProgressOfSeveralStores(t *testing.T) {
	source, ready := newPond(t), storage.NewMemory()
	source.commitLarge(3, 50<<10)
	source.mustPush(ready)
	w, opts := watch(t)
	local, err := storage.OpenDir(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	m := multi(t, openTable(t, source.dir), opts, storage.NewMemory(), local, ready)
	reports, err := m.Push(t.Context())
	require.NoError(t, err)
	w.requireAll(2 * reports[0].Report.Bytes)
}
