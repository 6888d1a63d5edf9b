package remote_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// pondWithALoss pushes version 0, which is whole, and version 1, a file of which was gone before
// it was pushed.
func pondWithALoss(t *testing.T, store storage.Reader) *pond {
	t.Helper()
	source := newPond(t)
	source.append("0")
	source.mustPush(store)
	source.append("1")
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00001.parquet")))
	_, err := replicator(t, source.dir, store, &remote.Options{AllowMissing: true}).Push(t.Context())
	require.NoError(t, err)
	return source
}

// A version that nobody can read in full is a problem of whoever stands at it, and not of the
// store, which has all that it was given.
func TestVerifyOfAVersionThatNobodyCanRead(t *testing.T) {
	store := storage.NewMemory()
	source := pondWithALoss(t, store)
	replica := restored(t, store)
	for _, dir := range []string{source.dir, replica} {
		for _, data := range bothDepths {
			v := verify(t, dir, store, remote.VerifyOptions{Data: data})
			require.EqualValues(t, 1, v.Table.Absent)
			require.False(t, v.Table.Identical)
			require.Equal(t, 1, v.Problems(), v.Findings)
			require.Zero(t, v.StoreProblems())
			require.ErrorIs(t, v.Err(), remote.ErrCorrupt)
			require.NotErrorIs(t, v.Err(), remote.ErrGap)
			ofTable := 0
			for _, f := range v.Findings {
				if f.OfTable {
					ofTable++
					require.Equal(t, remote.FindingMissing, f.Kind)
					require.Equal(t, "part-00001.parquet", f.Path)
				}
			}
			require.Equal(t, 1, ofTable)
		}
	}
	v := verify(t, "", store, remote.VerifyOptions{Data: true})
	require.NoError(t, v.Err(), "the store is as it should be")

	source.commit(remove("part-00001.parquet")) // and now nobody needs it any more
	source.mustPush(store)
	v = verify(t, source.dir, store, remote.VerifyOptions{})
	require.NoError(t, v.Err())
	require.True(t, v.Table.Identical)
	require.Zero(t, v.Table.Absent)
	v = verify(t, replica, store, remote.VerifyOptions{})
	require.NoError(t, v.Err(), "it is at an older version, which is so at the source, too")
	require.EqualValues(t, 1, v.Table.Absent)
}

// The loss of a base counts like that of a bundle.
func TestVerifyOfAVersionWhoseBaseLacksAFile(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	source.append("1")
	source.append("2")
	source.cleanUp(2)
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00001.parquet")))
	_, err := replicator(t, source.dir, store, &remote.Options{AllowMissing: true}).Push(t.Context())
	require.NoError(t, err)
	v := verify(t, source.dir, store, remote.VerifyOptions{})
	require.EqualValues(t, 1, v.Table.Absent)
	require.ErrorIs(t, v.Err(), remote.ErrCorrupt)
	require.Zero(t, v.StoreProblems())
}

func TestDrillOfAVersionThatNobodyCanRead(t *testing.T) {
	store := storage.NewMemory()
	pondWithALoss(t, store)
	drill := func(v deltalog.Version) (remote.Drilled, error) {
		return remote.Drill(t.Context(), store, nil, remote.DrillOptions{Version: &v, Folder: t.TempDir()})
	}
	done, err := drill(0)
	require.NoError(t, err)
	require.Zero(t, done.Check.Table.Absent)
	done, err = drill(1)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.EqualValues(t, 1, done.Check.Table.Absent)
}

