package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tree is a table's files by path.
type tree map[string][]byte

func (t tree) open(_ context.Context, path string) (io.ReadCloser, int64, error) {
	b, ok := t[path]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// unpacked is what a Decode handed out.
type unpacked struct {
	members []Member
	files   tree
}

func (u *unpacked) put(_ context.Context, m Member, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(b)) != m.Size {
		return fmt.Errorf("%s: %d bytes, announced with %d", m.Path, len(b), m.Size)
	}
	if got := r.(interface{ SHA256() [sha256.Size]byte }).SHA256(); got != sha256.Sum256(b) {
		return fmt.Errorf("%s: sha256 %x of what was read", m.Path, got)
	}
	if u.files == nil {
		u.files = tree{}
	}
	u.members = append(u.members, m)
	u.files[m.Path] = b
	return nil
}

func newCodec(t testing.TB, limits Limits) *Codec {
	t.Helper()
	c, err := NewCodec(&Options{Limits: limits})
	require.NoError(t, err)
	return c
}

func encode(t testing.TB, m Manifest, files tree) ([]byte, Manifest) {
	t.Helper()
	var b bytes.Buffer
	done, err := newCodec(t, Limits{}).Encode(t.Context(), &b, m, files.open)
	require.NoError(t, err)
	return b.Bytes(), done
}

func decode(t testing.TB, b []byte) (Manifest, unpacked, error) {
	t.Helper()
	return decoding(t)(b)
}

// decoding is decode for thousands of calls, with one Codec.
func decoding(t testing.TB) func(b []byte) (Manifest, unpacked, error) {
	t.Helper()
	c := newCodec(t, Limits{})
	return func(b []byte) (Manifest, unpacked, error) {
		var u unpacked
		m, err := c.Decode(t.Context(), onlyReader{bytes.NewReader(b)}, u.put)
		return m, u, err
	}
}

// onlyReader hides what else a reader can do, as a network stream would.
type onlyReader struct{ io.Reader }

// modified is odd to the nanosecond, which only a pax header can say.
var modified = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)

func digestOf(b []byte) Digest { return sha256.Sum256(b) }

// version makes version v with the files of the given paths, whose content
// (and the commit's) it adds to files.
func version(files tree, v int64, paths ...string) Version {
	out := Version{
		Version:   v,
		Commit:    File{Path: commitPath(v)},
		Modified:  modified.Add(time.Duration(v) * time.Second),
		Timestamp: 1700000000000 + v,
		Operation: "WRITE",
	}
	if v > 0 {
		previous := digestOf(commitOf(v - 1))
		out.Previous = &previous
	}
	for i, path := range paths {
		out.Files = append(out.Files, File{Path: path, Kind: KindData})
		files[path] = bytes.Repeat([]byte{byte(i)}, i*37%2000)
	}
	files[commitPath(v)] = commitOf(v)
	return out
}

func commitOf(v int64) []byte {
	return fmt.Appendf(nil, `{"commitInfo":{"operation":"WRITE","n":%d}}`+"\n", v)
}

// small is a bundle of one version with two files.
func small(t testing.TB) ([]byte, Manifest) {
	files := tree{}
	m := Manifest{Writer: Writer{Program: "test"}, Versions: []Version{version(files, 0, "a.parquet", "x=1/b c.parquet")}}
	return encode(t, m, files)
}

// unplaced drops what depends on how a bundle was packed.
func unplaced(m Manifest) Manifest {
	m = m.clone()
	for i := range m.Versions {
		v := &m.Versions[i]
		v.Commit.Place = nil
		for j := range v.Files {
			v.Files[j].Place = nil
		}
	}
	return m
}
