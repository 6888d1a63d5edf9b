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
	"github.com/pondworks/sluice/internal/disktest"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// diskTrial is an operation that writes to a local folder, whose disk fails: that of
// a replica, or that of a store.
type diskTrial struct {
	source *pond
	store  storage.Store
	folder string // what is written to; it may be there already
	run    func(t *testing.T) error
	check  func(t *testing.T, what string) // that nothing wrong is visible
	done   func(t *testing.T, what string) // that all is there
}

// diskTrials are all operations that write to a local folder. Each makes what it
// needs below base.
var diskTrials = map[string]func(t *testing.T) *diskTrial{
	"init": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(3, 2, 300)
		d.source.pushSingly(d.store)
		return d.replica(remote.Options{}, (*remote.Replicator).Init)
	},
	"init of runs": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(12, 2, 300)
		d.source.mustPush(d.store)
		return d.replica(remote.Options{}, (*remote.Replicator).Init)
	},
	"init live": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(4, 2, 300)
		d.source.pushSingly(d.store)
		d.base(t)
		d.source.churn(1, 2, 300)
		d.source.mustPush(d.store)
		return d.replica(remote.Options{History: remote.HistoryLive}, (*remote.Replicator).Init)
	},
	"init with a checkpoint of ours": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.interval("10")
		d.source.churn(11, 2, 300)
		d.source.mustPush(d.store)
		return d.replica(remote.Options{}, (*remote.Replicator).Init)
	},
	"pull": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(2, 2, 300)
		d.source.mustPush(d.store)
		d.restore(t)
		d.source.churn(3, 2, 300)
		d.source.pushSingly(d.store)
		return d.replica(remote.Options{}, (*remote.Replicator).Pull)
	},
	"pull across a gap": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(2, 2, 300)
		d.source.mustPush(d.store)
		d.restore(t)
		d.source.churn(6, 2, 300)
		d.source.cleanUp(5)
		d.source.mustPush(d.store)
		return d.replica(remote.Options{AcrossGap: true}, (*remote.Replicator).Pull)
	},
	"push": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(3, 2, 300)
		return d.pushes(t, nil, func(r *remote.Replicator) error {
			_, err := r.Push(t.Context())
			return err
		})
	},
	"push version by version": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(3, 2, 300)
		return d.pushes(t, &remote.Options{MaxVersions: 1}, func(r *remote.Replicator) error {
			for {
				if report, err := r.Push(t.Context()); err != nil || report.Remaining == 0 {
					return err
				}
			}
		})
	},
	"base": func(t *testing.T) *diskTrial {
		d := newDiskTrial(t)
		d.source.churn(3, 2, 300)
		return d.pushes(t, nil, func(r *remote.Replicator) error {
			if _, err := r.Push(t.Context()); err != nil {
				return err
			}
			_, err := r.Base(t.Context())
			return err
		})
	},
}

func newDiskTrial(t *testing.T) *diskTrial {
	return &diskTrial{source: newPond(t), store: storage.NewMemory(), folder: filepath.Join(disktest.Folder(t), "disk", "folder")}
}

func (d *diskTrial) base(t *testing.T) {
	t.Helper()
	_, err := replicator(t, d.source.dir, d.store, nil).Base(t.Context())
	require.NoError(t, err)
}

func (d *diskTrial) restore(t *testing.T) {
	t.Helper()
	_, err := replicator(t, d.folder, d.store, &remote.Options{Durability: remote.DurabilityRelaxed}).Init(t.Context())
	require.NoError(t, err)
}

func (d *diskTrial) replica(opts remote.Options, call func(*remote.Replicator, context.Context) (remote.Report, error)) *diskTrial {
	d.run = func(t *testing.T) error {
		_, err := call(replicator(t, d.folder, d.store, &opts), t.Context())
		return err
	}
	d.check = func(t *testing.T, what string) { requireBeginning(t, d.source, d.folder, what) }
	d.done = func(t *testing.T, what string) {
		requireBeginning(t, d.source, d.folder, what)
		tip, err := openTable(t, d.folder).Tip(t.Context())
		require.NoError(t, err, what)
		require.Equal(t, d.source.next-1, tip, what)
		state, err := openTable(t, d.folder).State(t.Context())
		require.NoError(t, err, what)
		require.Nil(t, state.Marker, what)
	}
	return d
}

func (d *diskTrial) pushes(t *testing.T, opts *remote.Options, push func(*remote.Replicator) error) *diskTrial {
	d.run = func(t *testing.T) error {
		store, err := storage.OpenDir(d.folder)
		require.NoError(t, err)
		return push(replicator(t, d.source.dir, store, opts))
	}
	d.check = func(t *testing.T, what string) { d.requireStore(t, -1, what) }
	d.done = func(t *testing.T, what string) { d.requireStore(t, d.source.next-1, what) }
	return d
}

