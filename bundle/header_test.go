package bundle

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tarHeader is how archive/tar is told of a member.
func tarHeader(path string, size int64, modified time.Time) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     path,
		Size:     size,
		Mode:     0o644,
		ModTime:  modified,
		Format:   tar.FormatPAX, // the one that has fractions of a second
	}
}

var headerTimes = []time.Time{
	modified, time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 999999999), time.Unix(-5, 0), time.Unix(1<<33-1, 0), time.Unix(1<<33, 500000000),
	time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
}

// Our headers are those of archive/tar, byte for byte.
func TestHeadersAreThoseOfTheStandardLibrary(t *testing.T) {
	paths := []string{
		"a", "größe=ß/日本語.parquet", "new\nline", strings.Repeat("n", 100), strings.Repeat("n", 101), strings.Repeat("d/", 50) + "f",
		strings.Repeat("d", 99) + "/" + strings.Repeat("f", 50), strings.Repeat("ü/", 40) + "f", strings.Repeat("d/", 43) + "file", strings.Repeat("é", 60),
	}
	for n := 80; n < 100; n++ {
		paths = append(paths, strings.Repeat("p", n)) // the length of a record counts itself
	}
	for _, path := range paths {
		for _, size := range []int64{0, 1, 512, 1<<33 - 1, 1 << 33, 1 << 40} {
			for _, when := range headerTimes {
				want := standardHeader(t, path, size, when)
				require.True(t, bytes.Equal(want, appendHeader(nil, path, size, when)), "%.200q, %d bytes, %v", path, size, when)
			}
		}
	}
}

// standardHeader leaves a long path to the extended header, as we do, where
// ustar could split it.
func standardHeader(t testing.TB, path string, size int64, when time.Time) []byte {
	t.Helper()
	hdr := tarHeader(path, size, when)
	if len(path) > nameField {
		hdr.PAXRecords = map[string]string{"path": path}
	}
	var b bytes.Buffer
	require.NoError(t, tar.NewWriter(&b).WriteHeader(hdr))
	return b.Bytes()
}

// Whatever the path, archive/tar reads back what was written.
func FuzzHeader(f *testing.F) {
	f.Add("a/b", int64(7), int64(0), int64(0))
	f.Add(strings.Repeat("d/", 49)+"ff", int64(1<<34), int64(-1), int64(5))
	f.Fuzz(func(t *testing.T, path string, size, seconds, nanos int64) {
		when := time.Unix(seconds%253402300799, nanos%1e9)
		if CheckPath(path) != nil || size < 0 || checkModified(when) != nil {
			t.Skip()
		}
		got, err := tar.NewReader(bytes.NewReader(appendHeader(nil, path, size, when))).Next()
		require.NoError(t, err)
		assert.Equal(t, path, got.Name)
		assert.Equal(t, size, got.Size)
		assert.True(t, when.Equal(got.ModTime), fmt.Sprintf("%v, want %v", got.ModTime, when))
	})
}

// FuzzReadHeader: what our reader takes is what archive/tar understands, and is
// written the same.
func FuzzReadHeader(f *testing.F) {
	for _, path := range []string{"a/b", strings.Repeat("d/", 60) + "f", "größe=ß/日本語.parquet"} {
		for _, when := range headerTimes {
			f.Add(appendHeader(nil, path, 1<<33, when))
			f.Add(standardHeader(f, path, 7, when))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, b := range [][]byte{raw, resummed(raw)} {
			a := newArchive(bytes.NewReader(b))
			got, err := a.next()
			if err != nil {
				assert.Zero(t, got)
				continue
			}
			want, err := tar.NewReader(bytes.NewReader(b)).Next()
			require.NoError(t, err)
			assert.Equal(t, header{want.Name, want.Size, want.ModTime.UTC()}, got)
			assert.Equal(t, byte(tar.TypeReg), want.Typeflag)
			assert.Equal(t, appendHeader(nil, got.path, got.size, got.modified), b[:a.raw.n])
		}
	})
}

// resummed gives each block the check sum that a header needs to be looked at.
func resummed(raw []byte) []byte {
	b := bytes.Clone(raw)
	for at := 0; at+blockSize <= len(b); at += blockSize {
		block := b[at:][:blockSize]
		copy(block[sumField:], "        ")
		sum := int64(0)
		for _, c := range block {
			sum += int64(c)
		}
		octal(block[sumField:][:idLength-1], sum)
	}
	return b
}

func TestOwnHeadersAreRead(t *testing.T) {
	for _, path := range []string{"a", "größe=ß/日本語.parquet", strings.Repeat("d/", 60) + "f"} {
		for _, size := range []int64{0, 7, 1 << 40} {
			for _, when := range headerTimes {
				got, err := newArchive(bytes.NewReader(appendHeader(nil, path, size, when))).next()
				require.NoError(t, err)
				require.Equal(t, header{path, size, when.UTC()}, got)
			}
		}
	}
}
