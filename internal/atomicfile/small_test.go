package atomicfile_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// opened is what OpenOrRead returned.
func opened(f *os.File, small *atomicfile.Small) io.ReadCloser {
	if small != nil {
		return small
	}
	return f
}

// TestOpenOrRead: what is read is what Open reads, of which only what is small is read at once.
func TestOpenOrRead(t *testing.T) {
	folder := t.TempDir()
	h, err := atomicfile.Hold(folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Release()) }()
	modified := time.Date(2026, 11, 28, 1, 2, 3, 456789000, time.UTC)
	for _, size := range []int{0, 1, 511, 4096, 32<<10 - 1, 32 << 10, 100_000} {
		content := strings.Repeat("0123456789abcdef+", size/17+1)[:size]
		write(t, filepath.Join(folder, "a/f"), content)
		require.NoError(t, os.Chtimes(filepath.Join(folder, "a/f"), modified, modified))
		f, small, err := h.OpenOrRead("a/f", 0)
		require.NoError(t, err)
		require.Equal(t, size < 32<<10 && runtime.GOOS == "linux", small != nil, size)
		if small != nil {
			require.EqualValues(t, size, small.Size)
			require.True(t, modified.Equal(small.Modified))
		}
		if f != nil {
			require.Equal(t, filepath.Join(folder, "a/f"), f.Name())
		}
		r := opened(f, small)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, content == string(got), size)
		require.NoError(t, r.Close())
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, fs.ErrClosed)
		require.ErrorIs(t, r.Close(), fs.ErrClosed)
	}
	for _, name := range []string{"none", "a/f/x", "../f", ""} {
		_, _, err := h.OpenOrRead(name, 0)
		_, want := h.Open(name, 0)
		require.Error(t, want, name)
		require.EqualError(t, err, want.Error(), name)
	}
	f, small, err := h.OpenOrRead("a", 0)
	require.NoError(t, err, "a folder is for the caller to refuse")
	require.Nil(t, small)
	require.NoError(t, f.Close())
}

// TestSmallOfAnotherSize: what is read of a file that says another size than it has is told as
// it is, so that whoever compares finds out.
func TestSmallOfAnotherSize(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a file that says another size than it has")
	}
	h, err := atomicfile.Hold("/proc/self")
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Release()) }()
	f, small, err := h.OpenOrRead("status", 0)
	require.NoError(t, err)
	require.Nil(t, f)
	require.Zero(t, small.Size)
	got, err := io.ReadAll(small)
	require.NoError(t, err)
	require.Contains(t, string(got), "Name:")
	require.Contains(t, string(got), "nonvoluntary_ctxt_switches:", "to its end")
	require.NoError(t, small.Close())
}

// TestSmallIsItsOwn: files that are open at once, and one that is read on while it is closed,
// never yield what is in another.
func TestSmallIsItsOwn(t *testing.T) {
	folder := t.TempDir()
	h, err := atomicfile.Hold(folder)
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Release()) }()
	var users sync.WaitGroup
	for i := range 8 {
		name, content := string('a'+rune(i)), bytes.Repeat([]byte{'a' + byte(i)}, 3000+i)
		write(t, filepath.Join(folder, name), string(content))
		users.Go(func() {
			for range 200 {
				f, small, err := h.OpenOrRead(name, 0)
				if !assert.NoError(t, err) {
					return
				}
				r := opened(f, small)
				var reading sync.WaitGroup
				reading.Go(func() {
					got, err := io.ReadAll(r)
					assert.True(t, bytes.HasPrefix(content, got))
					if err == nil {
						assert.Len(t, got, len(content))
					} else {
						assert.ErrorIs(t, err, fs.ErrClosed)
					}
				})
				assert.NoError(t, r.Close())
				reading.Wait()
			}
		})
	}
	users.Wait()
}
