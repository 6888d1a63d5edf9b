package remote_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/disktest"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func lose(t *testing.T, store storage.Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		require.Contains(t, objects(t, store), key)
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	}
}

// requireBeyond makes sure that readers refuse to go over a loss, and with AcrossGap go on from
// version first.
func requireBeyond(t *testing.T, source *pond, store storage.Store, behind string, first deltalog.Version) {
	t.Helper()
	inside := filepath.Join(t.TempDir(), "inside")
	require.Error(t, initIn(t, inside, store, remote.Options{AcrossGap: true, Target: ptr(first - 1)}))
	for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		dir := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, dir, store, remote.Options{AcrossGap: true, History: history}))
		start, err := openTable(t, dir).Start(t.Context())
		require.NoError(t, err)
		require.True(t, start == first || history == remote.HistoryLive && start > first, "it begins at %d", start)
		requireVersion(t, source, dir, source.next-1)
		require.NoError(t, os.RemoveAll(dir))
	}
	if behind != "" {
		require.Error(t, pullIn(t, behind, store, remote.Options{}), "nobody leaves out what is lost without being told to")
		require.NoError(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}))
		requireSpan(t, behind, first, source.next-1)
		requireVersion(t, source, behind, source.next-1)
	}
}

// halfPushed is a table with a replica at version 4 and a store that has 5 versions more.
func halfPushed(t *testing.T) (source *pond, store storage.Store, behind string) {
	source, store = newPond(t), storage.NewMemory()
	source.scatter(5, 2, 300)
	source.pushSingly(store)
	behind = filepath.Join(disktest.Folder(t), "replica")
	restoreInto(t, behind, store)
	source.scatter(5, 2, 300)
	source.pushSingly(store)
	return source, store, behind
}

// Bundles in the middle are lost. The next base takes what is live of them from the table, and
// readers may go on from it.
func TestLostBundles(t *testing.T) {
	for name, c := range map[string]struct {
		lost   []string
		base   bool // there is one from before the loss
		behind bool // so is the replica, too
	}{
		"two in the middle":               {[]string{bundleOf(5), bundleOf(6)}, false, true},
		"one to which a base refers":      {[]string{bundleOf(6)}, true, true},
		"the first of all":                {[]string{bundleOf(0)}, true, false},
		"one in the middle, and the head": {[]string{bundleOf(8), "backups/head.json"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			source, store, behind := halfPushed(t)
			if c.base {
				source.base(store)
			}
			head := read(t, store, "backups/head.json")
			lose(t, store, c.lost...)
			for _, o := range []remote.Options{{}, {History: remote.HistoryLive}} {
				require.ErrorIs(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, o), remote.ErrGap)
			}
			if c.lost[len(c.lost)-1] == "backups/head.json" {
				require.NoError(t, store.Create(t.Context(), "backups/head.json", bytes.NewReader(head), -1))
			}
			source.append("10")
			source.pushSingly(store)
			source.base(store)
			source.append("11")
			source.pushSingly(store)
			if !c.behind {
				behind = ""
			}
			requireBeyond(t, source, store, behind, 10)
		})
	}
}

// A version in the loss is told of as what it is, and not as one that was never pushed.
func TestInitIntoALoss(t *testing.T) {
	source, store, _ := halfPushed(t)
	lose(t, store, bundleOf(6))
	source.base(store) // 9
	err := initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{AcrossGap: true, Target: ptr(7)})
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "version 7 is lost, or lies below the base of version 9")
}

// There is no base above the loss.
func TestLostBundlesAndNoBase(t *testing.T) {
	source, store, behind := halfPushed(t)
	lose(t, store, bundleOf(6))
	before := tree(t, behind)
	require.ErrorIs(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{AcrossGap: true}), remote.ErrGap)
	require.ErrorIs(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}), remote.ErrGap)
	requireVersion(t, source, behind, 5)
	require.Subset(t, tree(t, behind), before)
}

// The base of a recorded gap is lost, and with it what it carries.
func TestLostBaseOfAGap(t *testing.T) {
	for name, c := range map[string]struct{ cleaned, first deltalog.Version }{
		"versions are missing, which it has": {7, 10},
		"none is, the next base will do":     {5, 9},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(5, 3, 300)
			source.mustPush(store)
			behind := filepath.Join(disktest.Folder(t), "replica")
			restoreInto(t, behind, store)
			source.churn(4, 3, 300)
			source.cleanUp(c.cleaned)
			source.pushSingly(store)
			source.churn(1, 3, 300)
			source.pushSingly(store)
			source.base(store)
			lose(t, store, baseOf(c.cleaned))
			require.Error(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{}))

			source.churn(1, 3, 300)
			source.pushSingly(store)
			source.base(store)
			requireBeyond(t, source, store, behind, c.first)
		})
	}
}
