package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// fast keeps the suite short: a folder has neither pages nor parts, but each of
// its objects waits for the disk.
var fast = &storagetest.Options{LargeSize: 2 << 20, ListKeys: 300}

func TestDirSuite(t *testing.T) {
	storagetest.RunWith(t, fast, func(t *testing.T) storage.Store {
		return openDir(t, filepath.Join(t.TempDir(), "not", "there", "yet"))
	})
}

func openDir(t *testing.T, folder string) *storage.Dir {
	t.Helper()
	d, err := storage.OpenDir(folder)
	require.NoError(t, err)
	return d
}

func create(t *testing.T, s storage.Creator, key, content string) error {
	t.Helper()
	return s.Create(t.Context(), key, strings.NewReader(content), int64(len(content)))
}

func keys(t *testing.T, s storage.Reader, prefix string) []string {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix, "") {
		require.NoError(t, err)
		got = append(got, info.Key)
	}
	return got
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	var got []string
	require.NoError(t, filepath.WalkDir(folder, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			got = append(got, filepath.Base(p))
		}
		return err
	}))
	return got
}

func TestDirReadingMakesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "pond")
	d := openDir(t, folder)
	require.Empty(t, keys(t, d, ""))
	_, err := d.Open(t.Context(), "k", 0, -1)
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.NoError(t, d.Delete(t.Context(), "k"))
	require.NoDirExists(t, folder)
	require.NoError(t, create(t, d, "a/b", "x"))
	require.DirExists(t, folder)
}

func TestOpenDirOnAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := storage.OpenDir(file)
	require.ErrorIs(t, err, storage.ErrInvalidConfig)
	require.ErrorContains(t, err, file)
}

func TestDirKeyAndKeyBelow(t *testing.T) {
	d := openDir(t, t.TempDir())
	require.NoError(t, create(t, d, "a", "x"))
	require.ErrorIs(t, create(t, d, "a/b", "x"), storage.ErrInvalidKey)
	require.ErrorIs(t, create(t, d, "a/b/c", "x"), storage.ErrInvalidKey)
	require.NoError(t, create(t, d, "f/g", "x"))
	for _, key := range []string{"f", "a/b"} {
		require.ErrorIs(t, create(t, d, key, "x"), storage.ErrInvalidKey, key)
		require.NotErrorIs(t, create(t, d, key, "x"), storage.ErrExists, key)
		_, err := d.Put(t.Context(), key, []byte("x"), "")
		require.ErrorIs(t, err, storage.ErrInvalidKey, key)
	}
	require.Equal(t, []string{"a", "f/g"}, keys(t, d, ""))
}

func TestDirLeavesNoTemporaryFiles(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder)
	boom := errors.New("boom")
	for i := range 3 {
		_ = create(t, d, "a/k", "x") // the first wins, the others lose
		err := d.Create(t.Context(), fmt.Sprintf("a/failing-%d", i), io.MultiReader(strings.NewReader("x"), errorReader{boom}), -1)
		require.ErrorIs(t, err, boom)
		require.NotContains(t, err.Error(), "sluice-tmp")
	}
	require.Equal(t, []string{"k"}, files(t, folder))
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// While a Create is under way nobody sees its bytes.
func TestDirUnfinishedIsInvisible(t *testing.T) {
	d := openDir(t, t.TempDir())
	r, w := io.Pipe()
	done := make(chan error)
	go func() { done <- d.Create(t.Context(), "a/k", r, -1) }()
	_, err := w.Write([]byte("half"))
	require.NoError(t, err)
	assert.Empty(t, keys(t, d, ""))
	_, err = d.Open(t.Context(), "a/k", 0, -1)
	assert.ErrorIs(t, err, storage.ErrNotFound)
	require.NoError(t, w.Close())
	require.NoError(t, <-done)
	require.Equal(t, []string{"a/k"}, keys(t, d, ""))
}

// Put replaces by rename: who reads goes on reading what he opened.
func TestDirPutBesideAReader(t *testing.T) {
	d := openDir(t, t.TempDir())
	_, err := d.Put(t.Context(), "head", []byte("old"), "")
	require.NoError(t, err)
	r, err := d.Open(t.Context(), "head", 0, -1)
	require.NoError(t, err)
	defer r.Close()
	_, err = d.Put(t.Context(), "head", []byte("newer"), "")
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "old", string(b))
}

