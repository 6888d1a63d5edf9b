package remote_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// What retention gave up nobody can push again: errors say so, and what is the oldest.
func TestHintsBelowTheFloor(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 100)
	source.pushSingly(store)
	behind := restored(t, store)
	source.churn(5, 3, 100)
	source.pushSingly(store)
	source.base(store) // of version 8
	source.churn(3, 3, 100)
	source.pushSingly(store)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 2))
	pruneAll(t, store)
	restore := func(opts *remote.Options) error {
		_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, opts).Init(t.Context())
		return err
	}
	old, pinned := deltalog.Version(5), deltalog.Version(2)
	_, drilled := remote.Drill(t.Context(), store, nil, remote.DrillOptions{Version: &old, Folder: t.TempDir()})
	for name, err := range map[string]error{
		"init": restore(&remote.Options{Target: &old}), "time": restore(&remote.Options{TargetTime: time.UnixMilli(1)}),
		"pin": storeOnly(t, store, nil).Pin(t.Context(), "late", old), "drill": drilled,
	} {
		require.ErrorIs(t, err, remote.ErrGap, name)
		require.ErrorContains(t, err, "the oldest is version 8, of 20", name)
		require.ErrorContains(t, err, "; retention (prune) gave up what was below (ask for that version, ", name)
	}
	require.NoError(t, restore(&remote.Options{Target: &pinned}))

	_, pulled := replicator(t, behind, store, nil).Pull(t.Context())
	_, carriedOn := replicator(t, behind, store, nil).Init(t.Context())
	for _, err := range []error{pulled, carriedOn} {
		require.ErrorIs(t, err, remote.ErrGap)
		require.ErrorContains(t, err, "what is below version 8 was pruned (what retention gave up cannot be had again; ")
	}
	_, err := replicator(t, behind, store, &remote.Options{AcrossGap: true}).Pull(t.Context()) // as the hint says
	require.NoError(t, err)

	newest := deltalog.Version(77)
	require.ErrorContains(t, restore(&remote.Options{Target: &newest}), "it was not pushed yet: version 77: the newest is 11 (")
}

func TestHintOfATimeBeforeTheFirstVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{TargetTime: time.UnixMilli(1)}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "no version is as old as 1970-01-01T00:00:00.001Z: the oldest is version 0, of 20")
	require.NotContains(t, err.Error(), "retention")
}

// The hint of a damaged bundle is the way to mend it.
func TestHintOfADamagedBundle(t *testing.T) {
	source := newPond(t)
	store, dir := folderStore(t)
	source.churn(5, 3, 100)
	source.pushSingly(store)
	bundle := filepath.Join(dir, "backups", "version-000002", "bundle.tar.zst")
	b, err := os.ReadFile(bundle)
	require.NoError(t, err)
	b[len(b)/3] ^= 1
	require.NoError(t, os.WriteFile(bundle, b, 0o600))
	_, err = replicator(t, filepath.Join(t.TempDir(), "replica"), store, nil).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "remove the object and backups/head.json and push again from a table that has its versions")
	require.NoError(t, os.Remove(bundle))
	require.NoError(t, os.Remove(filepath.Join(dir, "backups", "head.json")))
	source.mustPush(store)
	requireSame(t, source.dir, restored(t, store))
}

func TestHintsOfALostFile(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	source.append("1")
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00001.parquet")))
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "push with --allow-missing (Options.AllowMissing)")
}

func TestHintOfNoBucket(t *testing.T) {
	err := &remote.Error{Op: "push", Err: storage.ErrNoBucket}
	require.ErrorIs(t, err, remote.ErrNoBucket)
	require.Contains(t, err.Error(), "create the bucket")
}
