package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// completing is a store that has read a bundle some time before it is there, and heeds the
// context meanwhile.
type completing struct {
	storage.Store
	takes time.Duration
}

func (s completing) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if !strings.HasSuffix(key, "/bundle.tar.zst") {
		return s.Store.Create(ctx, key, r, size)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Store.Create(ctx, key, bytes.NewReader(b), size)
}

// unreadable is a table with a file that can be looked at and not be read to its end.
type unreadable struct {
	*deltalog.Dir
	path string
}

func (u *unreadable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	f, n, err := u.Dir.OpenFile(ctx, path)
	if err == nil && path == u.path {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(f, 1000), broken{}), f}, n, nil
	}
	return f, n, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

// soft compresses to next to nothing.
func soft(seed, n int) string { return strings.Repeat(string([]byte{'a' + byte(seed), ','}), n/2) }

// TestBundleThatAlwaysFailsStarvesNone: what lies below it gets there, however long that takes.
func TestBundleThatAlwaysFailsStarvesNone(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int
		want  int // bundles
	}{
		"large": {[]int{17 << 20, 17 << 20, 17 << 20}, 2},
		"small": {[]int{4, 30 << 20, 5000}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			source := newPond(t)
			for i, size := range c.sizes {
				source.append(soft(i, size))
			}
			store := completing{storage.NewMemory(), 100 * time.Millisecond}
			r, err := remote.New(&unreadable{openTable(t, source.dir), "part-00002.parquet"}, store, nil)
			require.NoError(t, err)
			_, err = r.Push(t.Context())
			require.ErrorContains(t, err, "input/output error")
			require.Len(t, keysWith(t, store, "/bundle"), c.want)

			source.mustPush(store) // the disk is well again
			requireSame(t, source.dir, restored(t, store))
		})
	}
}