func TestDirTruncatedUnderAReader(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder)
	require.NoError(t, create(t, d, "k", "0123456789"))
	r, err := d.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, os.Truncate(filepath.Join(folder, "k"), 4))
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "never a silent end")
}

func TestDirDenied(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("permissions do not bind this user")
	}
	folder := t.TempDir()
	d := openDir(t, folder)
	require.NoError(t, create(t, d, "a/k", "x"))
	sub := filepath.Join(folder, "a")
	require.NoError(t, os.Chmod(sub, 0))
	t.Cleanup(func() { assert.NoError(t, os.Chmod(sub, 0o755)) })
	require.ErrorIs(t, create(t, d, "a/j", "x"), storage.ErrDenied)
	_, err := d.Open(t.Context(), "a/k", 0, -1)
	require.ErrorIs(t, err, storage.ErrDenied)
	for _, err := range d.List(t.Context(), "", "") {
		require.ErrorIs(t, err, storage.ErrDenied)
	}
}

// List must not look into folders that cannot hold what it is asked for: the
// walk fails at a folder only if it goes there.
func TestDirListPrunes(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("permissions do not bind this user")
	}
	folder := t.TempDir()
	d := openDir(t, folder)
	for _, key := range []string{"a/x", "b/x", "c/x"} {
		require.NoError(t, create(t, d, key, "x"))
	}
	closed := filepath.Join(folder, "a")
	require.NoError(t, os.Chmod(closed, 0))
	t.Cleanup(func() { assert.NoError(t, os.Chmod(closed, 0o755)) })
	require.Equal(t, []string{"b/x"}, keys(t, d, "b"))
	for _, err := range d.List(t.Context(), "", "b/") {
		require.NoError(t, err)
	}
}

// Two processes create the same keys at once, as two pushers of one table do.
func TestDirTwoProcesses(t *testing.T) {
	const keyCount, envFolder, envName = 60, "SLUICE_TEST_RACE_FOLDER", "SLUICE_TEST_RACE_NAME"
	if folder := os.Getenv(envFolder); folder != "" {
		raceChild(t, folder, os.Getenv(envName), keyCount)
		return
	}
	folder, names := t.TempDir(), []string{"one", "two", "three"}
	store := filepath.Join(folder, "store")
	var children []*exec.Cmd
	for _, name := range names {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDirTwoProcesses$")
		c.Env = append(os.Environ(), envFolder+"="+folder, envName+"="+name)
		c.Stdout = &bytes.Buffer{}
		c.Stderr = c.Stdout
		require.NoError(t, c.Start())
		children = append(children, c)
	}
	// All wait for this file, so that they really run at the same time.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go"), nil, 0o644))
	for _, c := range children {
		assert.NoError(t, c.Wait(), "%s", c.Stdout)
	}
	d := openDir(t, store)
	require.Len(t, keys(t, d, ""), keyCount)
	wins := map[string]int{}
	for _, name := range names {
		won, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		for _, key := range strings.Fields(string(won)) {
			wins[key]++
			got, _, err := d.Get(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, strings.Repeat(name, 1000), string(got), "%s holds the content of its winner", key)
		}
	}
	require.Len(t, wins, keyCount, "each key has a winner")
	for key, n := range wins {
		require.Equal(t, 1, n, "%s has one winner", key)
	}
	require.Len(t, files(t, store), keyCount, "no temporary files stay")
}

// raceChild creates all keys and writes down which it won.
func raceChild(t *testing.T, folder, name string, keyCount int) {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := os.Stat(filepath.Join(folder, "go")); err == nil {
			break
		}
		runtime.Gosched()
	}
	d := openDir(t, filepath.Join(folder, "store"))
	var won []string
	for i := range keyCount {
		key := fmt.Sprintf("backups/version-%06d/bundle", i)
		err := create(t, d, key, strings.Repeat(name, 1000))
		if err == nil {
			won = append(won, key)
			continue
		}
		require.ErrorIs(t, err, storage.ErrExists)
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(strings.Join(won, "\n")), 0o644))
}

// What names no folder must not become one below the folder of the process.
func TestOpenDirRefusesWhatIsNoFolder(t *testing.T) {
	for _, folder := range []string{"", "s3://bucket/prefix", "file:///tmp/store", "mem://"} {
		_, err := storage.OpenDir(folder)
		require.ErrorIs(t, err, storage.ErrInvalidConfig, folder)
		require.ErrorContains(t, err, "is not a folder", folder)
	}
	require.True(t, filepath.IsAbs(openDir(t, "store").Folder()))
}
