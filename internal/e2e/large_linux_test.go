package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLargeCommit pushes one commit of several GiB, which goes into parts. The
// process is killed when some are there; another one goes on, and sends none of
// them again. Then the table is restored and verified. Memory is measured from outside.
func TestLargeCommit(t *testing.T) {
	gib, err := strconv.Atoi(os.Getenv("SLUICE_LARGE_GIB"))
	if err != nil || gib < 3 {
		t.Skip("NOT RUN: a commit of several GiB in parts: set SLUICE_LARGE_GIB to 3 or more; it takes three times that on disk")
	}
	const fileSize = 200 << 20
	dir := t.TempDir()
	source, store, replica := filepath.Join(dir, "pond"), filepath.Join(dir, "store"), filepath.Join(dir, "replica")
	commit(t, source, 0, 1)
	var text strings.Builder
	for i := range (gib<<30)/fileSize + 1 {
		name := fmt.Sprintf("big-%d.parquet", i)
		f, err := os.Create(filepath.Join(source, name))
		require.NoError(t, err)
		_, err = io.CopyN(f, rand.NewChaCha8([32]byte{byte(i)}), fileSize)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		fmt.Fprintf(&text, `{"add":{"path":"%s","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", name, fileSize)
	}
	require.NoError(t, os.WriteFile(filepath.Join(source, "_delta_log", "00000000000000000001.json"), []byte(text.String()), 0o644))

	killed := command(t, nil, "push", source, "file://"+store)
	require.NoError(t, killed.Start())
	require.Eventually(t, func() bool { return len(partFiles(t, store)) >= 2 }, 10*time.Minute, 10*time.Millisecond)
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	before := partFiles(t, store)

	for _, args := range [][]string{
		{"push", source, "file://" + store}, {"init", replica, "file://" + store}, {"verify", "--data", replica, "file://" + store},
	} {
		cmd := command(t, nil, args...)
		peak := runPeak(t, cmd)
		t.Logf("%s: peak %d MiB, CPU %v", args[0], peak>>20, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		assert.Less(t, peak, int64(memoryBound), args[0])
	}
	after := partFiles(t, store)
	require.Len(t, after, gib)
	for name, modified := range before {
		require.Equal(t, modified, after[name], "%s was sent again", name)
	}
}

// partFiles are the parts in a store by name, with when they were written.
func partFiles(t *testing.T, store string) map[string]time.Time {
	t.Helper()
	found := map[string]time.Time{}
	err := filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) || err == nil && !strings.HasPrefix(d.Name(), "part-") {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			found[path] = info.ModTime()
		}
		return err
	})
	require.NoError(t, err)
	return found
}
