package remote_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func TestDrill(t *testing.T) {
	source := newPond(t)
	store, dir := folderStore(t)
	_, err := remote.Drill(t.Context(), store, nil, remote.DrillOptions{})
	require.ErrorIs(t, err, remote.ErrEmptyStore)
	source.churn(12, 3, 1000)
	source.pushSingly(store)
	parent := t.TempDir()
	for range 3 {
		done, err := remote.Drill(t.Context(), store, nil, remote.DrillOptions{Folder: parent})
		require.NoError(t, err)
		require.LessOrEqual(t, done.Version, deltalog.Version(11))
		require.Equal(t, done.Version, done.Restore.Last)
		require.EqualValues(t, 11-done.Version, done.Check.Table.Behind)
		require.EqualValues(t, done.Version+1, done.Check.Table.Commits)
		require.NotZero(t, done.Check.Table.Bytes)
	}
	last := deltalog.Version(11)
	done, err := remote.Drill(t.Context(), store, nil, remote.DrillOptions{Version: &last, Folder: parent})
	require.NoError(t, err)
	require.True(t, done.Check.Table.Identical)

	remove12("000003/bundle.tar.zst")(t, dir)
	_, err = remote.Drill(t.Context(), store, nil, remote.DrillOptions{Version: &last, Folder: parent})
	require.ErrorIs(t, err, remote.ErrGap)
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Every version of a store with gaps and a floor that is drawn can be restored.
func TestDrillDrawsWhatCanBeRestored(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.mustPush(store)
	source.churn(8, 3, 100)
	source.cleanUp(8)
	source.mustPush(store)
	drawn := map[deltalog.Version]bool{}
	for range 12 {
		done, err := remote.Drill(t.Context(), store, nil, remote.DrillOptions{Folder: t.TempDir()})
		require.NoError(t, err)
		drawn[done.Version] = true
	}
	for v := range drawn {
		require.True(t, v <= 2 || v >= 8, "version %d", v)
	}
}
