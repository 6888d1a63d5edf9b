//go:build unix

package storage_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func TestDirIgnoresWhatIsNoObject(t *testing.T) {
	folder, outside := t.TempDir(), t.TempDir()
	d := openDir(t, folder)
	require.NoError(t, create(t, d, "real/object", "x"))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o644))
	require.NoError(t, syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o644))
	for link, target := range map[string]string{
		"file-link": filepath.Join(folder, "real/object"), "inner-link": "real", "outer-link": outside, "real/dangling": "nowhere",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(folder, link)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "real", ".sluice-tmp-X"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "no\nkey"), nil, 0o644))

	require.Equal(t, []string{"real/object"}, keys(t, d, ""))
	require.Empty(t, keys(t, d, "inner-link/"))
	require.Empty(t, keys(t, d, "outer-link/"))
	for _, key := range []string{"file-link", "pipe", "inner-link/object", "outer-link/secret", "real/dangling"} {
		_, err := d.Open(t.Context(), key, 0, -1)
		require.ErrorIs(t, err, storage.ErrNotFound, key)
		require.NoError(t, d.Delete(t.Context(), key), key)
		err = create(t, d, key, "y")
		require.ErrorIs(t, err, storage.ErrInvalidKey, key)
	}
	require.ErrorIs(t, create(t, d, "real/.sluice-tmp-X", "x"), storage.ErrInvalidKey)
	require.FileExists(t, filepath.Join(outside, "secret"))
	require.Len(t, files(t, outside), 1)
}
