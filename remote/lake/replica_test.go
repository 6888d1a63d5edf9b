package lake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// requireWhole asserts that every version that is visible has all its files, and
// returns the newest, -1 if there is none, which a checkpoint may wait for.
func requireWhole(t testing.TB, store storage.Store) deltalog.Version {
	t.Helper()
	table := newTable(t, store)
	tip, err := table.Tip(t.Context())
	if errors.Is(err, deltalog.ErrNoTable) || errors.Is(err, deltalog.ErrUnsupported) {
		return -1
	}
	require.NoError(t, err)
	start, err := table.Start(t.Context())
	require.NoError(t, err)
	state, err := table.Snapshot(t.Context(), start, nil)
	require.NoError(t, err)
	for path, err := range state.LiveFiles() {
		require.NoError(t, err)
		require.NotEmpty(t, contentAt(t, store, path))
	}
	require.NoError(t, state.Close())
	for v := start; v <= tip; v++ {
		require.Equal(t, churnCommit(v), contentAt(t, store, v.CommitPath()))
		require.Equal(t, contentOf(v), contentAt(t, store, fileOf(v)))
	}
	return tip
}

func TestFromBucketToBucket(t *testing.T) {
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			source, backups, replica := open(t), storage.NewMemory(), open(t)
			churn(t, source, 0, 6)
			require.Equal(t, 7, push(t, source, backups).Versions)
			rep := replicator(t, newTable(t, replica), backups, nil)
			_, err := rep.Init(t.Context())
			require.NoError(t, err)
			require.Equal(t, contents(t, source), contents(t, replica))

			churn(t, source, 7, 9)
			require.Equal(t, 3, push(t, source, backups).Versions)
			_, err = rep.Pull(t.Context())
			require.NoError(t, err)
			require.Equal(t, contents(t, source), contents(t, replica))
			require.Zero(t, push(t, source, backups).Versions)
			require.Zero(t, push(t, replica, backups).Versions, "the replica has the same history")
		})
	}
}

func TestLiveInitIntoABucket(t *testing.T) {
	source, backups, replica := storage.NewMemory(), storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, 20)
	push(t, source, backups)
	_, err := replicator(t, newTable(t, source), backups, nil).Base(t.Context())
	require.NoError(t, err)
	churn(t, source, 21, 22)
	push(t, source, backups)

	_, err = replicator(t, newTable(t, replica), backups, &remote.Options{History: remote.HistoryLive}).Init(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(22), requireWhole(t, replica))
	start, err := newTable(t, replica).Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(20), start)
	files := 0
	for key := range contents(t, replica) {
		if strings.HasPrefix(key, "p=") {
			files++
		}
	}
	require.Equal(t, live+2, files, "only what is live at 20, and what came after")
}

func TestAcrossAGap(t *testing.T) {
	for name, deletes := range map[string]bool{"can delete": true, "cannot delete": false} {
		t.Run(name, func(t *testing.T) {
			source, backups, held := storage.NewMemory(), storage.NewMemory(), storage.NewMemory()
			replica := held
			if !deletes {
				replica = storage.Compose(held, nil, held.(storage.Overwriter))
			}
			churn(t, source, 0, 3)
			push(t, source, backups)
			_, err := replicator(t, newTable(t, replica), backups, nil).Init(t.Context())
			require.NoError(t, err)
			churn(t, source, 4, 13)
			cleaned(t, source, 12)
			push(t, source, backups)

			_, err = replicator(t, newTable(t, replica), backups, nil).Pull(t.Context())
			require.ErrorIs(t, err, remote.ErrGap)
			_, err = replicator(t, newTable(t, replica), backups, &remote.Options{AcrossGap: true}).Pull(t.Context())
			if !deletes {
				require.ErrorIs(t, err, remote.ErrUnsupported)
				require.ErrorContains(t, err, "delete")
				require.Equal(t, deltalog.Version(3), requireWhole(t, held))
				return
			}
			require.NoError(t, err)
			require.Equal(t, deltalog.Version(13), requireWhole(t, held))
			for v := range deltalog.Version(12) {
				requireNoCommit(t, newTable(t, held), v)
			}
		})
	}
}

