package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// cleanUp does what an engine's metadata cleanup does: a checkpoint of version
// v, and no log below it.
func (p *pond) cleanUp(v deltalog.Version) {
	p.t.Helper()
	state, err := openTable(p.t, p.dir).Snapshot(p.t.Context(), v, nil)
	require.NoError(p.t, err)
	f, err := os.Create(filepath.Join(p.dir, deltalog.LogDir, v.String()+".checkpoint.parquet"))
	require.NoError(p.t, err)
	_, err = state.WriteCheckpoint(f)
	require.NoError(p.t, err)
	require.NoError(p.t, f.Close())
	require.NoError(p.t, state.Close())
	p.dropBelow(v)
}

// dropBelow removes the commits below v.
func (p *pond) dropBelow(v deltalog.Version) {
	p.t.Helper()
	for old := range v {
		err := os.Remove(filepath.Join(p.dir, old.CommitPath()))
		if !os.IsNotExist(err) {
			require.NoError(p.t, err)
		}
	}
}

func requireSpan(t *testing.T, dir string, start, tip deltalog.Version) {
	t.Helper()
	table := openTable(t, dir)
	gotStart, err := table.Start(t.Context())
	require.NoError(t, err)
	gotTip, err := table.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, []deltalog.Version{start, tip}, []deltalog.Version{gotStart, gotTip})
}

// The first push of a table whose log begins at a checkpoint.
func TestH01PushOfAnOldTable(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(12, 4, 500)
	source.cleanUp(7)
	report := source.mustPush(store)
	require.Equal(t, 5, report.Versions)
	require.Equal(t, deltalog.Version(7), *report.Base)

	for name, history := range map[string]remote.History{"full": remote.HistoryFull, "live": remote.HistoryLive} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "replica")
			r := replicator(t, dir, store, &remote.Options{History: history})
			_, err := r.Init(t.Context())
			require.NoError(t, err)
			requireSpan(t, dir, 7, 11)
			for v := deltalog.Version(7); v < 12; v++ {
				assert.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
			}
		})
	}
	dir, _ := initLive(t, store, remote.Options{})
	source.churn(3, 4, 500)
	require.Equal(t, 3, source.mustPush(store).Versions)
	_, err := replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSpan(t, dir, 7, 14)
	require.Equal(t, liveFiles(t, source.dir, 14), liveFiles(t, dir, 14))
}

// Log cleanup took commits that were not pushed yet.
func TestH01PushOverAHole(t *testing.T) {
	for name, c := range map[string]struct{ cleaned, first deltalog.Version }{
		"some versions are missing":              {10, 10},
		"none is, but the commit before is gone": {5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(5, 3, 500)
			source.mustPush(store)
			replica := restored(t, store)
			before := tree(t, replica)
			source.churn(8, 3, 500)
			source.cleanUp(c.cleaned)
			report := source.mustPush(store)
			require.Equal(t, c.first, *report.Base)
			require.Equal(t, 0, source.mustPush(store).Versions, "a fresh process has nothing to do")
			requireStatus(t, source.dir, store, 12)

			_, err := replicator(t, replica, store, nil).Pull(t.Context())
			require.ErrorIs(t, err, remote.ErrGap)
			require.ErrorContains(t, err, "--across-gap")
			require.Equal(t, before, tree(t, replica), "nothing was touched")

			_, err = replicator(t, replica, store, &remote.Options{AcrossGap: true}).Pull(t.Context())
			require.NoError(t, err)
			requireSpan(t, replica, c.first, 12)
			require.Equal(t, liveFiles(t, source.dir, 12), liveFiles(t, replica, 12))

			full := restored(t, store)
			requireSpan(t, full, c.first, 12)
			require.Equal(t, liveFiles(t, source.dir, 12), liveFiles(t, full, 12))

			source.append("after")
			require.Equal(t, 1, source.mustPush(store).Versions)
			_, err = replicator(t, replica, store, nil).Pull(t.Context())
			require.NoError(t, err)
			requireSpan(t, replica, c.first, 13)
		})
	}
}

func requireStatus(t *testing.T, dir string, store storage.Reader, want deltalog.Version) {
	t.Helper()
	st, err := replicator(t, dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, *st.Store)
	require.False(t, st.Diverged)
	require.Zero(t, st.Ahead)
	require.Zero(t, st.Behind)
}

