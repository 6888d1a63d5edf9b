package remote_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// extended is a store with whatever a later writer of format 1 may add
// (bundle/FORMAT.md, section 6): fields of objects, and keys.
func extended(t *testing.T, source *pond) storage.Store {
	t.Helper()
	store := storage.NewMemory()
	source.pushSingly(store)
	consolidate(t, store)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "kept", 1))
	for key := range objects(t, store) {
		if strings.HasSuffix(key, ".json") {
			spoil(t, store, key, func(b []byte) []byte {
				return resealed(bytes.Replace(b, []byte("{"), []byte(`{"new_field":{"x":[1,null]},`), 1))
			})
		}
	}
	for _, key := range []string{"new.json", "backups/new-000001.json", "backups/version-000001/new.tar.zst", "backups/version-000002/part-new.tar.zst", "backups/version-1/bundle.tar.zst"} {
		require.NoError(t, store.Create(t.Context(), key, strings.NewReader("new"), -1))
	}
	return store
}

func TestWhatMayBeAddedIsIgnored(t *testing.T) {
	source := newPond(t)
	source.churn(6, 3, 100)
	store := extended(t, source)
	requireSame(t, source.dir, restored(t, store))
	source.churn(2, 3, 100)
	require.Equal(t, 2, source.mustPush(store).Versions)
	requireSame(t, source.dir, restored(t, store))
	require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)
	prune(t, store, remote.PruneOptions{Delete: true, Grace: -1})
	require.Len(t, keysWith(t, store, "new"), 4, "what is not known is left alone")
	requireSame(t, source.dir, restored(t, store))
}

// A later format is no damage: it is told apart wherever it begins, and nothing is
// changed.
func TestLaterFormatIsRefused(t *testing.T) {
	source := newPond(t)
	source.churn(1, 3, 100)
	whole := storage.NewMemory()
	source.pushSingly(whole)
	behind := restored(t, whole)
	source.churn(3, 3, 100)
	source.pushSingly(whole)
	before := tree(t, behind)
	packed := storage.NewMemory()
	for key := range objects(t, whole) {
		copyObject(t, whole, packed, key)
	}
	consolidate(t, packed)
	number := func(b []byte) []byte {
		return resealed(regexp.MustCompile(`"format": ?1`).ReplaceAll(b, []byte(`"format":2`)))
	}
	marked := func(b []byte) []byte {
		return append([]byte("\x5f\x2a\x4d\x18\x10\x00\x00\x00sluice format 2\n"), b[:len(b)/2]...)
	}
	for name, c := range map[string]struct {
		of    storage.Store
		key   string
		spoil func([]byte) []byte
	}{
		"sluice.json": {whole, "sluice.json", number},
		"head":        {whole, "backups/head.json", number},
		"bundle":      {whole, "backups/version-000002/bundle.tar.zst", marked},
		"index":       {packed, "backups/index-000000-000003.json", number},
	} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMemory()
			for key := range objects(t, c.of) {
				copyObject(t, c.of, store, key)
			}
			spoil(t, store, c.key, c.spoil)
			_, err := replicator(t, t.TempDir(), store, nil).Init(t.Context())
			require.ErrorIs(t, err, remote.ErrUnsupported)
			require.NotErrorIs(t, err, remote.ErrCorrupt)
			require.ErrorContains(t, err, "format 2")
			require.ErrorContains(t, err, c.key)
			if name == "head" {
				_, err := replicator(t, behind, store, nil).Pull(t.Context())
				require.ErrorIs(t, err, remote.ErrUnsupported)
				require.Equal(t, before, tree(t, behind))
			}
		})
	}
}
