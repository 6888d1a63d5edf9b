package remote_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// trial is an operation under faults: a table, a store, a replica that may be there
// already, and what is done with them.
type trial struct {
	source  *pond
	store   storage.Store
	replica string
	run     func(t *testing.T, store storage.Store) error
	reads   bool // it only reads the store
}

// trials are all operations that move versions.
var trials = map[string]func(t *testing.T) *trial{
	"first push": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(3, 2, 500)
		p.run = p.push
		return p
	},
	"push": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(3, 2, 500)
		p.source.mustPush(p.store)
		p.source.churn(3, 2, 500)
		p.run = p.push
		return p
	},
	"push version by version": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(4, 2, 500)
		p.run = func(t *testing.T, store storage.Store) error {
			hook := replicator(t, p.source.dir, store, &remote.Options{MaxVersions: 1})
			for {
				if report, err := hook.Push(t.Context()); err != nil || report.Remaining == 0 {
					return err
				}
			}
		}
		return p
	},
	"push over a hole": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(3, 2, 500)
		p.source.mustPush(p.store)
		p.source.churn(5, 2, 500)
		p.source.cleanUp(6)
		p.run = p.push
		return p
	},
	"base": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(4, 2, 500)
		p.source.mustPush(p.store)
		p.run = func(t *testing.T, store storage.Store) error {
			_, err := replicator(t, p.source.dir, store, nil).Base(t.Context())
			return err
		}
		return p
	},
	"init": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(3, 2, 500)
		p.source.pushSingly(p.store)
		return p.restores(remote.Options{}, (*remote.Replicator).Init)
	},
	"init of runs": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(4, 2, 500)
		p.source.mustPush(p.store)
		return p.restores(remote.Options{}, (*remote.Replicator).Init)
	},
	"init live": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(4, 2, 500)
		p.source.pushSingly(p.store)
		p.base(t)
		p.source.churn(2, 2, 500)
		p.source.mustPush(p.store)
		return p.restores(remote.Options{History: remote.HistoryLive}, (*remote.Replicator).Init)
	},
	"pull": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(2, 2, 500)
		p.source.mustPush(p.store)
		p.replica = restored(t, p.store)
		p.source.churn(3, 2, 500)
		p.source.pushSingly(p.store)
		return p.restores(remote.Options{}, (*remote.Replicator).Pull)
	},
	"pull across a gap": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(2, 2, 500)
		p.source.mustPush(p.store)
		p.replica = restored(t, p.store)
		p.source.churn(6, 2, 500)
		p.source.cleanUp(5)
		p.source.mustPush(p.store)
		return p.restores(remote.Options{AcrossGap: true}, (*remote.Replicator).Pull)
	},
	"consolidate": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(5, 2, 500)
		p.source.pushSingly(p.store)
		p.run = func(t *testing.T, store storage.Store) error {
			_, err := storeOnly(t, store, nil).Consolidate(t.Context())
			return err
		}
		return p
	},
	"prune": func(t *testing.T) *trial {
		p := newTrial(t)
		p.source.churn(6, 2, 500)
		p.source.pushSingly(p.store)
		p.base(t)
		p.source.churn(2, 2, 500)
		p.source.mustPush(p.store)
		consolidate(t, p.store)
		p.run = func(t *testing.T, store storage.Store) error {
			_, err := storeOnly(t, store, nil).Prune(t.Context(), remote.PruneOptions{KeepVersions: 2, Grace: -1, Delete: true})
			return err
		}
		return p
	},
}

func newTrial(t *testing.T) *trial {
	return &trial{source: newPond(t), store: storage.NewMemory(), replica: filepath.Join(t.TempDir(), "replica")}
}

func (p *trial) push(t *testing.T, store storage.Store) error {
	_, err := p.source.push(store)
	return err
}

func (p *trial) base(t *testing.T) {
	t.Helper()
	_, err := replicator(t, p.source.dir, p.store, nil).Base(t.Context())
	require.NoError(t, err)
}

func (p *trial) restores(opts remote.Options, call func(*remote.Replicator, context.Context) (remote.Report, error)) *trial {
	p.reads = true
	opts.Durability = remote.DurabilityRelaxed // what is broken here is the store
	p.run = func(t *testing.T, store storage.Store) error {
		_, err := call(replicator(t, p.replica, store, &opts), t.Context())
		return err
	}
	return p
}

