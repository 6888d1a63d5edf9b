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

// TestPeakMemory pushes and restores one commit with a file that is far larger
// than the bound on memory, measured from outside.
func TestPeakMemory(t *testing.T) {
	const fileSize, bound = 512 << 20, 128 << 20
	source := filepath.Join(t.TempDir(), "pond")
	commit(t, source, 0, 1)
	f, err := os.Create(filepath.Join(source, "big.parquet"))
	require.NoError(t, err)
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), fileSize)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	text := fmt.Sprintf(`{"add":{"path":"big.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", fileSize)
	require.NoError(t, os.WriteFile(filepath.Join(source, "_delta_log", "00000000000000000001.json"), []byte(text), 0o644))

	for name, p := range places(t) {
		if name != "file" && name != "s3" {
			continue
		}
		for _, args := range [][]string{{"push", source, p.url}, {"init", filepath.Join(t.TempDir(), "replica"), p.url}} {
			peak := runPeak(t, command(t, p.env, args...))
			t.Logf("%s %s: peak %d MiB", name, args[0], peak>>20)
			require.Less(t, peak, int64(bound), "%s %s", name, args[0])
		}
	}
}
