package storagetest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func testDelete(t *testing.T, s suite) {
	d, ok := s.store.(storage.Deleter)
	if !ok {
		t.Skip("the store is no Deleter")
	}
	s.create(t, "folder/a", []byte("a"))
	s.create(t, "folder/b", []byte("b"))
	require.NoError(t, d.Delete(t.Context(), "folder/a"))
	s.gone(t, "folder/a")
	s.holds(t, "folder/b", []byte("b"))
	for _, key := range []string{"folder/a", "never", "no/folder", "folder", "folder/b/below"} {
		require.NoError(t, d.Delete(t.Context(), key), "deleting the free key %q", key)
	}
	s.holds(t, "folder/b", []byte("b"))
	s.create(t, "folder/a", []byte("again"))
	s.holds(t, "folder/a", []byte("again"))
}

func (s suite) overwriter(t *testing.T) storage.Overwriter {
	t.Helper()
	o, ok := s.store.(storage.Overwriter)
	if !ok {
		t.Skip("the store is no Overwriter")
	}
	return o
}

func (s suite) put(t *testing.T, key string, b []byte, ifMatch string) string {
	t.Helper()
	tag, err := s.overwriter(t).Put(t.Context(), key, b, ifMatch)
	require.NoError(t, err, "put %q", key)
	return tag
}

func testReplace(t *testing.T, s suite) {
	o := s.overwriter(t)
	for _, b := range [][]byte{[]byte("first"), []byte("second, longer"), {}, []byte("3")} {
		put := s.put(t, "folder/head", b, "")
		got, tag, err := o.Get(t.Context(), "folder/head")
		require.NoError(t, err)
		require.Equal(t, string(b), string(got))
		require.Equal(t, put, tag, "Put and Get name the same content alike")
		s.holds(t, "folder/head", b)
	}
	require.Equal(t, []string{"folder/head"}, keysOf(s.list(t, "", "")))
	err := s.store.Create(t.Context(), "folder/head", bytes.NewReader(nil), 0)
	require.ErrorIs(t, err, storage.ErrExists, "Create never replaces what Put made")
	s.create(t, "folder/created", []byte("x"))
	s.put(t, "folder/created", []byte("y"), "")
	s.holds(t, "folder/created", []byte("y"))
}

func testCondition(t *testing.T, s suite) {
	o := s.overwriter(t)
	first := s.put(t, "head", []byte("first"), "")
	if first == "" {
		t.Skip("the store has no tags, so it ignores ifMatch")
	}
	second := s.put(t, "head", []byte("second"), first)
	require.NotEqual(t, first, second)
	_, err := o.Put(t.Context(), "head", []byte("late"), first)
	require.ErrorIs(t, err, storage.ErrChanged)
	s.holds(t, "head", []byte("second"))
	_, tag, err := o.Get(t.Context(), "head")
	require.NoError(t, err)
	s.put(t, "head", []byte("third"), tag)
	_, err = o.Put(t.Context(), "missing", []byte("x"), tag)
	require.ErrorIs(t, err, storage.ErrChanged, "what is not there was removed")
	s.gone(t, "missing")
}

func testGetNotFound(t *testing.T, s suite) {
	o := s.overwriter(t)
	s.create(t, "folder/object", []byte("x"))
	for _, key := range []string{"missing", "folder", "no/folder"} {
		_, _, err := o.Get(t.Context(), key)
		require.ErrorIs(t, err, storage.ErrNotFound, key)
	}
}

func testOverwriteSize(t *testing.T, s suite) {
	o := s.overwriter(t)
	most := content(storage.MaxSmall, 1)
	s.put(t, "most", most, "")
	got, _, err := o.Get(t.Context(), "most")
	require.NoError(t, err)
	require.True(t, bytes.Equal(most, got))
	s.create(t, "more", content(storage.MaxSmall+1, 1))
	_, _, err = o.Get(t.Context(), "more")
	require.Error(t, err, "Get bounds what it reads")
}

func testOverwriteKeys(t *testing.T, s suite) {
	o := s.overwriter(t)
	for name, key := range refusedKeys {
		_, err := o.Put(t.Context(), key, []byte("x"), "")
		require.ErrorIs(t, err, storage.ErrInvalidKey, "put: %s", name)
		_, _, err = o.Get(t.Context(), key)
		require.ErrorIs(t, err, storage.ErrInvalidKey, "get: %s", name)
	}
	require.Empty(t, s.list(t, "", ""))
}
