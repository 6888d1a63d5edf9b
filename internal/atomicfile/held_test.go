package atomicfile_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/internal/atomicfile"
)

func write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
}

func read(t *testing.T, h *atomicfile.Held, name string) string {
	t.Helper()
	f, err := h.Open(name, 0)
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(b)
}

// TestHeld: what is read is what os.Root reads, which follows links inside the folder only.
func TestHeld(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links")
	}
	folder := filepath.Join(t.TempDir(), "folder")
	write(t, filepath.Join(folder, "a/b/f"), "inside")
	write(t, filepath.Join(folder, "../f"), "outside")
	for link, to := range map[string]string{"in": "a/b", "a/up": "../a/b/f", "out": "../f", "a/out": "../..", "abs": filepath.Join(folder, "a"), "loop": "loop"} {
		require.NoError(t, os.Symlink(to, filepath.Join(folder, link)))
	}
	h, err := atomicfile.Hold(folder)
	require.NoError(t, err)
	root := openRoot(t, folder)
	for _, name := range []string{"a/b/f", "in/f", "a/up", "a/b/../b/f", "a", "a/b/f/", "none", "none/f", "a/b/f/x", "out", "a/out/f", "abs/b/f", "loop", "../f", "/etc/passwd", ""} {
		want, werr := root.Stat(name)
		got, err := h.Stat(name)
		require.Equal(t, werr == nil, err == nil, name)
		size, ok := h.RegularSize(name)
		if ok {
			require.NoError(t, werr, name)
			require.True(t, want.Mode().IsRegular(), name)
			require.Equal(t, want.Size(), size, name)
			require.Equal(t, want.Size(), got.Size(), name)
		} else if runtime.GOOS == "linux" {
			require.False(t, werr == nil && want.Mode().IsRegular(), name)
		}
		wantFile, werr := root.Open(name)
		f, err := h.Open(name, 0)
		if werr != nil {
			require.EqualError(t, err, werr.Error(), name)
			continue
		}
		require.NoError(t, err, name)
		wantInfo, err := wantFile.Stat()
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		require.True(t, os.SameFile(wantInfo, info), name)
		require.NoError(t, f.Close())
		require.NoError(t, wantFile.Close())
	}
	names, err := h.ReadNames("a")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"b", "up", "out"}, names)
	require.NoError(t, h.Release())

	_, err = atomicfile.Hold(filepath.Join(folder, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = atomicfile.Hold(filepath.Join(folder, "a/b/f"))
	require.Error(t, err)
}

// TestHeldStays: with the folder as it was, until the last user releases it.
func TestHeldStays(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open folder keeps its name")
	}
	folder := filepath.Join(t.TempDir(), "folder")
	write(t, filepath.Join(folder, "f"), "old")
	h, err := atomicfile.Hold(folder)
	require.NoError(t, err)
	require.NoError(t, os.Rename(folder, folder+".old"))
	write(t, filepath.Join(folder, "f"), "new one")
	require.Equal(t, "old", read(t, h, "f"))

	var users sync.WaitGroup
	for range 8 {
		require.True(t, h.Borrow())
		users.Go(func() {
			for range 100 {
				size, ok := h.RegularSize("f")
				assert.True(t, !ok && runtime.GOOS != "linux" || size == 3)
				if assert.True(t, h.Borrow()) {
					assert.NoError(t, h.Release())
				}
			}
			assert.NoError(t, h.Release())
		})
	}
	f, err := h.Open("f", 0)
	require.NoError(t, err)
	require.NoError(t, h.Release())
	users.Wait()
	require.False(t, h.Borrow())
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "old", string(b), "files outlive it")
	require.NoError(t, f.Close())
}