// requireStore asserts that what the store in the folder has can be restored, and
// goes up to want at least.
func (d *diskTrial) requireStore(t *testing.T, want deltalog.Version, what string) {
	t.Helper()
	store, err := storage.OpenDir(d.folder)
	require.NoError(t, err)
	dir := filepath.Join(disktest.Folder(t), "restored")
	_, err = replicator(t, dir, store, &remote.Options{Durability: remote.DurabilityRelaxed}).Init(t.Context())
	if errors.Is(err, remote.ErrEmptyStore) && want < 0 {
		return
	}
	require.NoError(t, err, what)
	requireBeginning(t, d.source, dir, what)
	tip, err := openTable(t, dir).Tip(t.Context())
	require.NoError(t, err, what)
	require.GreaterOrEqual(t, tip, want, what)
}

// requireBeginning asserts that a table is empty, or one that the source once was: its
// commits are the source's, without a hole, and every file that is live is there and
// has the right bytes.
func requireBeginning(t *testing.T, source *pond, dir, what string) {
	t.Helper()
	table := openTable(t, dir)
	tip, err := table.Tip(t.Context())
	if errors.Is(err, remote.ErrNoTable) {
		return
	}
	if errors.Is(err, remote.ErrUnsupported) {
		tip, err = begunAt(t, dir), nil
	}
	require.NoError(t, err, what)
	if start, err := table.Start(t.Context()); err == nil {
		for v := start; v <= tip; v++ {
			requireSameCommit(t, source.dir, dir, v, what)
		}
	}
	for path, got := range liveFiles(t, dir, tip) {
		require.Equal(t, readString(t, filepath.Join(source.dir, filepath.FromSlash(path))), got, "%s: %s", what, path)
	}
}

// begunAt is the version of the checkpoint that a replica is to begin or go on with,
// whose commit comes right after it. Engines read that version from the checkpoint.
func begunAt(t *testing.T, dir string) deltalog.Version {
	t.Helper()
	found := checkpointsOf(t, dir)
	require.NotEmpty(t, found)
	return found[len(found)-1]
}

func requireSameCommit(t *testing.T, source, replica string, v deltalog.Version, what string) {
	t.Helper()
	want, err := os.Stat(filepath.Join(source, v.CommitPath()))
	if os.IsNotExist(err) {
		return // cleaned up at the source
	}
	require.NoError(t, err)
	got, err := os.Stat(filepath.Join(replica, v.CommitPath()))
	require.NoError(t, err, what)
	require.Equal(t, want.ModTime(), got.ModTime(), "%s: version %d", what, v)
	require.Equal(t, readString(t, filepath.Join(source, v.CommitPath())), readString(t, filepath.Join(replica, v.CommitPath())), "%s: version %d", what, v)
}

func readString(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

// TestEveryDiskFault breaks every operation at each of its steps on the disk in
// turn, in every way: nothing wrong is visible, and the next run gets to where it
// would have come. Without SLUICE_DISK=all it takes every 61st step only.
func TestEveryDiskFault(t *testing.T) {
	for name, begin := range diskTrials {
		t.Run(name, func(t *testing.T) {
			trial := begin(t)
			start := disktest.Folder(t)
			copyTree(t, filepath.Dir(trial.folder), start)
			for _, kind := range disktest.Kinds {
				trial.everyFault(t, start, kind)
			}
		})
	}
}

// stride is how many steps of an operation a test of each step goes on at once.
func stride(short int64) int64 {
	if os.Getenv("SLUICE_DISK") == "all" {
		return 1
	}
	return short
}

func (d *diskTrial) everyFault(t *testing.T, start string, kind disktest.Kind) {
	broken := 0
	for n := int64(1); ; n += stride(61) {
		require.NoError(t, os.RemoveAll(filepath.Dir(d.folder)))
		copyTree(t, start, filepath.Dir(d.folder))
		what := fmt.Sprint(kind, " at step ", n)
		faults := disktest.Inject(disktest.Plan{Folder: d.folder, Kind: kind, N: n})
		err := d.run(t)
		faults.Stop()
		if faults.Fired() == 0 {
			require.NoError(t, err, what)
			require.Positive(t, broken, "no fault ever fired: %s", what)
			d.done(t, what)
			t.Logf("%s: %d of %d steps", kind, broken, faults.Steps())
			return
		}
		broken++
		d.check(t, what)
		require.NoError(t, d.run(t), what)
		d.done(t, what)
		require.NoDirExists(t, filepath.Join(d.folder, ".sluice"), what)
	}
}

// copyTree copies files and their times; from need not exist.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	entries, err := os.ReadDir(from)
	if os.IsNotExist(err) {
		return
	}
	require.NoError(t, err)
	for _, e := range entries {
		src, dst := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			copyTree(t, src, dst)
			continue
		}
		require.NoError(t, os.WriteFile(dst, []byte(readString(t, src)), 0o644))
		info, err := e.Info()
		require.NoError(t, err)
		require.NoError(t, os.Chtimes(dst, info.ModTime(), info.ModTime()))
	}
}
