package storage_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

func TestMemorySuite(t *testing.T) {
	storagetest.RunWith(t, &storagetest.Options{LargeSize: 2 << 20}, func(*testing.T) storage.Store { return storage.NewMemory() })
}

// TestMemoryPutRace: of many who replace the same content one wins, again and
// again, so that a counter kept this way loses no step.
func TestMemoryPutRace(t *testing.T) {
	o := storage.NewMemory().(storage.Overwriter)
	_, err := o.Put(t.Context(), "count", []byte("0"), "")
	require.NoError(t, err)
	step := func() error {
		b, tag, err := o.Get(t.Context(), "count")
		if err != nil {
			return err
		}
		var n int
		if _, err := fmt.Sscan(string(b), &n); err != nil {
			return err
		}
		_, err = o.Put(t.Context(), "count", []byte(fmt.Sprint(n+1)), tag)
		return err
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for done := 0; done < 50; {
				err := step()
				if err == nil {
					done++
				} else if !errors.Is(err, storage.ErrChanged) {
					t.Errorf("step: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b, _, err := o.Get(t.Context(), "count")
	require.NoError(t, err)
	require.Equal(t, "400", string(b))
}

// TestMemoryKeepsItsBytes: neither who put nor who got can change what is
// stored, and a stream shows one object though it is replaced meanwhile.
func TestMemoryKeepsItsBytes(t *testing.T) {
	s := storage.NewMemory()
	o := s.(storage.Overwriter)
	mine := []byte("first")
	_, err := o.Put(t.Context(), "k", mine, "")
	require.NoError(t, err)
	clear(mine)
	got, _, err := o.Get(t.Context(), "k")
	require.NoError(t, err)
	assert.Equal(t, "first", string(got))
	clear(got)

	r, err := s.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	_, err = o.Put(t.Context(), "k", []byte("other"), "")
	require.NoError(t, err)
	require.NoError(t, s.(storage.Deleter).Delete(t.Context(), "k"))
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "first", string(b))
	require.NoError(t, r.Close())
}

func TestClass(t *testing.T) {
	for name, c := range map[string]struct{ err, want error }{
		"none":       {nil, nil},
		"foreign":    {io.EOF, nil},
		"itself":     {storage.ErrNotFound, storage.ErrNotFound},
		"wrapped":    {fmt.Errorf("get k: %w: %w", storage.ErrDenied, io.EOF), storage.ErrDenied},
		"no class":   {storage.ErrInvalidConfig, nil},
		"last of it": {fmt.Errorf("x: %w", storage.ErrInvalidKey), storage.ErrInvalidKey},
	} {
		require.Equal(t, c.want, storage.Class(c.err), name)
	}
}
