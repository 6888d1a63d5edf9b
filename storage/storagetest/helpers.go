package storagetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// content returns size bytes that differ for each seed.
func content(size int, seed uint64) []byte {
	b := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, err := rand.NewChaCha8(key).Read(b)
	if err != nil {
		panic(err) // documented never to fail
	}
	return b
}

// plain hides all other methods of a reader, so that the store cannot seek.
type plain struct{ io.Reader }

func (s suite) create(t *testing.T, key string, b []byte) {
	t.Helper()
	require.NoError(t, s.store.Create(t.Context(), key, plain{bytes.NewReader(b)}, int64(len(b))), "create %q", key)
}

// read returns a range of an object.
func (s suite) read(t *testing.T, key string, off, n int64) []byte {
	t.Helper()
	r, err := s.store.Open(t.Context(), key, off, n)
	require.NoError(t, err, "open %q", key)
	b, err := io.ReadAll(r)
	require.NoError(t, err, "read %q", key)
	require.NoError(t, r.Close(), "close %q", key)
	return b
}

// holds fails the test unless the object is exactly b.
func (s suite) holds(t *testing.T, key string, b []byte) {
	t.Helper()
	got := s.read(t, key, 0, -1)
	// Not require.Equal: nobody wants to read the difference of two MiB.
	require.True(t, bytes.Equal(got, b), "object %q: got %d bytes, want these %d", key, len(got), len(b))
}

// gone fails the test unless the key is free, for Open as for List.
func (s suite) gone(t *testing.T, key string) {
	t.Helper()
	r, err := s.store.Open(t.Context(), key, 0, -1)
	if err == nil {
		b, rerr := io.ReadAll(r)
		t.Fatalf("object %q is visible: %d bytes, read error %v, close error %v", key, len(b), rerr, r.Close())
	}
	require.ErrorIs(t, err, storage.ErrNotFound)
	for _, info := range s.list(t, "", "") {
		require.NotEqual(t, key, info.Key, "listed")
	}
}

func (s suite) list(t *testing.T, prefix, after string) []storage.Info {
	t.Helper()
	var all []storage.Info
	for info, err := range s.store.List(t.Context(), prefix, after) {
		require.NoError(t, err, "list %q after %q", prefix, after)
		all = append(all, info)
	}
	return all
}

func keysOf(infos []storage.Info) []string {
	keys := []string{}
	for _, info := range infos {
		keys = append(keys, info.Key)
	}
	return keys
}

var errSource = errors.New("the source failed on purpose")

// failing yields b and then errSource instead of an end.
func failing(b []byte) io.Reader {
	return io.MultiReader(plain{bytes.NewReader(b)}, errReader{})
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errSource }

// refusedKeys break a rule of storage.CheckKey each.
var refusedKeys = map[string]string{
	"empty":             "",
	"leading slash":     "/a",
	"trailing slash":    "a/",
	"double slash":      "a//b",
	"dot":               "a/./b",
	"dot dot":           "a/../b",
	"leaves the store":  "../a",
	"ends in dot dot":   "a../b",
	"nul":               "a\x00b",
	"newline":           "a\nb",
	"delete character":  "a\x7fb",
	"backslash":         `a\b`,
	"not UTF-8":         "a\xffb",
	"escape of gocloud": "a__0x2f__b",
	"too long":          strings.Repeat("a", storage.MaxKey+1),
}