func TestReplicaThatWentItsOwnWay(t *testing.T) {
	source, backups, replica := storage.NewMemory(), storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, 3)
	push(t, source, backups)
	_, err := replicator(t, newTable(t, replica), backups, nil).Init(t.Context())
	require.NoError(t, err)
	foreign := `{"commitInfo":{"operation":"WRITE","by":"somebody else"}}`
	require.NoError(t, replica.Create(t.Context(), deltalog.Version(4).CommitPath(), strings.NewReader(foreign), -1))
	before := contents(t, replica)

	churn(t, source, 4, 5)
	push(t, source, backups)
	_, err = replicator(t, newTable(t, replica), backups, nil).Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.Equal(t, before, contents(t, replica))
}

func TestInitOntoSomethingElse(t *testing.T) {
	source, backups := storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, 1)
	push(t, source, backups)
	for name, key := range map[string]string{"a file": "readme.txt", "another table": deltalog.Version(0).CommitPath()} {
		replica := storage.NewMemory()
		require.NoError(t, replica.Create(t.Context(), key, strings.NewReader("{}"), -1))
		_, err := replicator(t, newTable(t, replica), backups, nil).Init(t.Context())
		require.ErrorIs(t, err, remote.ErrNotEmpty, name)
		require.Equal(t, map[string]string{key: "{}"}, contents(t, replica))
	}
}

// Whatever operation of the bucket fails, before or after it took effect, each
// version is there in full or not at all, and the next attempt ends well.
func TestInitResumesAfterAnyFault(t *testing.T) {
	source, backups := storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, 12)
	push(t, source, backups)
	_, err := replicator(t, newTable(t, source), backups, nil).Base(t.Context())
	require.NoError(t, err)
	churn(t, source, 13, 14)
	push(t, source, backups)
	for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultAfter, storagetest.FaultMiddle} {
			t.Run(fmt.Sprintf("history %d, %s", history, kind), func(t *testing.T) {
				t.Parallel()
				opts := &remote.Options{History: history}
				for n := 1; ; n++ {
					held := storage.NewMemory()
					faulty, faults := storagetest.Fault(held, storagetest.FaultPlan{Kind: kind, N: n, Err: errors.New("stopped here")})
					_, err := replicator(t, newTable(t, faulty), backups, opts).Init(t.Context())
					requireWhole(t, held)
					if !faults.Reached() {
						require.NoError(t, err)
						require.Greater(t, n, 20)
						return
					}
					_, err = replicator(t, newTable(t, held), backups, opts).Init(t.Context())
					require.NoError(t, err, "after operation %d", n)
					require.Equal(t, deltalog.Version(14), requireWhole(t, held))
					state, err := newTable(t, held).State(t.Context())
					require.NoError(t, err)
					require.Equal(t, deltalog.State{Table: true}, state)
				}
			})
		}
	}
}

// What a pull asks of the replica's bucket does not depend on history.
func TestRequestsOfAPull(t *testing.T) {
	var pulled []storagetest.Requests
	for _, versions := range []deltalog.Version{10, 300} {
		source, backups, held := storage.NewMemory(), storage.NewMemory(), storage.NewMemory()
		churn(t, source, 0, versions)
		push(t, source, backups)
		_, err := replicator(t, newTable(t, held), backups, nil).Init(t.Context())
		require.NoError(t, err)
		churn(t, source, versions+1, versions+1)
		push(t, source, backups)

		replica, counter := storagetest.Count(held)
		_, err = replicator(t, newTable(t, replica), backups, nil).Pull(t.Context())
		require.NoError(t, err)
		sums := counter.Requests()
		sums.BytesRead, sums.BytesWritten = 0, 0
		pulled = append(pulled, sums)
	}
	require.Equal(t, pulled[0], pulled[1])
	require.Equal(t, storagetest.Requests{Create: 2, Open: pulled[0].Open, List: pulled[0].List}, pulled[0], "the file and the commit")
	require.LessOrEqual(t, pulled[0].Open, 3, "the hint twice, the newest commit")
	require.LessOrEqual(t, pulled[0].List, 2)
}

