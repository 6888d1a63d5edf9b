package remote_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// manyWorld is a table whose commits have few files or many, pushers that list more or fewer,
// and replicas. Who reads must always find what the table had.
type manyWorld struct {
	*pond
	t        *testing.T
	rnd      *rand.Rand
	store    storage.Store
	live     map[string]string                      // content by path
	dead     map[string]string                      // likewise, of what can be added again
	at       map[deltalog.Version]map[string]string // what was live
	lacking  map[deltalog.Version]bool              // versions that may have lost files before they were pushed
	pushed   deltalog.Version
	replicas []string
	did      []string
}

func (w *manyWorld) say(format string, args ...any) {
	w.did = append(w.did, fmt.Sprintf(format, args...))
}

// listed is how many files a pusher or a replica lists.
func (w *manyWorld) listed() int { return []int{2, 3, 4, 1000}[w.rnd.IntN(4)] }

// step commits: new files, few or many, files that go, one that comes back, change data.
func (w *manyWorld) step() {
	v := w.next
	var actions []action
	if v == 0 {
		actions = begin("many")
	}
	for _, path := range slices.Sorted(maps.Keys(w.live)) {
		if w.rnd.IntN(4) == 0 {
			actions = append(actions, remove(path))
			w.dead[path] = w.live[path]
			delete(w.live, path)
		}
	}
	bring := func(path, content string) {
		w.write(path, content)
		actions = append(actions, add(path, content))
		w.live[path] = content
	}
	for i := range []int{1, 1, 3, 7}[w.rnd.IntN(4)] {
		bring(fmt.Sprintf("d%d/f-%d.parquet", i%3, 10*int(v)+i), noise(uint64(10*int(v)+i), 100+w.rnd.IntN(500)))
	}
	if back := slices.Sorted(maps.Keys(w.dead)); len(back) > 0 && w.rnd.IntN(4) == 0 {
		path := back[w.rnd.IntN(len(back))]
		if !slices.ContainsFunc(actions, func(a action) bool { return fmt.Sprint(a) == fmt.Sprint(remove(path)) }) {
			bring(path, w.dead[path])
			delete(w.dead, path)
		}
	}
	if w.rnd.IntN(3) == 0 {
		actions = append(actions, w.changes(fmt.Sprintf("_change_data/c-%d.parquet", v)))
	}
	w.commit(actions...)
	w.at[v] = maps.Clone(w.live)
}

func (w *manyWorld) pusher(store storage.Store) *remote.Replicator {
	opts := &remote.Options{NoBases: w.rnd.IntN(2) == 0, MaxVersions: w.rnd.IntN(4), Concurrency: 1 + w.rnd.IntN(3)}
	r := replicator(w.t, w.dir, store, opts)
	remote.SetMaxListed(r, w.listed())
	remote.SetPartSize(r, int64(600+w.rnd.IntN(1500)))
	return r
}

func (w *manyWorld) pushAll() {
	for remaining := 1; remaining > 0; {
		report, err := w.pusher(w.store).Push(w.t.Context())
		require.NoError(w.t, err)
		remaining = report.Remaining
	}
	w.pushed = w.next - 1
	w.say("pushed up to %d", w.pushed)
}

func (w *manyWorld) cutOff() {
	kind := []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultMiddle}[w.rnd.IntN(2)]
	n := 1 + w.rnd.IntN(40)
	faulty, faults := storagetest.Fault(w.store, storagetest.FaultPlan{Kind: kind, N: n, Times: 1000, Err: errStopped})
	_, err := w.pusher(faulty).Push(w.t.Context())
	w.say("push cut off at operation %d: %v", n, err)
	if !faults.Reached() {
		require.NoError(w.t, err)
	}
}

func (w *manyWorld) twoPushers() {
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		r := w.pusher(&slowStore{Store: w.store, rnd: rand.New(rand.NewPCG(w.rnd.Uint64(), 0))})
		both.Go(func() { _, errs[i] = r.Push(w.t.Context()) })
	}
	both.Wait()
	w.say("two pushers: %v", errs)
	require.NoError(w.t, errors.Join(errs...))
}

// vacuum takes dead files from the source, pushed or not.
func (w *manyWorld) vacuum() {
	for _, path := range slices.Sorted(maps.Keys(w.dead)) {
		if w.rnd.IntN(3) == 0 {
			_ = os.Remove(filepath.Join(w.dir, path)) // it may be gone already
		}
	}
	for v := range w.next - 1 {
		w.lacking[v] = true
	}
	w.say("vacuumed")
}

// cleanLog cleans up the log below one of the last versions.
func (w *manyWorld) cleanLog() {
	v := max(0, w.next-1-deltalog.Version(w.rnd.IntN(2)))
	if _, err := os.Stat(filepath.Join(w.dir, v.CommitPath())); err == nil && w.next >= 3 {
		w.cleanUp(v)
		w.say("log cleaned up below %d", v)
	}
}

