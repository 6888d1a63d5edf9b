package storagetest_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

func TestCountedSuite(t *testing.T) {
	storagetest.RunWith(t, &storagetest.Options{LargeSize: 2 << 20}, func(*testing.T) storage.Store {
		s, _ := storagetest.Count(storage.NewMemory())
		return s
	})
}

func TestCount(t *testing.T) {
	s, c := storagetest.Count(storage.NewMemory())
	for i := range 2001 {
		require.NoError(t, s.Create(t.Context(), fmt.Sprintf("k%04d", i), strings.NewReader("four"), 4))
	}
	require.Equal(t, storagetest.Requests{Create: 2001, BytesWritten: 8004}, c.Reset())

	for range s.List(t.Context(), "", "") {
	}
	require.Equal(t, storagetest.Requests{List: 3}, c.Reset(), "2001 keys are three pages")
	for range s.List(t.Context(), "none", "") {
	}
	require.Equal(t, 1, c.Reset().List, "nothing is a page, too")
	n := 0
	for range s.List(t.Context(), "", "") {
		if n++; n == 1000 {
			break
		}
	}
	require.Equal(t, 1, c.Reset().List, "pages that nobody read are not asked for")

	r, err := s.Open(t.Context(), "k0000", 1, 2)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	o, d := s.(storage.Overwriter), s.(storage.Deleter)
	_, err = o.Put(t.Context(), "head", []byte("12345"), "")
	require.NoError(t, err)
	_, _, err = o.Get(t.Context(), "head")
	require.NoError(t, err)
	require.NoError(t, d.Delete(t.Context(), "head"))
	require.Equal(t, storagetest.Requests{Open: 1, Put: 1, Get: 1, Delete: 1, BytesRead: 7, BytesWritten: 5}, c.Requests())
}
