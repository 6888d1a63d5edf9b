package deltalog

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchLog is a table of n commits, each of one file, as small tables have them.
func benchLog(n int) map[string]string {
	commits := make([]string, n)
	for v := range commits {
		stats := strings.ReplaceAll(fmt.Sprintf(`{"numRecords":100,"minValues":{"id":%d,"name":"a%d"},"maxValues":{"id":%d,"name":"z%d"},"nullCount":{"id":0,"name":0}}`, v, v, v+99, v), `"`, `\"`)
		commits[v] = fmt.Sprintf(`{"commitInfo":{"timestamp":%d,"operation":"WRITE","operationParameters":{"mode":"Append"},"engineInfo":"bench"}}
{"add":{"path":"p=%d/part-00000-3a0e4727-de0d-41b6-81ef-%012d-c000.snappy.parquet","partitionValues":{"p":"%d"},"size":4096,"modificationTime":1587968586000,"dataChange":true,"stats":"%s"}}
`, v, v%10, v, v%10, stats)
	}
	commits[0] = begin + commits[0]
	return logFrom(commits...)
}

func BenchmarkReadSnapshot(b *testing.B) {
	const n = 5000
	d := newDir(b, benchLog(n))
	b.ReportAllocs()
	for b.Loop() {
		s, err := d.Snapshot(b.Context(), n-1, nil)
		require.NoError(b, err)
		require.NoError(b, s.Close())
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func BenchmarkWriteCheckpoint(b *testing.B) {
	const n = 5000
	s := snapshotOf(b, newDir(b, benchLog(n)), n-1)
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.WriteCheckpoint(io.Discard)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