func TestVersionsBelowAGapCanBeRestored(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 500)
	source.mustPush(store)
	want := map[deltalog.Version]map[string]string{}
	for v := range deltalog.Version(5) {
		want[v] = liveFiles(t, source.dir, v)
	}
	source.churn(8, 3, 500)
	source.cleanUp(10)
	source.mustPush(store)
	for v := range deltalog.Version(5) {
		dir := filepath.Join(t.TempDir(), "replica")
		_, err := replicator(t, dir, store, &remote.Options{Target: &v}).Init(t.Context())
		require.NoError(t, err)
		require.Equal(t, want[v], liveFiles(t, dir, v))
	}
	target := deltalog.Version(7)
	_, err := replicator(t, t.TempDir(), store, &remote.Options{Target: &target}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "gap before version 10")
}

// P4: without the commit that the store has, nothing but the table's id says
// that it is the same table.
func TestAnotherTableDoesNotPushOverAHole(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 500)
	source.mustPush(store)
	before := objects(t, store)
	other := newPond(t)
	for range 12 {
		other.append("other")
	}
	other.cleanUp(9)
	_, err := other.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.Equal(t, before, objects(t, store))
}

// A push that died after the base and before its bundle is carried on.
func TestPushOverAHoleIsCarriedOn(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(12, 4, 500)
	source.cleanUp(7)
	source.mustPush(store)
	for v := range deltalog.Version(5) {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), fmt.Sprintf("backups/version-%06d/bundle.tar.zst", 7+v)))
	}
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	_, err := replicator(t, t.TempDir(), store, nil).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrEmptyStore, "a base alone is no history")

	require.Equal(t, 5, source.mustPush(store).Versions)
	dir := restored(t, store)
	requireSpan(t, dir, 7, 11)
	require.Equal(t, liveFiles(t, source.dir, 11), liveFiles(t, dir, 11))
}

// A replica with a commit of its own is not of the history, and loses nothing by
// being told of a gap first.
func TestForkBeforeAGap(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 500)
	source.mustPush(store)
	target := deltalog.Version(3)
	dir := filepath.Join(t.TempDir(), "fork")
	_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
	require.NoError(t, err)
	fork := &pond{t: t, dir: dir, next: 4}
	fork.append("its own")
	source.churn(8, 3, 500)
	source.cleanUp(10)
	source.mustPush(store)

	before := tree(t, dir)
	for _, across := range []bool{false, true} {
		_, err = replicator(t, dir, store, &remote.Options{AcrossGap: across}).Pull(t.Context())
		require.ErrorIs(t, err, remote.ErrDiverged)
		require.Equal(t, before, tree(t, dir))
	}
}

// Memory and head may lag behind another pusher, and the log may have been
// cleaned up meanwhile: a gap is recorded only where the store has one.
func TestNoGapForWhoLagsBehind(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 500)
	lagging := replicator(t, source.dir, store, nil)
	_, err := lagging.Push(t.Context())
	require.NoError(t, err)
	source.churn(5, 3, 500)
	source.mustPush(noHead{store})
	source.cleanUp(8)
	before := objects(t, store)
	for _, r := range []*remote.Replicator{lagging, replicator(t, source.dir, store, nil)} {
		report, err := r.Push(t.Context())
		require.NoError(t, err)
		require.Zero(t, report.Versions)
		require.Nil(t, report.Base)
	}
	delete(before, "backups/head.json")
	after := objects(t, store)
	delete(after, "backups/head.json")
	require.Equal(t, before, after)
}

// Uploads that were cut off, and those that come late, leave bundles in what a
// gap counts as missing.
func TestBundlesInsideAGap(t *testing.T) {
	for name, stray := range map[string]deltalog.Version{"just below its end": 9, "at its beginning": 5} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(5, 3, 500)
			source.mustPush(store)
			source.churn(8, 3, 500)
			complete := storage.NewMemory()
			source.pushSingly(complete)
			source.cleanUp(10)
			source.mustPush(store)
			key := fmt.Sprintf("backups/version-%06d/bundle.tar.zst", stray)
			require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(read(t, complete, key)), -1))

			dir := restored(t, store)
			requireSpan(t, dir, 10, 12)
			require.Equal(t, liveFiles(t, source.dir, 12), liveFiles(t, dir, 12))
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
			source.append("after")
			require.Equal(t, 1, source.mustPush(store).Versions)
		})
	}
}

