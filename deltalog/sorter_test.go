package deltalog

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sortKey is the key of a record of which the highest order wins.
func sortKey(name string, order uint64) []byte {
	key := binary.BigEndian.AppendUint64(appendKey(nil, name), 0)
	return binary.BigEndian.AppendUint64(key, ^order)
}

func TestSorter(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int64
		runs  bool
	}{
		{"in memory", 64 << 20, false},
		{"some runs", 64 << 10, true},
		{"a run for every few records", 300, true},
		{"a run for every record", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := &sorter{limit: c.limit, dir: dir}
			random := rand.New(rand.NewPCG(1, 2))
			want := map[string]string{}
			for order := range uint64(3000) {
				name := fmt.Sprintf("%c%d", "\x00\x01a\xff"[random.IntN(4)], random.IntN(1000))
				want[name] = fmt.Sprint(order)
				require.NoError(t, s.add(sortKey(name, order), []byte(name+"="+want[name])))
			}
			s.settle()
			assert.Equal(t, c.runs, len(s.runs) > 0)
			for range 2 { // it can be walked again
				var names []string
				for r, err := range s.all() {
					require.NoError(t, err)
					name, order, _ := strings.Cut(string(r.value), "=")
					assert.Equal(t, want[name], order)
					names = append(names, name)
				}
				assert.Len(t, names, len(want))
				assert.True(t, slices.IsSorted(names))
			}
			require.NoError(t, s.close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

func TestSorterFails(t *testing.T) {
	s := &sorter{limit: 1, dir: t.TempDir() + "/absent"}
	require.ErrorIs(t, s.add(sortKey("a", 1), nil), os.ErrNotExist)
	require.NoError(t, s.close())

	s = &sorter{limit: 1, dir: t.TempDir()}
	require.NoError(t, s.add(sortKey("a", 1), []byte("value")))
	require.NoError(t, s.file.Truncate(3))
	s.settle()
	_, err := gather(s.all())
	require.Error(t, err)
	require.NoError(t, s.close())
}