// A first init creates what the table has, and reads nothing back but the commits
// for a checkpoint.
func TestRequestsOfAnInit(t *testing.T) {
	const versions = 200
	source, backups := storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, versions-1)
	push(t, source, backups)
	_, err := replicator(t, newTable(t, source), backups, nil).Base(t.Context())
	require.NoError(t, err)
	for history, objects := range map[remote.History]int{remote.HistoryFull: 2 * versions, remote.HistoryLive: live + 2} {
		replica, counter := storagetest.Count(storage.NewMemory())
		_, err = replicator(t, newTable(t, replica), backups, &remote.Options{History: history}).Init(t.Context())
		require.NoError(t, err)
		got := counter.Requests()
		const own = 5 // two probes, the marker, its end, a checkpoint
		require.LessOrEqual(t, got.Create, objects+own, history)
		require.LessOrEqual(t, got.Open, max(0, objects/2-live)+10, history)
		require.LessOrEqual(t, got.List, 8, "%v: not one for each file", history)
	}
}

// The same for a pull that leaves versions out.
func TestJumpResumesAfterAnyFault(t *testing.T) {
	source, backups := storage.NewMemory(), storage.NewMemory()
	churn(t, source, 0, 3)
	push(t, source, backups)
	begun := storage.NewMemory()
	_, err := replicator(t, newTable(t, begun), backups, nil).Init(t.Context())
	require.NoError(t, err)
	churn(t, source, 4, 13)
	cleaned(t, source, 12)
	push(t, source, backups)
	opts := &remote.Options{AcrossGap: true}
	for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultAfter, storagetest.FaultMiddle} {
		for n := 1; ; n++ {
			held := storage.NewMemory()
			for key, content := range contents(t, begun) {
				put(t, held, key, content)
			}
			faulty, faults := storagetest.Fault(held, storagetest.FaultPlan{Kind: kind, N: n, Err: errors.New("stopped here")})
			_, err := replicator(t, newTable(t, faulty), backups, opts).Pull(t.Context())
			requireReadable(t, held)
			if !faults.Reached() {
				require.NoError(t, err)
				require.Greater(t, n, 15)
				break
			}
			_, err = replicator(t, newTable(t, held), backups, opts).Pull(t.Context())
			require.NoError(t, err, "%s operation %d", kind, n)
			require.Equal(t, deltalog.Version(13), requireWhole(t, held))
		}
	}
}

// requireReadable asserts that an engine, which begins at the newest checkpoint,
// finds all that it needs.
func requireReadable(t testing.TB, store storage.Store) {
	t.Helper()
	table := newTable(t, store)
	tip, err := table.Tip(t.Context())
	if errors.Is(err, deltalog.ErrUnsupported) { // the checkpoint is there, its commit not yet
		tip, err = 12, nil
	}
	require.NoError(t, err)
	state, err := table.Snapshot(t.Context(), tip, nil)
	require.NoError(t, err)
	files := 0
	for path, err := range state.LiveFiles() {
		require.NoError(t, err)
		require.NotEmpty(t, contentAt(t, store, path))
		files++
	}
	require.Equal(t, live, files)
	require.NoError(t, state.Close())
}

func TestServiceThatIgnoresTheCondition(t *testing.T) {
	held := storage.NewMemory()
	table := newTable(t, overwriting{held})
	require.ErrorIs(t, table.SetMarker(t.Context(), []byte("note")), storage.ErrUnsafe)
	for key := range contents(t, held) {
		require.Equal(t, ".sluice/probe", key)
	}
}

// overwriting is a store that ignores create-if-absent.
type overwriting struct{ storage.Store }

func (o overwriting) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := o.Store.(storage.Deleter).Delete(ctx, key); err != nil {
		return err
	}
	return o.Store.Create(ctx, key, r, size)
}

// A path that is fine in a folder and no key is refused before anything is there.
func TestPathThatIsNoKey(t *testing.T) {
	source, err := deltalog.OpenDir(t.TempDir())
	require.NoError(t, err)
	for _, path := range []string{strings.Repeat("long/", 220) + "a", "p=../a", "p=__0x41__/a"} {
		f, err := source.Stage(t.Context(), path, strings.NewReader(""))
		require.NoError(t, err, "a folder can")
		store := storage.NewMemory()
		table := newTable(t, store)
		_, err = table.Stage(t.Context(), path, strings.NewReader(""))
		require.ErrorIs(t, err, deltalog.ErrUnsupported, path)
		c := staged(t, table, 0, oneFile(0))
		c.Files = append(c.Files, deltalog.Staged{Path: path, SHA256: f.SHA256})
		_, err = apply(t, table, c)
		require.ErrorIs(t, err, deltalog.ErrUnsupported, path)
		require.Empty(t, contents(t, store))
	}
	require.NoError(t, source.Discard(t.Context()))
}
