package remote_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// heapGrowth bounds what may be in use at the end beyond what was after 2 hours, in KiB.
const heapGrowth = 256

// TestUnattended: a host commits every 5 minutes, two pushers and two replicas follow, and
// one operation in 20 goes wrong, for 24 hours by the clock; or for 3 hours, and then one in 7.
// Nobody gives up, nothing piles up, and when the faults end the replicas come to equal the source.
func TestUnattended(t *testing.T) {
	hours := int(number(t, "SLUICE_UNATTENDED_HOURS", 3))
	seed := number(t, "SLUICE_SEED", uint64(time.Now().UnixNano()))
	share := 0.15
	if hours >= 24 {
		share = 0.05
	}
	t.Logf("seed %d, %d hours, %.0f %% of the operations fail; SLUICE_SEED and SLUICE_UNATTENDED_HOURS choose others, .ci/run takes 24 hours", seed, hours, 100*share)
	running, files := goleak.IgnoreCurrent(), openFiles(t)
	synctest.Test(t, func(t *testing.T) { newUnattended(t, seed, share).run(hours) })
	goleak.VerifyNone(t, running)
	require.Equal(t, files, openFiles(t), "files that are still open")
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// openFiles are the files and connections that the process has open, where the
// system tells; -1 elsewhere.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		return -1
	}
	require.NoError(t, err)
	return len(entries)
}

// unattended is a source, its store, and those that follow.
type unattended struct {
	t         *testing.T
	seed      uint64 // of the next faults
	share     float64
	source    *pond
	dir       string // of the store
	store     storage.Store
	followers map[string]*follower
	tallies   []*tally // of all that ever followed; what they were must be free to go
}

// follower is one Replicator that follows, with a way to the store of its own.
type follower struct {
	*remote.Replicator
	dir  string
	stop func() // ends it and waits until it has
	*tally
}

// tally is what happened to a follower.
type tally struct {
	name   string
	faults *storagetest.Faults

	mu     sync.Mutex // guards what follows
	passes int
	failed map[string]int
}

func newUnattended(t *testing.T, seed uint64, share float64) *unattended {
	dir := filepath.Join(t.TempDir(), "store")
	store, err := storage.OpenDir(dir)
	require.NoError(t, err)
	return &unattended{t: t, seed: seed, share: share, source: newPond(t), dir: dir, store: store, followers: map[string]*follower{}}
}

// start makes one more follow; one of that name that did is stopped, as a process is.
func (u *unattended) start(name, dir string, opts remote.Options) {
	if old := u.followers[name]; old != nil {
		old.stop()
	}
	u.seed++
	store, faults := storagetest.RandomFaults(u.store, storagetest.FaultMix{Seed: u.seed, Share: u.share})
	f := &follower{dir: dir, tally: &tally{name: name, faults: faults, failed: map[string]int{}}}
	u.tallies = append(u.tallies, f.tally)
	opts.Observe, opts.Durability = f.observe, remote.DurabilityRelaxed // what is broken here is the store
	f.Replicator = replicator(u.t, dir, store, &opts)
	u.followers[name] = f
	ctx, cancel := context.WithCancel(u.t.Context())
	ended := make(chan struct{})
	f.stop = func() {
		cancel()
		<-ended
	}
	go func() {
		defer close(ended)
		if err := f.Follow(ctx); ctx.Err() == nil {
			u.t.Errorf("%s has given up: %v", name, err)
		}
	}()
}

// observe counts the passes, and how those ended that failed.
func (f *tally) observe(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
	return ctx, func(_ remote.Report, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.passes++
		if err != nil {
			f.failed[classOf(err)]++
		}
	}
}

