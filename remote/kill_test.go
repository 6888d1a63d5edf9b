//go:build unix

package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/internal/disktest"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// killing is what a process that is to be killed is told.
type killing struct {
	Operation string
	Place     string // has the folders source, pending, store and replica
	Step      int64  // at which it kills itself, before it is taken; 0: it does not
	Write     int64  // in the middle of which it kills itself; 0: it does not
}

const envKilling = "SLUICE_TEST_KILLING"

func (k killing) dir(name string) string { return filepath.Join(k.Place, name) }

func (k killing) store(t *testing.T) storage.Store {
	t.Helper()
	store, err := storage.OpenDir(k.dir("store"))
	require.NoError(t, err)
	return store
}

// killOperation is one that is killed, and done again.
type killOperation struct {
	prepare func(t *testing.T, source *pond, store storage.Store, replica string)
	run     func(t *testing.T, k killing) error
	pushes  bool // it is about the store alone
	full    bool // the replica gets all of the history
	pending int  // how many of the newest versions are not committed yet
}

var killOperations = map[string]killOperation{
	"push": {
		prepare: func(t *testing.T, source *pond, _ storage.Store, _ string) { source.churn(4, 2, 300) },
		run: func(t *testing.T, k killing) error {
			hook := replicator(t, k.dir("source"), k.store(t), &remote.Options{MaxVersions: 1})
			for {
				report, err := hook.Push(t.Context())
				if err != nil {
					return err
				}
				acknowledge("push", report)
				if report.Remaining == 0 {
					return nil
				}
			}
		},
		pushes: true,
	},
	"push of a backlog, base": {
		prepare: func(t *testing.T, source *pond, _ storage.Store, _ string) { source.churn(5, 2, 300) },
		run: func(t *testing.T, k killing) error {
			r := replicator(t, k.dir("source"), k.store(t), nil)
			report, err := r.Push(t.Context())
			if err != nil {
				return err
			}
			acknowledge("push", report)
			_, err = r.Base(t.Context())
			return err
		},
		pushes: true,
	},
	"push of an old table, base in parts": {
		prepare: func(t *testing.T, source *pond, _ storage.Store, _ string) {
			source.churn(1, 2, 300)
			source.commitLarge(4, 4000)
			source.cleanUp(1)
			source.churn(1, 2, 300)
		},
		run: func(t *testing.T, k killing) error {
			r := replicator(t, k.dir("source"), k.store(t), nil)
			remote.SetPartSize(r, 5000)
			report, err := r.Push(t.Context())
			if err == nil {
				acknowledge("push", report)
			}
			return err
		},
		pushes: true,
	},
	"init": {
		prepare: func(t *testing.T, source *pond, store storage.Store, _ string) {
			source.churn(4, 2, 300)
			source.pushSingly(store)
		},
		run:  restoring("init", remote.Options{}, (*remote.Replicator).Init),
		full: true,
	},
	"init live": {
		prepare: func(t *testing.T, source *pond, store storage.Store, _ string) {
			source.churn(4, 2, 300)
			source.mustPush(store)
			_, err := replicator(t, source.dir, store, nil).Base(t.Context())
			require.NoError(t, err)
			source.churn(2, 2, 300)
			source.mustPush(store)
		},
		run: restoring("init", remote.Options{History: remote.HistoryLive}, (*remote.Replicator).Init),
	},
	"init with a checkpoint of ours": {
		prepare: func(t *testing.T, source *pond, store storage.Store, _ string) {
			source.interval("10")
			source.churn(11, 2, 300)
			source.mustPush(store)
		},
		run:  restoring("init", remote.Options{}, (*remote.Replicator).Init),
		full: true,
	},
	"pull": {
		prepare: func(t *testing.T, source *pond, store storage.Store, replica string) {
			source.churn(2, 2, 300)
			source.mustPush(store)
			restoreInto(t, replica, store)
			source.churn(3, 2, 300)
			source.pushSingly(store)
		},
		run:  restoring("pull", remote.Options{}, (*remote.Replicator).Pull),
		full: true,
	},
	"pull across a gap": {
		prepare: func(t *testing.T, source *pond, store storage.Store, replica string) {
			source.churn(2, 2, 300)
			source.mustPush(store)
			restoreInto(t, replica, store)
			source.churn(6, 2, 300)
			source.cleanUp(5)
			source.mustPush(store)
		},
		run: restoring("pull", remote.Options{AcrossGap: true}, (*remote.Replicator).Pull),
	},
	"follow on both sides": {
		prepare: func(t *testing.T, source *pond, store storage.Store, replica string) {
			source.churn(2, 2, 300)
			source.mustPush(store)
			restoreInto(t, replica, store)
			source.churn(3, 2, 300)
		},
		run:     followBoth,
		full:    true,
		pending: 3,
	},
}

func restoring(op string, opts remote.Options, call func(*remote.Replicator, context.Context) (remote.Report, error)) func(*testing.T, killing) error {
	return func(t *testing.T, k killing) error {
		report, err := call(replicator(t, k.dir("replica"), k.store(t), &opts), t.Context())
		if err == nil {
			acknowledge(op, report)
		}
		return err
	}
}

