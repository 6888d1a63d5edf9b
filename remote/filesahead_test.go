package remote

import (
	"bytes"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestContentReader: whoever reads on after Close does not see what others read meanwhile.
func TestContentReader(t *testing.T) {
	r := &contentReader{bytes.NewBufferString("content")}
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "content", string(b))
	again := r.content
	require.NoError(t, r.Close())
	again.WriteString("of another file")
	n, err := r.Read(b)
	require.Zero(t, n)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, r.Close(), fs.ErrClosed, "its buffer is given back once")
}
