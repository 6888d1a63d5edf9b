package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchInputs: one member that does not shrink, many small ones, JSON.
func benchInputs() map[string]tree {
	large := tree{"large": randomBytes(32 << 20)}
	many := tree{}
	for i := range 1000 {
		many[fmt.Sprintf("file-%d", i)] = commitOf(int64(i))
	}
	var text bytes.Buffer
	for i := range 100000 {
		fmt.Fprintf(&text, `{"add":{"path":"part-%d.parquet","size":%d,"dataChange":true}}`+"\n", i, i*7919)
	}
	return map[string]tree{"random-32MiB": large, "small-1000": many, "json-7MiB": {"json": text.Bytes()}}
}

func benchManifest(files tree) (m Manifest, size int64) {
	var paths []string
	for path, b := range files {
		paths = append(paths, path)
		size += int64(len(b))
	}
	all := tree{}
	m = Manifest{Versions: []Version{version(all, 0, paths...)}}
	files[commitPath(0)] = all[commitPath(0)]
	return m, size
}

func BenchmarkEncode(b *testing.B) {
	for name, files := range benchInputs() {
		m, size := benchManifest(files)
		b.Run(name, func(b *testing.B) {
			c := newCodec(b, Limits{})
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				_, err := c.Encode(b.Context(), io.Discard, m, files.open)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, files := range benchInputs() {
		m, size := benchManifest(files)
		b.Run(name, func(b *testing.B) {
			raw, _ := encode(b, m, files)
			c := newCodec(b, Limits{})
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				_, err := c.Decode(b.Context(), onlyReader{bytes.NewReader(raw)}, func(_ context.Context, _ Member, r io.Reader) error {
					_, err := io.Copy(io.Discard, r)
					return err
				})
				require.NoError(b, err)
			}
		})
	}
}