// followBoth commits what is pending while one Follow pushes it and another pulls it.
func followBoth(t *testing.T, k killing) error {
	ctx, cancel := context.WithCancel(t.Context())
	pusher := replicator(t, k.dir("source"), k.store(t), &remote.Options{SyncInterval: time.Hour})
	puller := replicator(t, k.dir("replica"), k.store(t), &remote.Options{SyncInterval: time.Hour, Mode: remote.ModePull})
	var running sync.WaitGroup
	for _, r := range []*remote.Replicator{pusher, puller} {
		running.Go(func() { assert.ErrorIs(t, r.Follow(ctx), context.Canceled) })
	}
	defer running.Wait()
	defer cancel()
	tip := deltalog.Version(-1)
	for _, step := range []func() error{nil, k.commitNext, k.commitNext, k.commitNext} {
		if step != nil {
			if err := step(); err != nil {
				return err
			}
		}
		var err error
		if tip, err = openTable(t, k.dir("source")).Tip(ctx); err != nil {
			return err
		}
		if err := pusher.WaitFor(ctx, tip); err != nil {
			return err
		}
		acknowledge("push", remote.Report{Versions: 1, Last: tip})
		puller.Notify()
		if err := puller.WaitFor(ctx, tip); err != nil {
			return err
		}
		acknowledge("pull", remote.Report{Versions: 1, Last: tip})
	}
	return nil
}

// commitNext commits the lowest version that is pending, if any is.
func (k killing) commitNext() error {
	names, err := os.ReadDir(k.dir("pending"))
	if err != nil || len(names) == 0 {
		return err
	}
	name := names[0].Name()
	return os.Rename(filepath.Join(k.dir("pending"), name), filepath.Join(k.dir("source"), deltalog.LogDir, name))
}

// acknowledge tells the parent what is done for good.
func acknowledge(op string, report remote.Report) {
	if report.Versions > 0 && os.Getenv(envKilling) != "" {
		fmt.Printf("acknowledged %s %d\n", op, int64(report.Last))
	}
}

// TestKilledOperation is the body of the processes that TestKilledAnywhere kills.
func TestKilledOperation(t *testing.T) {
	text := os.Getenv(envKilling)
	if text == "" {
		t.Skip("only for TestKilledAnywhere")
	}
	var k killing
	require.NoError(t, json.Unmarshal([]byte(text), &k))
	var steps, writes atomic.Int64
	stop := atomicfile.Intercept(func(s *atomicfile.Step, do func() error) error {
		if !strings.HasPrefix(s.Path(), k.Place) {
			return do()
		}
		if steps.Add(1) == k.Step {
			die()
		}
		if s.Do == atomicfile.StepWrite && writes.Add(1) == k.Write {
			s.Data = s.Data[:len(s.Data)/2]
			if err := do(); err != nil {
				return err
			}
			die()
		}
		return do()
	})
	defer stop()
	require.NoError(t, killOperations[k.Operation].run(t, k))
	fmt.Printf("took %d steps, %d writes\n", steps.Load(), writes.Load())
}

func die() {
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {} // it takes a moment
}

// TestKilledAnywhere kills processes at every step that they take on a disk, in the middle
// of every write, and at random times. Whatever they were doing, what is there is whole,
// what was acknowledged is there, and the next run gets to where they would have come.
//
// SLUICE_KILLS says how many are killed about, 16 if it is not set. From some 1,500 on it
// is at every step.
func TestKilledAnywhere(t *testing.T) {
	budget := 16
	if text := os.Getenv("SLUICE_KILLS"); text != "" {
		var err error
		budget, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	var kills, all int
	for _, name := range slices.Sorted(maps.Keys(killOperations)) {
		t.Run(name, func(t *testing.T) {
			w := newKillWorld(t, name)
			steps, writes := w.finish(t)
			all += steps + writes
			kills += w.killAll(t, steps, writes, budget/len(killOperations))
		})
	}
	t.Logf("%d processes killed; there are %d steps and middles of writes", kills, all)
	require.GreaterOrEqual(t, kills, min(budget/2, len(killOperations)))
}

// killWorld is where an operation is killed again and again, from the same start.
type killWorld struct {
	operation killOperation
	killing   killing
	source    *pond // all that is committed in the end
	start     string
	took      time.Duration // of a process that is not killed
}

func newKillWorld(t *testing.T, name string) *killWorld {
	t.Helper()
	w := &killWorld{operation: killOperations[name], killing: killing{Operation: name, Place: disktest.Folder(t)}, start: disktest.Folder(t), source: newPond(t)}
	w.source.dir = disktest.Folder(t)
	begin := killing{Place: w.start}
	w.operation.prepare(t, w.source, begin.store(t), begin.dir("replica"))
	copyTree(t, w.source.dir, begin.dir("source"))
	require.NoError(t, os.Mkdir(begin.dir("pending"), 0o755))
	for v := w.source.next - deltalog.Version(w.operation.pending); v < w.source.next; v++ {
		require.NoError(t, os.Rename(filepath.Join(begin.dir("source"), v.CommitPath()), filepath.Join(begin.dir("pending"), filepath.Base(v.CommitPath()))))
	}
	return w
}

// again puts everything back to the start.
func (w *killWorld) again(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(w.killing.Place))
	copyTree(t, w.start, w.killing.Place)
}