// What is wrong with a replica is neither a gap nor another history, and what is wrong with the
// store is told beside it.
func TestVerifyTellsWhoseFaultItIs(t *testing.T) {
	source := newPond(t)
	store, folder := folderStore(t)
	source.churn(6, 3, 1000)
	source.pushSingly(store)
	for name, spoil := range map[string]func(live string) error{
		"missing":   os.Remove,
		"different": func(live string) error { return os.WriteFile(live, []byte("short"), 0o600) },
	} {
		replica := restored(t, store)
		require.NoError(t, spoil(filepath.Join(replica, churnFile(5))))
		v := verify(t, replica, store, remote.VerifyOptions{})
		require.EqualError(t, v.Err(), remote.ErrCorrupt.Error()+": the table lacks or has changed 1 files", name)
		require.NotErrorIs(t, v.Err(), remote.ErrGap)
		require.NotErrorIs(t, v.Err(), remote.ErrDiverged)
		require.Zero(t, v.StoreProblems(), name)
	}
	replica := restored(t, store)
	require.NoError(t, os.Remove(filepath.Join(replica, churnFile(5))))
	remove12("000003/bundle.tar.zst")(t, folder)
	flip(t, filepath.Join(folder, "backups/version-000001/bundle.tar.zst"), 100)
	v := verify(t, replica, store, remote.VerifyOptions{Data: true})
	require.ErrorIs(t, v.Err(), remote.ErrCorrupt)
	require.ErrorIs(t, v.Err(), remote.ErrGap)
	require.NotErrorIs(t, v.Err(), remote.ErrDiverged)
	require.Positive(t, v.StoreProblems())
	require.Greater(t, v.Problems(), v.StoreProblems())
}

// A store is not empty that has lost what says whose it is.
func TestStoreThatLostItsIdentity(t *testing.T) {
	source := newPond(t)
	store, folder := folderStore(t)
	source.churn(4, 3, 100)
	source.pushSingly(store)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 1))
	for _, name := range []string{"sluice.json", "backups/head.json"} {
		require.NoError(t, os.Remove(filepath.Join(folder, name)))
	}
	before := objects(t, store)
	only, source0 := storeOnly(t, store, nil), replicator(t, source.dir, store, nil)
	calls := map[string]func() error{
		"verify": func() error { _, err := only.Verify(t.Context(), remote.VerifyOptions{}); return err },
		"drill": func() error {
			_, err := remote.Drill(t.Context(), store, nil, remote.DrillOptions{Folder: t.TempDir()})
			return err
		},
		"prune": func() error {
			_, err := only.Prune(t.Context(), remote.PruneOptions{KeepVersions: 1, Delete: true})
			return err
		},
		"consolidate": func() error { _, err := only.Consolidate(t.Context()); return err },
		"repair":      func() error { _, err := source0.Repair(t.Context(), true); return err },
		"pin":         func() error { return only.Pin(t.Context(), "other", 2) },
		"unpin":       func() error { return only.Unpin(t.Context(), "audit") },
		"pins": func() error {
			for _, err := range only.Pins(t.Context()) {
				return err
			}
			return nil
		},
		"versions": func() error {
			for _, err := range only.Versions(t.Context()) {
				return err
			}
			return nil
		},
		"push": func() error { _, err := source0.Push(t.Context()); return err },
		"init": func() error {
			_, err := replicator(t, filepath.Join(t.TempDir(), "new"), store, nil).Init(t.Context())
			return err
		},
	}
	for name, call := range calls {
		err := call()
		require.ErrorIs(t, err, remote.ErrCorrupt, name)
		require.NotErrorIs(t, err, remote.ErrEmptyStore, name)
		require.ErrorContains(t, err, "sluice.json: corrupt: it is missing, but there are bundles", name)
		require.ErrorContains(t, err, "(put the object back, ", name)
	}
	require.Equal(t, before, objects(t, store), "nothing was changed")
}

// A damaged one is put back as well, or from its head: nothing of it can be had otherwise.
func TestStoreWhoseIdentityIsDamaged(t *testing.T) {
	source := newPond(t)
	store, folder := folderStore(t)
	source.append("0")
	source.mustPush(store)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "sluice.json"), []byte("not json"), 0o600))
	_, pushed := source.push(store)
	_, verified := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{})
	for _, err := range []error{pushed, verified} {
		require.ErrorIs(t, err, remote.ErrCorrupt)
		require.ErrorContains(t, err, "(put the object back, ")
	}
}

func TestPinsOfAnEmptyStore(t *testing.T) {
	only := storeOnly(t, storage.NewMemory(), nil)
	for range only.Pins(t.Context()) {
		t.Fatal("there is none")
	}
	require.ErrorIs(t, only.Unpin(t.Context(), "audit"), remote.ErrEmptyStore)
}
