package remote

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestPieces(t *testing.T) {
	for _, size := range []int{0, 1, pieceSize - 1, pieceSize, pieceSize + 1, 3*pieceSize + 5} {
		want := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(want)
		for _, step := range []int{1 + size/7, pieceSize, 2*pieceSize + 3} {
			var p pieces
			for rest := want; len(rest) > 0; {
				n, err := p.Write(rest[:min(step, len(rest))])
				require.NoError(t, err)
				rest = rest[n:]
			}
			require.EqualValues(t, size, p.reader().Size())
			require.NoError(t, iotest.TestReader(p.reader(), want))
			require.LessOrEqual(t, len(p.list), size/pieceSize+1)
		}
	}
	var p pieces
	_, err := p.Write(bytes.Repeat([]byte{1}, pieceSize))
	require.NoError(t, err)
	_, err = p.ReadAt(make([]byte, 1), pieceSize)
	require.Error(t, err)
}