func (w *manyWorld) retain() {
	_, err := storeOnly(w.t, w.store, nil).Consolidate(w.t.Context())
	for range 2 {
		keep := int64(1 + w.rnd.IntN(5))
		_, perr := storeOnly(w.t, w.store, nil).Prune(w.t.Context(), remote.PruneOptions{KeepVersions: keep, Delete: true, Grace: -1})
		w.say("pruned but for %d: %v, %v", keep, err, perr)
	}
}

// replicate makes or pulls a replica, which may die once.
func (w *manyWorld) replicate() {
	var dir string
	if n := len(w.replicas); n > 0 && w.rnd.IntN(3) > 0 {
		dir = w.replicas[w.rnd.IntN(n)]
	} else {
		dir = filepath.Join(w.t.TempDir(), fmt.Sprint("replica", n))
		w.replicas = append(w.replicas, dir)
	}
	call := func(table remote.LogReader) error {
		history := []remote.History{remote.HistoryFull, remote.HistoryLive}[w.rnd.IntN(2)]
		r, err := remote.New(table, w.store, &remote.Options{AcrossGap: true, History: history, Durability: remote.DurabilityRelaxed})
		require.NoError(w.t, err)
		remote.SetMaxListed(r, w.listed())
		if _, err := openTable(w.t, dir).Tip(w.t.Context()); err == nil {
			_, err = r.Pull(w.t.Context())
			return err
		}
		_, err = r.Init(w.t.Context())
		return err
	}
	if w.rnd.IntN(2) == 0 {
		err := call(&dyingReplica{Dir: openTable(w.t, dir), left: w.rnd.IntN(15)})
		w.say("%s dies: %v", filepath.Base(dir), err)
	}
	require.NoError(w.t, call(openTable(w.t, dir)))
	tip, err := openTable(w.t, dir).Tip(w.t.Context())
	require.NoError(w.t, err)
	w.say("%s is at %d", filepath.Base(dir), tip)
	w.requireAt(dir, tip)
}

func (w *manyWorld) requireAt(dir string, v deltalog.Version) {
	w.t.Helper()
	if !w.lacking[v] {
		require.Equal(w.t, w.at[v], liveFiles(w.t, dir, v), "%s at %d", dir, v)
	}
}

// finish pushes all, restores all versions, and lets the replicas come along.
func (w *manyWorld) finish(broken bool) {
	w.step()
	w.pushAll()
	for v := range w.next {
		for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
			dir := filepath.Join(w.t.TempDir(), "end")
			r := replicator(w.t, dir, w.store, &remote.Options{History: history, Target: &v, Durability: remote.DurabilityRelaxed})
			remote.SetMaxListed(r, w.listed())
			_, err := r.Init(w.t.Context())
			if err == nil {
				w.requireAt(dir, v)
			} else {
				require.True(w.t, broken && v < w.pushed, "%d: %v", v, err)
			}
			require.NoError(w.t, os.RemoveAll(dir))
		}
	}
	for _, dir := range w.replicas {
		require.NoError(w.t, pullIn(w.t, dir, w.store, remote.Options{AcrossGap: true}))
		w.requireAt(dir, w.pushed)
	}
	for _, data := range []bool{false, true} {
		found, err := listing3(w.t, w.dir, w.store, nil).Verify(w.t.Context(), remote.VerifyOptions{Data: data})
		require.NoError(w.t, err)
		require.NoError(w.t, found.Err(), found.Findings)
	}
}

// TestFilesInBaseRandom lets all that happen in turns, by a seed: SLUICE_SEED, else always
// other ones.
func TestFilesInBaseRandom(t *testing.T) {
	seed := number(t, "SLUICE_SEED", rand.Uint64N(1<<32))
	for i := range uint64(8) {
		t.Run(fmt.Sprint("SLUICE_SEED=", seed+i), func(t *testing.T) { runMany(t, seed+i) })
	}
}

func runMany(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	w := &manyWorld{pond: newPond(t), t: t, rnd: rnd, store: storage.NewMemory(), live: map[string]string{}, dead: map[string]string{},
		at: map[deltalog.Version]map[string]string{}, lacking: map[deltalog.Version]bool{}, pushed: -1}
	defer func() {
		if t.Failed() {
			for _, did := range w.did {
				t.Log(did)
			}
		}
	}()
	vacuums, cleans, retains := rnd.IntN(2) == 0, rnd.IntN(2) == 0, rnd.IntN(2) == 0
	w.step()
	for range 25 {
		switch n := rnd.IntN(12); {
		case n < 3:
			for range 1 + rnd.IntN(4) {
				w.step()
			}
			w.say("committed up to %d", w.next-1)
		case n < 5:
			w.pushAll()
		case n < 7:
			w.cutOff()
		case n == 7 && vacuums:
			w.vacuum()
		case n == 8 && cleans:
			w.cleanLog()
		case n == 9 && w.pushed >= 0:
			_, err := w.pusher(w.store).Base(t.Context())
			w.say("base: %v", err)
		case n == 10 && retains && w.pushed >= 0:
			w.retain()
		case n == 10 && !retains:
			w.twoPushers()
		case n == 11 && w.pushed >= 0:
			w.replicate()
		}
	}
	w.finish(cleans || retains)
}