func (u *unattended) run(hours int) {
	defer u.stop()
	u.source.churn(1, 20, 2000)
	u.start("pusher", u.source.dir, remote.Options{})
	u.startReplica("full", remote.Options{})
	var heaps []uint64
	for hour := range hours {
		u.start("relief", u.source.dir, remote.Options{}) // a pusher that is a new process every hour
		if hour == 1 {
			_, err := replicator(u.t, u.source.dir, u.store, nil).Base(u.t.Context())
			require.NoError(u.t, err)
			u.startReplica("live", remote.Options{History: remote.HistoryLive})
		}
		for range 12 {
			u.source.churn(1, 20, 2000)
			if u.source.next%2 == 0 { // else an interval finds it
				u.followers["pusher"].Notify()
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if u.t.Failed() {
				return
			}
		}
		heaps = append(heaps, heap())
	}
	u.settle()
	u.tell()
	u.t.Logf("heap after each hour, in KiB: %v", heaps)
	if hours >= 6 { // the least of three, since somebody may have been at work
		require.Less(u.t, slices.Min(heaps[hours-3:]), slices.Min(heaps[1:4])+heapGrowth, "KiB, at the end and after hours 2 to 4")
	}
}

func (u *unattended) stop() {
	for _, f := range u.followers {
		f.stop()
	}
}

func (u *unattended) startReplica(name string, opts remote.Options) {
	opts.Mode, opts.SwitchToPull = remote.ModeInit, true
	u.start(name, filepath.Join(u.t.TempDir(), name), opts)
}

// heap is how many KiB are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools let go only the second time
	runtime.ReadMemStats(&m)
	return m.HeapAlloc >> 10
}

// settle ends the faults, waits until all have come to the end, and compares.
func (u *unattended) settle() {
	for _, f := range u.followers {
		f.faults.End()
	}
	ctx, cancel := context.WithTimeout(u.t.Context(), 10*time.Minute)
	defer cancel()
	for _, name := range []string{"pusher", "relief", "full", "live"} {
		require.NoError(u.t, u.followers[name].WaitFor(ctx, u.source.next-1), name)
	}
	u.stop()
	want := tree(u.t, u.source.dir)
	full, live := u.replica("full"), u.replica("live")
	require.Equal(u.t, want, full)
	require.ElementsMatch(u.t, slices.Collect(maps.Keys(objects(u.t, u.store))), slices.Collect(maps.Keys(tree(u.t, u.dir))), "nothing else in the folder of the store")

	start, err := openTable(u.t, u.followers["live"].dir).Start(u.t.Context())
	require.NoError(u.t, err)
	require.Positive(u.t, start, "it began at a base")
	for path, content := range live {
		require.Equal(u.t, want[path], content, path)
	}
	for v := start; v < u.source.next; v++ {
		require.Contains(u.t, live, v.CommitPath())
	}
	require.Equal(u.t, liveFiles(u.t, u.source.dir, u.source.next-1), liveFiles(u.t, u.followers["live"].dir, u.source.next-1))
}

// replica is what a replica has, but for the checkpoints, which are its own.
func (u *unattended) replica(name string) map[string]string {
	files := tree(u.t, u.followers[name].dir)
	maps.DeleteFunc(files, func(path, _ string) bool {
		return path == deltalog.LogDir+"/_last_checkpoint" || strings.HasSuffix(path, ".checkpoint.parquet")
	})
	return files
}

// tell prints what happened; every kind of fault must have.
func (u *unattended) tell() {
	fired, begun := map[storagetest.FaultKind]int{}, 0
	for _, f := range u.tallies {
		u.t.Logf("%-6s %4d operations, harmed %v; %d passes, failed %v", f.name, f.faults.Begun(), f.faults.FiredKinds(), f.passes, f.failed)
		begun += f.faults.Begun()
		for kind, n := range f.faults.FiredKinds() {
			fired[kind] += n
		}
	}
	u.t.Logf("%6d operations in all, harmed %v", begun, fired)
	require.Len(u.t, fired, 5, "a kind of fault never fired")
}

// classOf tells what a pass met, as whoever runs it wants to know it.
func classOf(err error) string {
	for name, class := range map[string]error{
		"unavailable": remote.ErrUnavailable, "corrupt": remote.ErrCorrupt, "nothing there yet": remote.ErrEmptyStore,
		"stopped": context.Canceled, "gap": remote.ErrGap,
	} {
		if errors.Is(err, class) {
			return name
		}
	}
	return err.Error()
}
