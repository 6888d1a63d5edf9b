package extsort

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func collect(t *testing.T, s *Sorter) (all []Record) {
	t.Helper()
	for r, err := range s.Sorted() {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

func TestSortedAndStable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, memory := range map[string]int64{"in memory": 1 << 30, "some runs": 20_000, "a run per record": 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := New(memory, dir)
			var want []Record
			for i := range 1000 {
				r := Record{fmt.Sprint(random.IntN(200)), []byte(strings.Repeat("v", random.IntN(50)) + fmt.Sprint(i))}
				want = append(want, r)
				require.NoError(t, s.Add(r.Key, r.Value))
			}
			slices.SortStableFunc(want, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
			assert.Equal(t, want, collect(t, s))
			assert.Equal(t, want, collect(t, s), "a second time")
			assert.Equal(t, memory > 1<<20, len(s.runs) == 0)
			require.NoError(t, s.Close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// TestBudget: what is held while runs are merged does not grow with their number.
func TestBudget(t *testing.T) {
	const memory = 256 << 10
	s := New(memory, t.TempDir())
	defer s.Close()
	before := heapInUse()
	for i := range 100_000 {
		require.NoError(t, s.Add(fmt.Sprintf("%08x", uint32(i)*2654435761), make([]byte, 100)))
	}
	runs := len(s.runs)
	require.Greater(t, runs, memory/leastBuffer, "more than can be merged at once")
	n, last := 0, ""
	for r, err := range s.Sorted() {
		require.NoError(t, err)
		require.Less(t, last, r.Key)
		last = r.Key
		if n++; n == 50_000 {
			require.Less(t, heapInUse()-before, int64(3*memory), "%d runs", runs)
		}
	}
	require.Equal(t, 100_000, n)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestEmpty(t *testing.T) {
	s := New(1, t.TempDir())
	assert.Empty(t, collect(t, s))
	require.NoError(t, s.Close())
}

func TestFaultsAreReported(t *testing.T) {
	s := New(1, t.TempDir()+"/missing")
	require.Error(t, s.Add("k", nil))

	s = New(1, t.TempDir())
	require.NoError(t, s.Add("a", []byte("value")))
	require.NoError(t, s.Add("b", []byte("value")))
	require.NoError(t, s.file.Truncate(3))
	var last error
	for _, err := range s.Sorted() {
		last = err
	}
	require.Error(t, last, "a run that lost its end")
	require.NoError(t, s.Close())
}
