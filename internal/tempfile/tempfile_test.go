package tempfile

import (
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, "x-")
	require.NoError(t, err)
	there, err := os.ReadDir(dir)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Empty(t, there, "a process that is killed now leaves nothing")
	}
	_, err = f.WriteString("content")
	require.NoError(t, err)
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 7))
	require.NoError(t, err)
	require.Equal(t, "content", string(b))
	require.NoError(t, f.Close())
	there, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, there)
}

// Where an open file cannot be removed, as on Windows, Close does it.
func TestClosedFileIsRemoved(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "x-")
	require.NoError(t, err)
	kept := &File{f, true}
	require.NoError(t, kept.Close())
	require.NoFileExists(t, f.Name())
	_, err = Create("no such folder", "x-")
	require.Error(t, err)
}