// requireReadable asserts that a table is a state that the source had, every file of
// which is whole; it may be none yet.
func (p *trial) requireReadable(t *testing.T, dir, what string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, deltalog.LogDir)); os.IsNotExist(err) {
		return
	}
	tip, err := openTable(t, dir).Tip(t.Context())
	if errors.Is(err, remote.ErrNoTable) {
		return
	}
	require.NoError(t, err, what)
	want, err := os.ReadFile(filepath.Join(p.source.dir, tip.CommitPath()))
	if os.IsNotExist(err) {
		return // cleaned up at the source
	}
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(dir, tip.CommitPath()))
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), what)
	require.Equal(t, p.live(t, p.source.dir, tip), p.live(t, dir, tip), what)
}

// live are the live files at a version; nil if the log does not go back to it.
func (p *trial) live(t *testing.T, dir string, v deltalog.Version) map[string]string {
	t.Helper()
	if start, err := openTable(t, dir).Start(t.Context()); err != nil || v < start {
		require.NoError(t, err)
		return nil
	}
	return liveFiles(t, dir, v)
}

// requireStoreReadable asserts that what the store has can be restored, if the
// operation writes there.
func (p *trial) requireStoreReadable(t *testing.T, what string) {
	t.Helper()
	if p.reads {
		return
	}
	dir := filepath.Join(t.TempDir(), "restored")
	_, err := replicator(t, dir, p.store, &remote.Options{Durability: remote.DurabilityRelaxed}).Init(t.Context())
	if errors.Is(err, remote.ErrEmptyStore) {
		return
	}
	require.NoError(t, err, what)
	p.requireReadable(t, dir, what)
}

var errFault = errors.New("fault")

// TestEveryFault breaks every operation at each of its requests in turn, in every
// way. Whatever it broke, both sides stay readable, and the next run gets to where
// it would have come.
func TestEveryFault(t *testing.T) {
	for name, begin := range trials {
		for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultAfter, storagetest.FaultMiddle, storagetest.FaultFlip} {
			for class, plan := range map[string]storagetest.FaultPlan{
				"for good": {Kind: kind, Err: errFault},
				"once":     {Kind: kind}, // unavailable: it is tried again
			} {
				if class == "once" && kind != storagetest.FaultAfter {
					continue // the rest is storage.Retry's own affair
				}
				t.Run(fmt.Sprint(name, " ", kind, " ", class), func(t *testing.T) {
					t.Parallel()
					everyFault(t, begin, plan)
				})
			}
		}
	}
}

func everyFault(t *testing.T, begin func(*testing.T) *trial, plan storagetest.FaultPlan) {
	fired := 0
	for plan.N = 1; ; plan.N++ {
		what := fmt.Sprint("operation ", plan.N)
		p := begin(t)
		if plan.Kind == storagetest.FaultFlip && !p.reads {
			t.Skip("a bit that is flipped on its way up is for the service to notice")
		}
		store, faults := storagetest.Fault(p.store, plan)
		err := p.run(t, store)
		fired += faults.Fired()
		if !faults.Reached() {
			require.NoError(t, err)
			require.Positive(t, fired, "no fault ever fired")
			return
		}
		if plan.Err == nil && plan.Kind != storagetest.FaultFlip {
			require.NoError(t, err, "%s: a fault that passes is nothing to speak of", what)
		}
		p.requireReadable(t, p.replica, what)
		p.requireStoreReadable(t, what)
		require.NoError(t, p.run(t, p.store), what)
		p.requireReadable(t, p.replica, what)
		p.requireStoreReadable(t, what)
		p.requireCaughtUp(t, what)
	}
}

// requireCaughtUp asserts that the store has all of the source, and the replica, if
// it was about one, all of the store.
func (p *trial) requireCaughtUp(t *testing.T, what string) {
	t.Helper()
	tip := p.source.next - 1
	st, err := replicator(t, p.source.dir, p.store, nil).Status(t.Context())
	require.NoError(t, err, what)
	require.Equal(t, tip, *st.Store, what)
	if !p.reads {
		return
	}
	got, err := openTable(t, p.replica).Tip(t.Context())
	require.NoError(t, err, what)
	require.Equal(t, tip, got, what)
	require.NoDirExists(t, filepath.Join(p.replica, ".sluice"), what)
}
