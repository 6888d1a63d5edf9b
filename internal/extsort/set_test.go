package extsort

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func numbers(n int, last error) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range n {
			if !yield(fmt.Sprint("file ", 2*i), nil) {
				return
			}
		}
		if last != nil {
			yield("", last)
		}
	}
}

func TestSet(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 1000} {
		dir := t.TempDir()
		s, err := NewSet(20_000, dir, numbers(n, nil))
		require.NoError(t, err)
		for i := range 2*n + 2 {
			has, err := s.Has(fmt.Sprint("file ", i))
			require.NoError(t, err)
			assert.Equal(t, i%2 == 0 && i < 2*n, has, "%d of %d", i, n)
		}
		require.NoError(t, s.Close())
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, left)
	}
}

func TestSetFails(t *testing.T) {
	dir, errWalk := t.TempDir(), errors.New("walk")
	_, err := NewSet(100, dir, numbers(10, errWalk))
	require.ErrorIs(t, err, errWalk)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)

	s, err := NewSet(100, dir, numbers(10, nil))
	require.NoError(t, err)
	require.NoError(t, s.file.Truncate(0))
	_, err = s.Has("file 3")
	require.Error(t, err, "what was cut short is not what is not there")
	require.NoError(t, s.Close())
}
