package storagetest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func testRoundTrip(t *testing.T, s suite) {
	for name, size := range map[string]int{"empty": 0, "one byte": 1, "small": 100, "a block": 64 << 10} {
		b := content(size, uint64(size))
		s.create(t, name+"/known", b)
		s.holds(t, name+"/known", b)
		require.NoError(t, s.store.Create(t.Context(), name+"/unknown", plain{bytes.NewReader(b)}, -1), name)
		s.holds(t, name+"/unknown", b)
	}
}

func testLarge(t *testing.T, s suite) {
	b := content(s.opts.LargeSize, 1)
	s.create(t, "known", b)
	s.holds(t, "known", b)
	require.NoError(t, s.store.Create(t.Context(), "unknown", plain{bytes.NewReader(b)}, -1))
	s.holds(t, "unknown", b)
	mid := int64(len(b) / 2)
	require.True(t, bytes.Equal(b[mid:mid+70000], s.read(t, "known", mid, 70000)), "range in the middle")
}

func testRanges(t *testing.T, s suite) {
	b := []byte("0123456789")
	s.create(t, "digits", b)
	s.create(t, "empty", nil)
	for name, c := range map[string]struct {
		key    string
		off, n int64
		want   string
	}{
		"all":                {"digits", 0, -1, "0123456789"},
		"all by length":      {"digits", 0, 10, "0123456789"},
		"head":               {"digits", 0, 3, "012"},
		"middle":             {"digits", 4, 2, "45"},
		"tail":               {"digits", 7, -1, "789"},
		"past the end":       {"digits", 7, 100, "789"},
		"last byte":          {"digits", 9, 1, "9"},
		"nothing":            {"digits", 3, 0, ""},
		"nothing at the end": {"digits", 10, 0, ""},
		"at the end":         {"digits", 10, 5, ""},
		"rest at the end":    {"digits", 10, -1, ""},
		"beyond":             {"digits", 11, 5, ""},
		"rest beyond":        {"digits", 1000, -1, ""},
		"of an empty object": {"empty", 0, 5, ""},
		"all of empty":       {"empty", 0, -1, ""},
		"beyond empty":       {"empty", 1, 1, ""},
	} {
		require.Equal(t, c.want, string(s.read(t, c.key, c.off, c.n)), name)
	}
	_, err := s.store.Open(t.Context(), "digits", -1, 5)
	require.Error(t, err, "negative offset")
}

func testNotFound(t *testing.T, s suite) {
	s.create(t, "folder/object", []byte("x"))
	for _, key := range []string{"missing", "folder", "folder/missing", "folder/object/below", "no/such/folder"} {
		for _, n := range []int64{-1, 0, 5} {
			_, err := s.store.Open(t.Context(), key, 0, n)
			require.ErrorIs(t, err, storage.ErrNotFound, "%q, %d bytes", key, n)
			_, err = s.store.Open(t.Context(), key, 7, n)
			require.ErrorIs(t, err, storage.ErrNotFound, "%q, %d bytes from 7", key, n)
		}
	}
}

func testReadCtx(t *testing.T, s suite) {
	s.create(t, "k", content(100, 1))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.store.Open(ctx, "k", 0, -1)
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, context.Canceled, "a stream ends with its context")
	// What Close says of a cancelled stream is no promise.
	_ = r.Close()
	_, err = s.store.Open(ctx, "k", 0, -1)
	require.ErrorIs(t, err, context.Canceled)
	past, done := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer done()
	_, err = s.store.Open(past, "k", 0, -1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, storage.ErrUnavailable, "the caller's own deadline is not the service's")
}

func testOddKeys(t *testing.T, s suite) {
	keys := []string{
		"part_id=a b%3A#?&x", "a+b", "ünïcode/日本語", "a=b/c=d", "~tilde", "(parens)[brackets]{braces}", "a'b\"c",
		"_delta_log/.tmp", ".hidden", "*", "a:b;c,d", "100%", "%41", "a..b", "trailing.", "&amp;<tag>", "$HOME", "`x`|!",
		" leading and trailing ", strings.Repeat("long/", 40) + strings.Repeat("x", 200),
	}
	for i, key := range keys {
		s.create(t, key, content(10, uint64(i)))
	}
	for i, key := range keys {
		s.holds(t, key, content(10, uint64(i)))
		require.Equal(t, []string{key}, keysOf(s.list(t, key, "")), "list by %q", key)
	}
	require.ElementsMatch(t, keys, keysOf(s.list(t, "", "")))
}

func testRefusedKeys(t *testing.T, s suite) {
	for name, key := range refusedKeys {
		err := s.store.Create(t.Context(), key, strings.NewReader("x"), 1)
		require.ErrorIs(t, err, storage.ErrInvalidKey, "create: %s", name)
		_, err = s.store.Open(t.Context(), key, 0, -1)
		require.ErrorIs(t, err, storage.ErrInvalidKey, "open: %s", name)
		if d, ok := s.store.(storage.Deleter); ok {
			require.ErrorIs(t, d.Delete(t.Context(), key), storage.ErrInvalidKey, "delete: %s", name)
		}
	}
	require.Empty(t, s.list(t, "", ""))
}