// Where the log does not go back to what the store has, nothing is safe and no
// base can be taken.
func TestLookingAtAHole(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 500)
	source.mustPush(store)
	source.churn(8, 3, 500)
	source.cleanUp(10)
	r := replicator(t, source.dir, store, nil)
	_, err := r.SafeVersion(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	_, err = r.Base(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	st, err := r.Status(t.Context())
	require.NoError(t, err)
	require.Nil(t, st.Safe)
	require.EqualValues(t, 3, st.Ahead)
	require.EqualValues(t, 5, st.Lost)
	require.False(t, st.Diverged)
}

// A replica that begins at a base above a lagging head is compared where both
// are.
func TestHeadBelowTheBeginningOfAReplica(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 500)
	source.mustPush(store)
	source.churn(4, 3, 500)
	source.mustPush(noHead{store})
	_, err := replicator(t, source.dir, noHead{store}, nil).Base(t.Context())
	require.NoError(t, err)
	dir, _ := initLive(t, store, remote.Options{})
	requireSpan(t, dir, 7, 7)
	report, err := replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions)

	source.churn(1, 3, 500)
	source.mustPush(noHead{store})
	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSpan(t, dir, 7, 8)

	fork := &pond{t: t, dir: dir, next: 8}
	fork.append("its own")
	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
}

// A first push that died before its first bundle may have begun the store at version
// 0, to which the log does not go back any more. A random simulation found it: seed
// 1795680849359348192.
func TestH01StoreBegunAtALostVersion(t *testing.T) {
	for name, first := range map[string]deltalog.Version{"zero": 0, "another": 3} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(12, 4, 500)
			if first > 0 {
				source.cleanUp(first)
			}
			_, err := source.push(noBundles{store})
			require.ErrorIs(t, err, remote.ErrDenied)
			require.Contains(t, objects(t, store), "sluice.json")
			source.cleanUp(7)
			st, err := replicator(t, source.dir, store, nil).Status(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, []int64{5, 7, 0}, []int64{st.Ahead, st.Lost, st.Behind})
			source.mustPush(store)
			for _, data := range bothDepths {
				v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
				require.NoError(t, v.Err())
				require.Equal(t, []string{"gap backups/version-000007/bundle.tar.zst"}, kinds(v))
				require.True(t, v.Table.Identical)
			}
			dir := restored(t, store)
			requireSpan(t, dir, 7, 11)
			require.Equal(t, liveFiles(t, source.dir, 11), liveFiles(t, dir, 11))
			dir, said, err := readElsewhere(t, store)
			require.NoError(t, err, said)
			require.Equal(t, "7 11", said)
			require.Equal(t, liveFiles(t, source.dir, 11), liveFiles(t, dir, 11))
		})
	}
}

// Where the bundle was lost with which the history begins, and those above it are there,
// a table that lacks that version, too, does not begin the history anew: who looks would
// not see what is missing.
func TestLostBeginningIsTold(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(8, 4, 500)
	source.pushSingly(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for _, key := range []string{"backups/version-000000/bundle.tar.zst", "backups/head.json"} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	}
	source.churn(4, 4, 500)
	whole := filepath.Join(t.TempDir(), "whole")
	require.NoError(t, os.CopyFS(whole, os.DirFS(source.dir)))
	source.cleanUp(10)
	before := objects(t, store)
	_, err = source.push(store)
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "backups/version-000000/bundle.tar.zst")
	require.Equal(t, before, objects(t, store))
	_, err = replicator(t, whole, store, nil).Push(t.Context()) // a table that has it mends the store
	require.NoError(t, err)
	requireSame(t, whole, restored(t, store))
}

// noBundles denies creating bundles and bases.
type noBundles struct{ storage.Store }

func (s noBundles) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if strings.HasSuffix(key, ".tar.zst") {
		return storage.ErrDenied
	}
	return s.Store.Create(ctx, key, r, size)
}
