//go:build unix

package deltalog

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPipe: a named pipe would block whoever opens it.
func TestPipe(t *testing.T) {
	d := newDir(t, map[string]string{"f": ""})
	require.NoError(t, syscall.Mkfifo(filepath.Join(d.folder, "pipe"), 0o644))
	_, _, err := d.OpenFile(t.Context(), "pipe")
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorIs(t, apply(t, d, 0, map[string]string{"pipe": "data"}), ErrConflict)
}
