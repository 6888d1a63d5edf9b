package remote_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Versions lists what can be restored, no more and no less.
func TestVersionsCanBeRestored(t *testing.T) {
	pin := func(t *testing.T, store storage.Store, name string, v deltalog.Version) {
		t.Helper()
		require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), name, v))
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, source *pond, store storage.Store)
		want []deltalog.Version
	}{
		"nothing was pushed": {func(*testing.T, *pond, storage.Store) {}, nil},
		"runs": {func(t *testing.T, source *pond, store storage.Store) {
			source.churn(4, 3, 100)
			source.mustPush(store)
			source.churn(2, 3, 100)
			source.mustPush(store)
		}, []deltalog.Version{0, 1, 2, 3, 4, 5}},
		"a floor, pins and packs": {func(t *testing.T, source *pond, store storage.Store) {
			source.churn(7, 3, 100)
			source.pushSingly(store)
			source.base(store)
			source.churn(2, 3, 100)
			source.pushSingly(store)
			require.NotZero(t, consolidate(t, store).Packs)
			pin(t, store, "audit", 2)
			pin(t, store, "again", 2)
			pin(t, store, "late", 4)
			pruneAll(t, store)
		}, []deltalog.Version{2, 4, 6, 7, 8}},
		"a floor, whose bundles are gone": {func(t *testing.T, source *pond, store storage.Store) {
			source.churn(7, 3, 100)
			source.pushSingly(store)
			source.base(store)
			source.churn(2, 3, 100)
			source.pushSingly(store)
			pruneAll(t, store)
		}, []deltalog.Version{6, 7, 8}},
		"a recorded gap": {func(t *testing.T, source *pond, store storage.Store) {
			source.overGap(store)
			source.mustPush(store)
			source.append("4")
			source.mustPush(store)
		}, []deltalog.Version{0, 1, 3, 4}},
		"an upload under way": {func(t *testing.T, source *pond, store storage.Store) {
			source.churn(5, 3, 100)
			source.pushSingly(store)
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/version-000003/bundle.tar.zst"))
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		}, []deltalog.Version{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			c.make(t, source, store)
			var got []deltalog.Version
			for v, err := range remote.Versions(t.Context(), store) {
				require.NoError(t, err)
				require.LessOrEqual(t, v.Bundle, v.Version)
				got = append(got, v.Version)
				_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Target: &v.Version}).Init(t.Context())
				require.NoError(t, err, "version %d", v.Version)
			}
			require.Equal(t, c.want, got)
		})
	}
}
