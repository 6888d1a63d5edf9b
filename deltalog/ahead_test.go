package deltalog

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowLog answers for a commit only when several were asked for, as a log in a bucket might.
type slowLog struct {
	LogFiles
	lack   atomic.Int64
	enough chan struct{}
}

func (s *slowLog) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	if _, is := ParseCommitPath(path); !is {
		return s.LogFiles.Open(ctx, path)
	}
	if s.lack.Add(-1) == 0 {
		close(s.enough)
	}
	select {
	case <-s.enough:
		return s.LogFiles.Open(ctx, path)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The commits behind a checkpoint are read several at once; large ones at their turn.
func TestSnapshotReadsAhead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, LogDir), 0o755))
	const n = 30
	var want []string
	for v := range Version(n) {
		var b strings.Builder
		if v == 0 {
			b.WriteString(`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n")
			b.WriteString(`{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}` + "\n")
		}
		files := 1
		if v%7 == 3 {
			files = 1000 // more than is read ahead
		}
		for i := range files {
			path := fmt.Sprintf("%03d-%04d.parquet", v, i)
			want = append(want, path)
			fmt.Fprintf(&b, `{"add":{"path":"%s","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`+"\n", path)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, v.CommitPath()), []byte(b.String()), 0o644))
	}
	table, err := OpenDir(dir)
	require.NoError(t, err)
	log := &slowLog{LogFiles: dirLog{table}, enough: make(chan struct{})}
	log.lack.Store(commitsAhead)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	state, err := ReadSnapshot(ctx, log, n-1, nil)
	require.NoError(t, err)
	var got []string
	for path, err := range state.LiveFiles() {
		require.NoError(t, err)
		got = append(got, path)
	}
	require.Equal(t, want, got)
	require.NoError(t, state.Close())
}
