package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// readCounter is a table that counts the bytes of data files that are read.
type readCounter struct {
	*deltalog.Dir
	read atomic.Int64
}

func (c *readCounter) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	f, size, err := c.Dir.OpenFile(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return countedFile{f, &c.read}, size, nil
}

type countedFile struct {
	io.ReadCloser
	n *atomic.Int64
}

func (f countedFile) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	f.n.Add(int64(n))
	return n, err
}

func targets(stores ...storage.Reader) (all []remote.Target) {
	for i, s := range stores {
		all = append(all, remote.Target{Name: fmt.Sprint("store", i), Store: s})
	}
	return all
}

func multi(t *testing.T, table remote.LogReader, opts *remote.Options, stores ...storage.Reader) *remote.Multi {
	t.Helper()
	m, err := remote.NewMulti(table, targets(stores...), opts)
	require.NoError(t, err)
	return m
}

func lineageOf(t *testing.T, store storage.Reader) string {
	t.Helper()
	r, err := store.Open(t.Context(), "sluice.json", 0, -1)
	require.NoError(t, err)
	var id struct{ Lineage string }
	require.NoError(t, json.NewDecoder(r).Decode(&id))
	require.NoError(t, r.Close())
	return id.Lineage
}

func requireSameBundles(t *testing.T, a, b storage.Reader) {
	t.Helper()
	keys := keysWith(t, a, "bundle")
	require.NotEmpty(t, keys)
	require.ElementsMatch(t, keys, keysWith(t, b, "bundle"))
	for _, key := range keys {
		require.Equal(t, content(t, a, key), content(t, b, key), key)
	}
}

func content(t *testing.T, store storage.Reader, key string) []byte {
	t.Helper()
	r, err := store.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return b
}

// One read feeds all stores, whether bundles fit into memory or lie in temporary
// files; all have the same bytes and the same lineage.
func TestMultiReadsOnce(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	for name, memory := range map[string]int64{"in memory": 0, "in files": 16 << 10} {
		t.Run(name, func(t *testing.T) {
			source := newPond(t)
			source.churn(20, 3, 10_000)
			table := &readCounter{Dir: openTable(t, source.dir)}
			stores := []storage.Reader{storage.NewMemory(), storage.NewMemory(), storage.NewMemory()}
			m := multi(t, table, &remote.Options{Memory: memory, NoBases: true}, stores...)
			reports, err := m.Push(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 20*10_000, table.read.Load(), "once, for three stores")
			for i, r := range reports {
				require.Equal(t, fmt.Sprint("store", i), r.Name)
				require.Equal(t, 20, r.Report.Versions)
			}
			source.churn(1, 3, 10_000)
			_, err = m.Push(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 21*10_000, table.read.Load())
			for _, s := range stores {
				requireSame(t, source.dir, restored(t, s))
				require.Equal(t, lineageOf(t, stores[0]), lineageOf(t, s))
				requireSameBundles(t, stores[0], s)
			}
			left, err := filepath.Glob(filepath.Join(temp, "sluice-*"))
			require.NoError(t, err)
			require.Empty(t, left, "temporary files are gone")
		})
	}
}

// A store that was begun before gives its lineage to the new ones, and gets only what
// it lacks.
func TestMultiJoinsAStoreThatExists(t *testing.T) {
	source, old, fresh := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(5, 3, 500)
	source.mustPush(old)
	source.churn(4, 3, 500)
	reports, err := multi(t, openTable(t, source.dir), nil, fresh, old).Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, reports[0].Report.Versions)
	require.Equal(t, 4, reports[1].Report.Versions)
	require.Equal(t, lineageOf(t, old), lineageOf(t, fresh))
	requireSame(t, source.dir, restored(t, fresh))
	requireSame(t, source.dir, restored(t, old))
	v := verify(t, source.dir, fresh, remote.VerifyOptions{Data: true})
	require.True(t, v.Table.Identical)
}

