package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// memoryBound is what a process of the command sluice stays below.
const memoryBound = 128 << 20

// TestPeakMemory pushes and restores one commit with a file that is far larger
// than the bound on memory, and a backlog of many small ones, measured from outside.
func TestPeakMemory(t *testing.T) {
	large, small := filepath.Join(t.TempDir(), "pond"), filepath.Join(t.TempDir(), "pond")
	writeLarge(t, large, 512<<20)
	writeTable(t, small, 0, 1000, 64<<10)
	for name, p := range places(t) {
		if name != "file" && name != "s3" {
			continue
		}
		for kind, source := range map[string]string{"large": large, "small": small} {
			url := p.under(t, kind)
			for _, args := range [][]string{{"push", source, url}, {"init", filepath.Join(t.TempDir(), "replica"), url}} {
				peak := runPeak(t, command(t, p.env, args...))
				t.Logf("%s, %s: %s, peak %d MiB", name, kind, args[0], peak>>20)
				require.Less(t, peak, int64(memoryBound), "%s, %s: %s", name, kind, args[0])
			}
		}
	}
}

// writeLarge makes a table whose version 1 has one file of that many bytes.
func writeLarge(t *testing.T, table string, size int64) {
	t.Helper()
	commit(t, table, 0, 1)
	f, err := os.Create(filepath.Join(table, "big.parquet"))
	require.NoError(t, err)
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	text := fmt.Sprintf(`{"add":{"path":"big.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", size)
	require.NoError(t, os.WriteFile(filepath.Join(table, "_delta_log", "00000000000000000001.json"), []byte(text), 0o644))
}
