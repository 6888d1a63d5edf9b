package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// holed is a store that fails to create the bundle of a version once it has that of the next.
type holed struct {
	storage.Store
	v    deltalog.Version
	next chan struct{}
	once sync.Once
}

var errHoled = errors.New("no room for this one")

func (h *holed) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	switch key {
	case bundleOf(h.v):
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		<-h.next
		return errHoled
	case bundleOf(h.v + 1):
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		err = h.Store.Create(context.WithoutCancel(ctx), key, bytes.NewReader(b), size)
		h.once.Do(func() { close(h.next) })
		return err
	}
	return h.Store.Create(ctx, key, r, size)
}

// TestAboveAHoleIsNotAbsent: what the store has above a bundle that did not get there counts
// once that is there, also where the table has lost it since.
func TestAboveAHoleIsNotAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		size int  // of the file of the version that fails
		both bool // its file goes, too
	}{
		"a small one below": {size: 100},
		"a large one below": {size: 17 << 20, both: true},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.append(soft(1, 9<<20))
			source.append(soft(2, c.size))
			source.append(soft(3, 17<<20))
			_, err := replicator(t, source.dir, &holed{Store: store, v: 2, next: make(chan struct{})}, nil).Push(t.Context())
			require.ErrorIs(t, err, errHoled)
			require.Contains(t, objects(t, store), bundleOf(3))
			gone := []string{"part-00003.parquet"}
			if c.both {
				gone = append(gone, "part-00002.parquet")
			}
			for _, path := range gone {
				require.NoError(t, os.Remove(filepath.Join(source.dir, path)))
				source.commit(remove(path))
			}
			report := source.mustPush(store)
			require.Equal(t, len(gone)-1, report.Absent)

			dir := restored(t, store)
			got, err := os.ReadFile(filepath.Join(dir, "part-00003.parquet"))
			require.NoError(t, err, "the store has it")
			require.Equal(t, soft(3, 17<<20), string(got))
			require.FileExists(t, filepath.Join(dir, deltalog.Version(3+len(gone)).CommitPath()))
		})
	}
}