// process starts a process; it writes to out.
func (w *killWorld) process(t *testing.T, k killing, out *bytes.Buffer) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(k)
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledOperation$")
	c.Env = append(os.Environ(), envKilling+"="+string(text))
	c.Stdout, c.Stderr = out, out
	require.NoError(t, c.Start())
	return c
}

// finish runs a process that is not killed.
func (w *killWorld) finish(t *testing.T) (steps, writes int) {
	t.Helper()
	w.again(t)
	var out bytes.Buffer
	begun := time.Now()
	require.NoError(t, w.process(t, w.killing, &out).Wait(), "%s", &out)
	w.took = time.Since(begun)
	w.requireDone(t, "not killed")
	i := strings.Index(out.String(), "took ")
	require.GreaterOrEqual(t, i, 0, "%s", &out)
	_, err := fmt.Sscanf(out.String()[i:], "took %d steps, %d writes", &steps, &writes)
	require.NoError(t, err)
	require.Positive(t, writes)
	return steps, writes
}

// killAll kills up to about budget processes, at steps first.
func (w *killWorld) killAll(t *testing.T, steps, writes, budget int) (kills int) {
	stride := max(1, (steps+writes+budget-1)/budget)
	for i := 1; i <= steps+writes; i += stride {
		k := w.killing
		if k.Step = int64(i); i > steps {
			k.Step, k.Write = 0, int64(i-steps)
		}
		kills += w.kill(t, k, 0)
	}
	random := rand.New(rand.NewPCG(1, uint64(budget)))
	for range budget - (steps+writes)/stride {
		kills += w.kill(t, w.killing, time.Duration(1+random.Int64N(int64(w.took))))
	}
	return kills
}

// kill kills one process, after a while if that is set, and returns 1, or 0 if the
// process was faster.
func (w *killWorld) kill(t *testing.T, k killing, after time.Duration) int {
	t.Helper()
	w.again(t)
	var out bytes.Buffer
	c := w.process(t, k, &out)
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = c.Process.Kill() }) // it may have ended
		defer timer.Stop()
	}
	err := c.Wait()
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if !killed {
		require.NoError(t, err, "%s", &out)
	}
	what := fmt.Sprintf("killed at step %d, write %d, after %s", k.Step, k.Write, after)
	w.requireWhole(t, what, &out)
	for range w.operation.pending {
		require.NoError(t, w.killing.commitNext())
	}
	require.NoError(t, w.operation.run(t, w.killing), what)
	w.requireDone(t, what)
	if !killed {
		return 0
	}
	return 1
}

// requireWhole asserts that both sides are as the source once was, and have what was
// acknowledged.
func (w *killWorld) requireWhole(t *testing.T, what string, out *bytes.Buffer) {
	t.Helper()
	pushed, restored := deltalog.Version(-1), deltalog.Version(-1)
	for line := range strings.Lines(out.String()) {
		var op string
		var v int64
		if n, _ := fmt.Sscanf(line, "acknowledged %s %d", &op, &v); n < 2 { // some other line
			continue
		}
		if op == "push" {
			pushed = deltalog.Version(v)
		} else {
			restored = deltalog.Version(v)
		}
	}
	w.requireStore(t, pushed, what)
	if w.operation.pushes {
		return
	}
	requireBeginning(t, w.source, w.killing.dir("replica"), what)
	if restored >= 0 {
		tip, err := openTable(t, w.killing.dir("replica")).Tip(t.Context())
		require.NoError(t, err, what)
		require.GreaterOrEqual(t, tip, restored, what)
	}
}

// requireStore asserts that the store has all up to want, without a hole.
func (w *killWorld) requireStore(t *testing.T, want deltalog.Version, what string) {
	t.Helper()
	store := w.killing.store(t)
	d := diskTrial{source: w.source, folder: w.killing.dir("store")}
	d.requireStore(t, want, what)
	found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	if errors.Is(err, remote.ErrEmptyStore) && want < 0 {
		return
	}
	require.NoError(t, err, what)
	require.NoError(t, found.Err(), what)
}

// requireDone asserts that both sides have all of the source.
func (w *killWorld) requireDone(t *testing.T, what string) {
	t.Helper()
	tip := w.source.next - 1
	w.requireStore(t, tip, what)
	if w.operation.pushes {
		return
	}
	replica := w.killing.dir("replica")
	requireBeginning(t, w.source, replica, what)
	got, err := openTable(t, replica).Tip(t.Context())
	require.NoError(t, err, what)
	require.Equal(t, tip, got, what)
	if w.operation.full {
		has := tree(t, replica)
		for path, content := range tree(t, w.source.dir) {
			require.Equal(t, content, has[path], "%s: %s", what, path)
		}
	}
}
