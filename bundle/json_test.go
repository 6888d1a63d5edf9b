package bundle

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A manifest that is written file by file reads as encoding/json alone would write it.
func TestMarshalManifest(t *testing.T) {
	one := File{Path: `a"files":[]<&>é`, Kind: KindData, Size: 1, Place: &Place{Offset: 3, Length: 4, Skip: 5, Stored: true}}
	for name, m := range map[string]Manifest{
		"no version": {Format: 1},
		"no files":   {Format: 1, Versions: []Version{{Files: []File{}}}},
		"several": {
			Format:   1,
			Writer:   Writer{Program: `"files":[]`},
			Versions: []Version{{Files: []File{one, {Path: "b"}}}, {Version: 1, Files: []File{}}, {Version: 2, Files: []File{one}}},
			Parts:    []PartRef{{Name: "x", Size: 1}},
		},
		"texts that look like files": {Format: 1, Versions: []Version{
			{Operation: `"files":[]`, Files: []File{one}, Absent: []string{`"files":[]`}, Metadata: map[string]string{"files": "[]", `"files":[]`: `,"files":[]`}},
			{Files: []File{one}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := marshal(m)
			require.NoError(t, err)
			got, err := m.marshalLong()
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got))
		})
	}
}

// manyFiles is a manifest of so many files, with names as Spark gives them.
func manyFiles(n int) Manifest {
	files := make([]File, n)
	for i := range files {
		path := fmt.Sprintf("part-%05d-7c8f1f9e-0d3b-4a53-8a0e-%012d-c000.snappy.parquet", i, i)
		files[i] = File{Path: path, Kind: KindData, Size: int64(i), SHA256: Digest{1}, Place: &Place{Offset: int64(i) * 1e6, Length: 1e6, Skip: 512}}
	}
	return Manifest{Format: Format, Versions: []Version{{Commit: File{Path: commitPath(0), SHA256: Digest{1}}, Modified: modified, Files: files}}}
}

// A size that is claimed takes no memory.
func TestReadAllOfLess(t *testing.T) {
	a := &archive{raw: &counter{r: strings.NewReader(strings.Repeat("x", 5000))}, left: 1 << 40}
	var read []byte
	var err error
	grown := heapGrowth(func() { read, err = a.readAll() })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Len(t, read, 5000)
	assert.Less(t, grown, int64(4<<20))
}