// A store that is down delays only itself, and one with another history is refused
// without harm to the others.
func TestMultiGoesOnWithoutThoseThatFail(t *testing.T) {
	source, up, foreign := newPond(t), storage.NewMemory(), storage.NewMemory()
	down := &denying{Store: storage.NewMemory()}
	other := newPond(t)
	other.append("another history")
	other.mustPush(foreign)
	source.churn(3, 3, 500)
	m := multi(t, openTable(t, source.dir), nil, down, up, foreign)
	down.denied.Store(true)
	reports, err := m.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrDenied)
	require.ErrorContains(t, err, "store store0: ")
	require.ErrorIs(t, reports[2].Err, remote.ErrDiverged)
	require.NoError(t, reports[1].Err)
	requireSame(t, source.dir, restored(t, up))
	require.NoError(t, m.WaitFor(t.Context(), 2, 1))
	require.ErrorIs(t, m.WaitFor(t.Context(), 2, 2), remote.ErrDenied)

	down.denied.Store(false)
	reports, err = m.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.NoError(t, reports[0].Err)
	requireSame(t, source.dir, restored(t, down))
	require.NoError(t, m.WaitFor(t.Context(), 2, 2))
	require.ErrorIs(t, m.WaitFor(t.Context(), 2, 3), remote.ErrDiverged)
	for _, k := range []int{0, 4} {
		require.Error(t, m.WaitFor(t.Context(), 2, k))
	}
}

// denying is a store that may deny everything, which nobody repeats.
type denying struct {
	storage.Store
	denied atomic.Bool
}

func (s *denying) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if s.denied.Load() {
		return nil, storage.ErrDenied
	}
	return s.Store.Open(ctx, key, off, n)
}

func (s *denying) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if s.denied.Load() {
		return storage.ErrDenied
	}
	return s.Store.Create(ctx, key, r, size)
}

// Each store follows at its own pace: the commit waits for two of three, the third
// catches up when it is back.
func TestMultiFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPond(t)
		table := &readCounter{Dir: openTable(t, source.dir)}
		down := &switchable{Store: storage.NewMemory()}
		a, b := storage.NewMemory(), storage.NewMemory()
		down.down.Store(true)
		m := multi(t, table, nil, a, down, b)
		source.churn(1, 3, 1000)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Follow(ctx) }()
		require.NoError(t, m.WaitFor(t.Context(), 0, 2))
		source.churn(1, 3, 1000)
		m.Notify()
		began := time.Now()
		require.NoError(t, m.WaitFor(t.Context(), 1, 2))
		require.Less(t, time.Since(began), time.Second, "nobody waited for the one that is down")
		require.EqualValues(t, 2*1000, table.read.Load(), "once for both, though one may have come later")
		soon, stop := context.WithTimeout(t.Context(), time.Second)
		require.ErrorIs(t, m.WaitFor(soon, 1, 3), context.DeadlineExceeded)
		stop()
		down.down.Store(false)
		require.NoError(t, m.WaitFor(t.Context(), 1, 3))
		for _, s := range []storage.Reader{a, b, down} {
			require.Equal(t, 2, bundles(t, s))
		}
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// Whoever waited in vain hears of each store that lacks the version what went wrong
// there last, and of no other.
func TestMultiTellsWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, foreign := newPond(t), storage.NewMemory()
		source.append("zero")
		other := newPond(t)
		other.append("another history")
		other.mustPush(foreign)
		down := &switchable{Store: storage.NewMemory()}
		down.down.Store(true)
		denied := &denying{Store: storage.NewMemory()}
		denied.denied.Store(true)
		m := multi(t, openTable(t, source.dir), nil, storage.NewMemory(), down, denied, hanging{storage.NewMemory()})
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Follow(ctx) }()
		require.NoError(t, m.WaitFor(t.Context(), 0, 1))

		began := time.Now()
		patient, stop := context.WithTimeout(t.Context(), time.Minute)
		err := m.WaitFor(patient, 0, 2)
		stop()
		require.Equal(t, time.Minute, time.Since(began), "they may come back")
		require.ErrorContains(t, err, "version 0 is in 1 of 4 stores, 2 were wanted")
		require.NotContains(t, err.Error(), "store0")
		for name, class := range map[string]error{"store1": remote.ErrUnavailable, "store2": remote.ErrDenied, "store3": context.DeadlineExceeded} {
			require.ErrorIs(t, err, class)
			require.ErrorContains(t, err, "store "+name+": ")
		}
		end()
		require.ErrorIs(t, <-done, context.Canceled)

		m = multi(t, openTable(t, source.dir), nil, foreign, down)
		ctx, end = context.WithCancel(t.Context())
		go func() { done <- m.Follow(ctx) }()
		time.Sleep(10 * time.Minute) // the first has been given up
		began = time.Now()
		err = m.WaitFor(t.Context(), 0, 2)
		require.Zero(t, time.Since(began), "waiting does not mend it")
		require.ErrorIs(t, err, remote.ErrDiverged)
		require.ErrorIs(t, err, remote.ErrUnavailable)
		require.NotErrorIs(t, err, context.Canceled)
		end()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// A store that hangs when the first push asks all for their lineage keeps the others
