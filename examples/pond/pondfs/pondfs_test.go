package pondfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
)

func newFS(t *testing.T) *FS {
	t.Helper()
	f, err := Open(filepath.Join(t.TempDir(), "data"))
	require.NoError(t, err)
	require.NoError(t, f.Create(t.Context(), Info{What: "init"}))
	return f
}

func put(t *testing.T, f *FS, path, content string) deltalog.Version {
	t.Helper()
	c, err := f.Stage(strings.NewReader(content))
	require.NoError(t, err)
	v, err := f.Commit(t.Context(), Info{What: "put " + path}, func(tx *Tx) error { return tx.Put(path, c) })
	require.NoError(t, err)
	return v
}

func read(t *testing.T, f *FS, v deltalog.Version, path string) string {
	t.Helper()
	view, err := f.At(t.Context(), v)
	require.NoError(t, err)
	r, err := view.Open(path)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(b)
}

var big = strings.Repeat("0123456789abcdef", inlineMax/8)

func TestVersionsOfFiles(t *testing.T) {
	f := newFS(t)
	require.ErrorIs(t, f.Create(t.Context(), Info{}), fs.ErrExist)
	require.EqualValues(t, 1, put(t, f, "/data/a.csv", "one"))
	require.EqualValues(t, 2, put(t, f, "/data/a.csv", "two"))
	require.EqualValues(t, 3, put(t, f, "/data/big.bin", big))
	_, err := f.Commit(t.Context(), Info{}, func(tx *Tx) error { return tx.Remove("/data/a.csv") })
	require.NoError(t, err)

	require.Equal(t, "one", read(t, f, 1, "/data/a.csv"))
	require.Equal(t, "two", read(t, f, 3, "/data/a.csv"))
	require.Equal(t, big, read(t, f, Newest, "/data/big.bin"))
	view, err := f.At(t.Context(), Newest)
	require.NoError(t, err)
	_, err = view.Open("/data/a.csv")
	require.ErrorIs(t, err, fs.ErrNotExist)
	list, err := view.List("/data")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, KindLarge, list[0].Kind)
	require.EqualValues(t, len(big), list[0].Size)

	put(t, f, "/data/a.csv", "three")
	view, err = f.At(t.Context(), Newest)
	require.NoError(t, err)
	e, err := view.Stat("/data/a.csv")
	require.NoError(t, err)
	require.EqualValues(t, 4, e.Version, "the removal was version 3 of the file")
}

func TestLargeFilesOfAVersion(t *testing.T) {
	f := newFS(t)
	put(t, f, "/small", "small")
	put(t, f, "/big", big)
	put(t, f, "/same", big)
	for v, want := range []int{0, 0, 1, 1} {
		paths, err := f.LargeFiles(t.Context(), deltalog.Version(v))
		require.NoError(t, err)
		require.Len(t, paths, want, "version %d", v)
	}
	_, err := f.Compact(t.Context(), Info{})
	require.NoError(t, err)
	_, err = f.Checkpoint(t.Context())
	require.NoError(t, err)
	paths, err := f.LargeFiles(t.Context(), 4)
	require.NoError(t, err)
	require.Len(t, paths, 1, "tags survive compaction and a checkpoint")
}

func TestPathsThatCannotBe(t *testing.T) {
	f := newFS(t)
	put(t, f, "/file", "x")
	c, err := f.Stage(strings.NewReader("y"))
	require.NoError(t, err)
	for name, build := range map[string]func(*Tx) error{
		"below a file":        func(tx *Tx) error { return tx.Put("/file/below", c) },
		"over a directory":    func(tx *Tx) error { return tx.Put("/", c) },
		"directory of a file": func(tx *Tx) error { return tx.Mkdir("/file") },
		"root removed":        func(tx *Tx) error { return tx.Remove("/") },
	} {
		_, err := f.Commit(t.Context(), Info{}, build)
		require.ErrorIs(t, err, ErrPath, name)
	}
	_, err = f.Commit(t.Context(), Info{}, func(tx *Tx) error { return tx.Remove("/absent") })
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = f.Commit(t.Context(), Info{}, func(tx *Tx) error { return tx.Mkdir("/") })
	require.ErrorIs(t, err, ErrNoChange)
	tip, err := f.Table().Tip(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, tip, "nothing of it was committed")
}

func TestManyWriters(t *testing.T) {
	f := newFS(t)
	const writers = 8
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			own, err := Open(f.dir) // as another process would
			if err == nil {
				var c Content
				c, err = own.Stage(strings.NewReader(fmt.Sprint(i)))
				if err == nil {
					_, err = own.Commit(t.Context(), Info{}, func(tx *Tx) error { return tx.Put("/shared", c) })
				}
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	view, err := f.At(t.Context(), Newest)
	require.NoError(t, err)
	require.EqualValues(t, writers, view.Version)
	e, err := view.Stat("/shared")
	require.NoError(t, err)
	require.EqualValues(t, writers, e.Version, "no version of the file was lost or taken twice")
	require.Equal(t, writers, countFiles(t, filepath.Join(f.dir, "part_id="+partID("/")), ".parquet"), "attempts that came too late leave nothing")
}

func countFiles(t *testing.T, dir, suffix string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			n++
		}
	}
	return n
}

func TestCompactAndVacuum(t *testing.T) {
	f := newFS(t)
	for i := range 5 {
		put(t, f, "/a", fmt.Sprint(i))
	}
	put(t, f, "/big", big)
	orphan, err := f.Stage(bytes.NewReader(append([]byte("no commit follows "), big...)))
	require.NoError(t, err)
	v, err := f.Compact(t.Context(), Info{})
	require.NoError(t, err)
	require.EqualValues(t, 7, v)
	_, err = f.Compact(t.Context(), Info{})
	require.ErrorIs(t, err, ErrNoChange)

	done, err := f.Vacuum(t.Context(), v, time.Hour)
	require.NoError(t, err)
	require.Zero(t, done.Files, "all of it is younger")
	done, err = f.Vacuum(t.Context(), 3, 0)
	require.NoError(t, err)
	require.Equal(t, 1, done.Files, "only the orphan: versions 3 to 6 need the rest")
	require.NoFileExists(t, filepath.Join(f.dir, largeDir, orphan.sha256))
	require.Equal(t, "2", read(t, f, 3, "/a"))
	done, err = f.Vacuum(t.Context(), v, 0)
	require.NoError(t, err)
	require.Equal(t, 6, done.Files)
	require.Equal(t, "4", read(t, f, Newest, "/a"))
	require.Equal(t, big, read(t, f, Newest, "/big"))
}
