package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
)

// memoryBound is what a process of the command sluice stays below.
const memoryBound = 128 << 20

// TestPeakMemory pushes and restores one commit with a file that is far larger
// than the bound on memory, a backlog of many small ones, a table without its history
// whose state is as large as the bound, a commit of as many files as a manifest lists, and one
// of far more, measured from outside.
func TestPeakMemory(t *testing.T) {
	large, small, old := filepath.Join(t.TempDir(), "pond"), filepath.Join(t.TempDir(), "pond"), filepath.Join(t.TempDir(), "pond")
	listed, many := filepath.Join(t.TempDir(), "pond"), filepath.Join(t.TempDir(), "pond")
	writeLarge(t, large, 512<<20)
	writeTable(t, small, 0, 1000, 64<<10)
	writeOld(t, old, 45_000)
	writeMany(t, listed, 39_999)
	writeMany(t, many, 150_000)
	for name, p := range places(t) {
		if name != "file" && name != "s3" {
			continue
		}
		for kind, source := range map[string]string{"large": large, "small": small, "old": old, "listed": listed, "many": many} {
			url := p.under(t, kind)
			for _, args := range [][]string{{"push", source, url}, {"init", "--durability", "relaxed", filepath.Join(t.TempDir(), "replica"), url}} {
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

// writeOld makes a table whose log begins at version 1, at which so many files are live,
// each with 2,800 bytes of statistics.
func writeOld(t *testing.T, table string, files int) {
	t.Helper()
	writeFiles(t, table, files, 1350)
	log := filepath.Join(table, "_delta_log")
	dir, err := deltalog.OpenDir(table)
	require.NoError(t, err)
	state, err := dir.Snapshot(t.Context(), 1, nil)
	require.NoError(t, err)
	f, err := os.Create(filepath.Join(log, "00000000000000000001.checkpoint.parquet"))
	require.NoError(t, err)
	_, err = state.WriteCheckpoint(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, state.Close())
	require.NoError(t, os.Remove(filepath.Join(log, "00000000000000000000.json")))
}

// writeMany makes a table whose version 1 has so many files, with short statistics.
func writeMany(t *testing.T, table string, files int) {
	t.Helper()
	writeFiles(t, table, files, 50)
	commit(t, table, 2, 1)
}

// writeFiles makes a table whose version 1 has so many files, each with twice stats bytes of
// statistics and some more.
func writeFiles(t *testing.T, table string, files, stats int) {
	t.Helper()
	commit(t, table, 0, 1)
	var text bytes.Buffer
	for i := range files {
		name := fmt.Sprintf("part-%03d/%05d-%x-c000.snappy.parquet", i/1000, i, noise(10+i%10))
		if i%1000 == 0 {
			require.NoError(t, os.Mkdir(filepath.Join(table, filepath.Dir(name)), 0o755))
		}
		require.NoError(t, os.WriteFile(filepath.Join(table, name), []byte(name), 0o644))
		fmt.Fprintf(&text, `{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":1,\"nullCount\":{\"%d-%x\":0}}"}}`+"\n",
			name, len(name), i, noise(stats))
	}
	require.NoError(t, os.WriteFile(filepath.Join(table, "_delta_log", "00000000000000000001.json"), text.Bytes(), 0o644))
}