// waiting for seconds, once; what is known by then is that of all.
func TestMultiMakesNewStoresWhileOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, old := newPond(t), storage.NewMemory()
		source.append("zero")
		source.mustPush(old)
		source.append("one")
		a, b := storage.NewMemory(), storage.NewMemory()
		m := multi(t, openTable(t, source.dir), nil, a, hanging{old}, b, old)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, m.WaitFor(ctx, 1, 3))
		require.Less(t, time.Since(began), 10*time.Second)
		require.Equal(t, lineageOf(t, old), lineageOf(t, a))
		require.Equal(t, lineageOf(t, old), lineageOf(t, b))
		reports, err := m.Push(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, reports[1].Err, context.DeadlineExceeded, "the one that hangs, and no other")
		require.NoError(t, errors.Join(reports[0].Err, reports[2].Err, reports[3].Err))
	})
}

// hanging is a store whose requests never end by themselves.
type hanging struct{ storage.Store }

func (hanging) Open(ctx context.Context, _ string, _, _ int64) (io.ReadCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A push whose context has ended chooses no lineage for those that come after it.
func TestMultiChoosesNoLineageInHaste(t *testing.T) {
	source, old, fresh := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.append("zero")
	source.mustPush(old)
	ended, end := context.WithCancel(t.Context())
	m := multi(t, openTable(t, source.dir), nil, ending{fresh, end}, old)
	_, err := m.Push(ended)
	require.ErrorIs(t, err, context.Canceled)
	_, err = m.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, lineageOf(t, old), lineageOf(t, fresh))
}

// ending is a store that ends a context after the first Create, which is the probe.
type ending struct {
	storage.Store
	end func()
}

func (s ending) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	defer s.end()
	return s.Store.Create(ctx, key, r, size)
}

func TestNewMultiRefusesWhatMakesNoSense(t *testing.T) {
	table, store := openTable(t, filepath.Join(t.TempDir(), "none")), storage.NewMemory()
	folder := t.TempDir()
	folderStore := func() storage.Store {
		dir, err := storage.OpenDir(folder)
		require.NoError(t, err)
		return dir
	}
	for name, c := range map[string]struct {
		table   remote.LogReader
		targets []remote.Target
		opts    *remote.Options
	}{
		"no store":   {table, nil, nil},
		"no table":   {nil, targets(store), nil},
		"same names": {table, []remote.Target{{Name: "x", Store: store}, {Name: "x", Store: store}}, nil},
		"no name":    {table, []remote.Target{{Store: store}}, nil},
		"one folder": {table, []remote.Target{{Name: "x", Store: folderStore()}, {Name: "y", Store: folderStore()}}, nil},
		"one store":  {table, []remote.Target{{Name: "x", Store: store}, {Name: "y", Store: storage.NewMemory()}, {Name: "z", Store: store}}, nil},
		"to pull":    {table, targets(store), &remote.Options{Mode: remote.ModePull}},
		"a nil one":  {table, targets(store, nil), nil},
	} {
		_, err := remote.NewMulti(c.table, c.targets, c.opts)
		require.Error(t, err, name)
	}
}

// What a store lacks is wanted from the table, so the store that is behind decides.
func TestMultiSafeVersion(t *testing.T) {
	source, one, two := newPond(t), storage.NewMemory(), &switchable{Store: storage.NewMemory()}
	source.append("zero")
	m := multi(t, openTable(t, source.dir), nil, one, two)
	_, err := m.SafeVersion(t.Context())
	require.ErrorIs(t, err, remote.ErrEmptyStore)
	_, err = m.Push(t.Context())
	require.NoError(t, err)
	source.append("one")
	source.append("two")
	source.mustPush(one)
	v, err := m.SafeVersion(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 0, v, "two has no more")
	source.mustPush(two)
	v, err = m.SafeVersion(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, v)

	one2, two2 := &denying{Store: one}, &denying{Store: two}
	m = multi(t, openTable(t, source.dir), nil, one, one2, two2)
	one2.denied.Store(true)
	two2.denied.Store(true)
	_, err = m.SafeVersion(t.Context())
	require.ErrorIs(t, err, remote.ErrDenied, "one that cannot tell keeps all from being safe")
	require.NotContains(t, err.Error(), "store store0: ")
	require.ErrorContains(t, err, "store store1: ")
	require.ErrorContains(t, err, "store store2: ")
}

// noComparable is a store that cannot be compared with another one.
type noComparable struct {
	storage.Store
	_ []int
}

func TestNewMultiTakesStoresThatCannotBeCompared(t *testing.T) {
	store := storage.NewMemory()
	multi(t, openTable(t, t.TempDir()), nil, noComparable{Store: store}, noComparable{Store: store})
}
