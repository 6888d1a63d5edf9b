package remote

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestContentReader: whoever reads on after Close does not see what others read meanwhile,
// and what lies in a buffer that is used again is not taken for a file's content.
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

	a := filesAhead{large: 10, table: func(context.Context, string) (io.ReadCloser, int64, error) {
		return io.NopCloser(strings.NewReader("next")), 4, nil
	}}
	for range 10 { // the race detector lets a pool forget some
		contents.Put(bytes.NewBufferString("left"))
		read := a.read(t.Context(), "next.parquet")
		require.NoError(t, read.err)
		require.Equal(t, "next", read.content.String())
	}
}
