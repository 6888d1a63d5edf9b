package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// TestRequestBudget counts what each operation asks of the store. The table is
// that of docs/ARCHITECTURE.md, "Requests"; the numbers must not grow with the
// history.
func TestRequestBudget(t *testing.T) {
	for _, history := range []int{10, 1000} {
		t.Run(fmt.Sprint(history, " versions"), func(t *testing.T) {
			source := newPond(t)
			store, err := storage.OpenDir(t.TempDir())
			require.NoError(t, err)
			for i := range history {
				source.append(fmt.Sprint(i))
			}
			source.mustPush(store)
			same := replicator(t, source.dir, store, nil)
			_, err = same.Push(t.Context())
			require.NoError(t, err)

			within := func(what string, got remote.Report, err error, put, get, list int64) {
				t.Helper()
				require.NoError(t, err, what)
				require.Equal(t, put, got.Requests.Put, what+": PUT")
				require.LessOrEqual(t, got.Requests.Get, get, what+": GET")
				require.LessOrEqual(t, got.Requests.List, list, what+": LIST")
			}
			source.append("same process")
			report, err := same.Push(t.Context())
			require.Equal(t, 1, report.Versions)
			within("push one, same process", report, err, 2, 0, 0)

			source.append("fresh process")
			report, err = source.push(store)
			require.Equal(t, 1, report.Versions)
			within("push one, fresh process", report, err, 2, 3, 0)
			report, err = source.push(store)
			within("push nothing new, fresh process", report, err, 0, 2, 0)

			dir := t.TempDir()
			report, err = replicator(t, dir, store, nil).Init(t.Context())
			bundles := int64(history + 2)
			require.EqualValues(t, bundles, report.Versions)
			within("init", report, err, 0, bundles+2, bundles/1000+1)
			report, err = replicator(t, dir, store, nil).Pull(t.Context())
			within("pull nothing new", report, err, 0, 2, 0)
			require.LessOrEqual(t, report.Requests.Received, int64(1024))
			for range 3 {
				source.append("new")
			}
			source.mustPush(store)
			report, err = replicator(t, dir, store, nil).Pull(t.Context())
			require.Equal(t, 3, report.Versions)
			within("pull three", report, err, 0, 5, 0)
		})
	}
}

// TestRequestsOfManyFiles counts what a commit costs whose files its base lists.
func TestRequestsOfManyFiles(t *testing.T) {
	for _, history := range []int{10, 1000} {
		for parts, size := range map[int64]int64{0: 1 << 20, 2: 900} {
			source, store := newPond(t), storage.NewMemory()
			for i := range history {
				source.append(fmt.Sprint(i))
			}
			source.mustPush(store) // one bundle
			dir := restored(t, store)
			source.many(5)
			r := listing3(t, source.dir, store, nil)
			remote.SetPartSize(r, size)
			report, err := r.Push(t.Context())
			require.NoError(t, err)
			require.Len(t, keysWith(t, store, "/part-"), int(parts))
			require.Equal(t, 3+parts, report.Requests.Put)
			require.LessOrEqual(t, report.Requests.Get, 2+(2+5+2*parts)+2)
			require.LessOrEqual(t, report.Requests.List, int64(4))
			report, err = replicator(t, dir, store, nil).Pull(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, report.Requests.Get, 3+1+parts)
			require.Zero(t, report.Requests.List)
		}
	}
}

// TestRequestsOfAnInitAheadOfTheHead: a pusher has stored versions that its head does not tell
// of yet. Each manifest is asked for once.
func TestRequestsOfAnInitAheadOfTheHead(t *testing.T) {
	source, store, before := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	copyAll(t, store, before)
	for range 20 {
		source.append("new")
	}
	source.pushSingly(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	copyObject(t, before, store, "backups/head.json")
	for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		report, err := replicator(t, t.TempDir(), store, &remote.Options{History: history}).Init(t.Context())
		require.NoError(t, err)
		require.Equal(t, 21, report.Versions)
		require.LessOrEqual(t, report.Requests.Get, int64(2+21+21))
	}
}

// TestReportCountsWhatTheStoreSees compares the report with a counter below.
func TestReportCountsWhatTheStoreSees(t *testing.T) {
	source := newPond(t)
	counted, counter := storagetest.Count(storage.NewMemory())
	for range 5 {
		source.append("x")
	}
	report := source.mustPush(counted)
	got := counter.Requests()
	require.EqualValues(t, got.Create+got.Put, report.Requests.Put)
	require.EqualValues(t, got.Open+got.Get, report.Requests.Get)
	require.EqualValues(t, got.List, report.Requests.List)
	require.Equal(t, got.BytesWritten, report.Requests.Sent)
	require.Equal(t, got.BytesRead, report.Requests.Received)
}

// needResident is a store that takes nothing but what is in memory.
type needResident struct{ storage.Store }

func (s needResident) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if in, ok := r.(storage.Resident); ok {
		if b := in.Resident(); b != nil {
			return s.Store.Create(ctx, key, b, size)
		}
	}
	if strings.HasPrefix(key, "backups/version-") {
		return errors.New("it would have to be copied")
	}
	return s.Store.Create(ctx, key, r, size)
}

// TestSmallBundlesAreResident: a store gets what push packs in memory without a
// copy, however many stores there are, and the bytes count once.
func TestSmallBundlesAreResident(t *testing.T) {
	source := newPond(t)
	for range 5 {
		source.append("x")
	}
	counted, counter := storagetest.Count(storage.NewMemory())
	store := needResident{counted}
	report := source.mustPush(store)
	require.Equal(t, 5, report.Versions)
	require.Equal(t, counter.Requests().BytesWritten, report.Requests.Sent)
	requireSame(t, source.dir, restored(t, store))
}
