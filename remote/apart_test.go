package remote_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func TestNewRefusesAStoreWithinTheTable(t *testing.T) {
	dir := t.TempDir()
	table := openTable(t, filepath.Join(dir, "table"))
	for place, refused := range map[string]bool{"table": true, "table/backup": true, "table/deep/er": true, "table2": false, "backup": false, ".": false} {
		store, err := storage.OpenDir(filepath.Join(dir, place))
		require.NoError(t, err)
		_, err = remote.New(table, store, nil)
		_, merr := remote.NewMulti(table, []remote.Target{{Name: "x", Store: store}}, nil)
		if !refused {
			require.NoError(t, err, place)
			require.NoError(t, merr, place)
			continue
		}
		require.ErrorContains(t, err, "must not lie within the table", place)
		require.ErrorContains(t, merr, "must not lie within the table", place)
	}
}

func TestNewRefusesUnknownOptions(t *testing.T) {
	for name, opts := range map[string]remote.Options{
		"history": {History: 2}, "no history": {History: -1}, "durability": {Durability: 2}, "no durability": {Durability: -1},
	} {
		_, err := remote.New(nil, storage.NewMemory(), &opts)
		require.ErrorContains(t, err, "unknown History", name)
	}
}

// A relative path is the same place as the absolute one, and so it has the same name.
func TestConfigWithARelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	c, err := remote.ParseConfig([]byte("storage_type: local\npath: stores/a\nreplicas:\n- storage_type: local\n  path: " + dir + "/stores/a\n"))
	require.NoError(t, err)
	var all []remote.Target
	for _, c := range append(c.Replicas, c) {
		place, err := c.Storage()
		require.NoError(t, err)
		require.True(t, filepath.IsAbs(place.Bucket), place.Bucket)
		store, err := storage.OpenConfig(t.Context(), place)
		require.NoError(t, err)
		all = append(all, remote.Target{Name: place.String(), Store: store})
	}
	_, err = remote.NewMulti(openTable(t, filepath.Join(dir, "table")), all, nil)
	require.ErrorContains(t, err, "two stores are named")
}

func TestVerifyRefusesAStateWithoutData(t *testing.T) {
	store := storage.NewMemory()
	source := newPond(t)
	source.append("0")
	source.mustPush(store)
	state := filepath.Join(t.TempDir(), "state")
	_, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{State: state})
	require.ErrorContains(t, err, "State is for Data")
	require.NoFileExists(t, state)
}
