//go:build !race

package bundle

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// largeMember is the size in bytes of a member that is large beside the memory
// allowed.
const largeMember = 256 << 20

// Writing and reading a long manifest holds little beside the text. (The race detector lets
// pools forget, and more is held then.)
func TestMemoryOfLongManifests(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // it is about what is held, not about garbage
	m := manyFiles(50_000)
	var raw []byte
	grown := heapGrowth(func() {
		var err error
		raw, err = m.marshal()
		require.NoError(t, err)
	})
	t.Logf("%d KiB, heap grew by %d KiB", len(raw)>>10, grown>>10)
	assert.Less(t, grown, int64(2*len(raw)))

	a := &archive{raw: &counter{r: strings.NewReader(string(raw))}, left: int64(len(raw))}
	var read []byte
	grown = heapGrowth(func() {
		var err error
		read, err = a.readAll()
		require.NoError(t, err)
	})
	t.Logf("heap grew by %d KiB", grown>>10)
	assert.Less(t, grown, int64(3*len(raw)/2))
	assert.Equal(t, len(raw), len(read))
}
