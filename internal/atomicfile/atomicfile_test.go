package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/internal/errdef"
)

// Errors tell where the folder is, which may be one of several.
func TestErrorsNameTheFolder(t *testing.T) {
	folder := t.TempDir()
	root := openRoot(t, folder)
	require.NoError(t, root.Mkdir("x", 0o755))
	err := root.Mkdir("x", 0o755)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, filepath.Join(folder, "x"))
	require.ErrorContains(t, root.Remove("y"), filepath.Join(folder, "y"))
}

func openRoot(t *testing.T, folder string) *atomicfile.Root {
	t.Helper()
	root, err := atomicfile.OpenRoot(folder)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, root.Close()) })
	return root
}

func newRoot(t *testing.T) *atomicfile.Root { return openRoot(t, t.TempDir()) }

func writeTemp(t *testing.T, root *atomicfile.Root, content string) string {
	t.Helper()
	name, size, err := atomicfile.WriteTemp(root, ".", strings.NewReader(content))
	require.NoError(t, err)
	require.EqualValues(t, len(content), size)
	return name
}

// holds fails the test unless the folder holds exactly these files.
func holds(t *testing.T, root *atomicfile.Root, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	require.NoError(t, fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := root.ReadFile(name)
		got[name] = string(b)
		return err
	}))
	require.Equal(t, want, got)
}

func TestIsTemp(t *testing.T) {
	root := newRoot(t)
	require.NoError(t, root.Mkdir("a", 0o755))
	name, _, err := atomicfile.WriteTemp(root, "a", strings.NewReader(""))
	require.NoError(t, err)
	require.True(t, atomicfile.IsTemp(name), name)
	require.Equal(t, "a", filepath.Dir(name), "beside what it is to become: a rename never crosses file systems")
	for _, other := range []string{"", "a", "00000000000000000001.json", ".hidden", filepath.Dir(name), name + "/below"} {
		require.False(t, atomicfile.IsTemp(other), other)
	}
}

// failing yields a few bytes and then an error.
type failing struct{ err error }

func (f failing) Read(p []byte) (int, error) { return copy(p, "some bytes"), f.err }

func TestWriteTempLeavesNothingBehind(t *testing.T) {
	gone := errors.New("disk gone")
	for name, c := range map[string]struct {
		dir  string
		r    io.Reader
		want error
	}{
		"the source fails":   {".", failing{gone}, gone},
		"a truncated source": {".", failing{io.ErrUnexpectedEOF}, io.ErrUnexpectedEOF},
		"no such folder":     {"none", strings.NewReader("x"), fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			root := newRoot(t)
			got, size, err := atomicfile.WriteTemp(root, c.dir, c.r)
			require.ErrorIs(t, err, c.want)
			require.Empty(t, got)
			require.Zero(t, size)
			holds(t, root, map[string]string{})
		})
	}
}

// TestPublishNewOneWinner also has every loser's temporary file gone.
func TestPublishNewOneWinner(t *testing.T) {
	const racers = 50
	root := newRoot(t)
	var temps []string
	for i := range racers {
		temps = append(temps, writeTemp(t, root, fmt.Sprint("racer ", i)))
	}
	errs := make([]error, racers)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i, temp := range temps {
		wg.Go(func() {
			<-start
			errs[i] = atomicfile.PublishNew(root, temp, "final")
		})
	}
	close(start)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, winner, "a second winner")
			winner = i
			continue
		}
		require.ErrorIs(t, err, fs.ErrExist)
	}
	holds(t, root, map[string]string{"final": fmt.Sprint("racer ", winner)})
}

func TestPublishNewNeverReplaces(t *testing.T) {
	for name, occupy := range map[string]func(root *atomicfile.Root) error{
		"a file":            func(root *atomicfile.Root) error { return root.WriteFile("final", []byte("old"), 0o644) },
		"an empty file":     func(root *atomicfile.Root) error { return root.WriteFile("final", nil, 0o644) },
		"a folder":          func(root *atomicfile.Root) error { return root.Mkdir("final", 0o755) },
		"a link to nowhere": func(root *atomicfile.Root) error { return root.Symlink("none", "final") },
	} {
		t.Run(name, func(t *testing.T) {
			root := newRoot(t)
			require.NoError(t, occupy(root))
			before, err := root.Lstat("final")
			require.NoError(t, err)
			temp := writeTemp(t, root, "new")
			require.ErrorIs(t, atomicfile.PublishNew(root, temp, "final"), fs.ErrExist)
			after, err := root.Lstat("final")
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))
			require.Equal(t, before.Size(), after.Size())
			_, err = root.Lstat(temp)
			require.ErrorIs(t, err, fs.ErrNotExist, "the temporary file is gone")
		})
	}
}

// TestWriteNew: with a name on the way, where the file system can do no better, and without.
func TestWriteNew(t *testing.T) {
	for name, refuse := range map[string]string{"as the file system can": "", "with a temporary name": atomicfile.StepUnnamed, "in a sandbox": atomicfile.StepLink} {
		t.Run(name, func(t *testing.T) {
			unnamed := "" // the path that steps tell
			defer atomicfile.Intercept(func(s *atomicfile.Step, do func() error) error {
				if s.Do == atomicfile.StepUnnamed {
					unnamed = s.Path()
				}
				switch {
				case s.Path() != unnamed || s.Do != refuse:
					return do()
				case s.Do == atomicfile.StepLink:
					return &os.LinkError{Op: "link", Old: s.Path(), New: s.ToPath(), Err: syscall.EACCES}
				}
				return &fs.PathError{Op: "open", Path: s.Path(), Err: syscall.EOPNOTSUPP}
			})()
			root, gone := newRoot(t), errors.New("disk gone")
			require.NoError(t, root.Mkdir("a", 0o755))
			require.ErrorIs(t, atomicfile.WriteNew(root, "a/new", failing{gone}), gone)
			require.ErrorIs(t, atomicfile.WriteNew(root, "b/new", strings.NewReader("new")), fs.ErrNotExist)
			holds(t, root, map[string]string{})
			require.NoError(t, atomicfile.WriteNew(root, "a/new", strings.NewReader("new")))
			require.ErrorIs(t, atomicfile.WriteNew(root, "a/new", strings.NewReader("other")), fs.ErrExist)
			require.NoError(t, root.Symlink("none", "a/link"))
			require.ErrorIs(t, atomicfile.WriteNew(root, "a/link", strings.NewReader("other")), fs.ErrExist)
			require.NoError(t, root.Remove("a/link"))
			holds(t, root, map[string]string{"a/new": "new"})
		})
	}
}

// TestWriteNewHasNoName: who is killed while a file is written leaves nothing behind.
func TestWriteNewHasNoName(t *testing.T) {
	root, unnamed := newRoot(t), false
	defer atomicfile.Intercept(func(s *atomicfile.Step, do func() error) error {
		err := do()
		unnamed = unnamed || s.Do == atomicfile.StepUnnamed && err == nil
		if s.Do == atomicfile.StepSync && unnamed {
			holds(t, root, map[string]string{})
		}
		return err
	})()
	require.NoError(t, atomicfile.WriteNew(root, "new", strings.NewReader("new")))
	if runtime.GOOS == "linux" && !unnamed {
		t.Skip("NOT TESTED: the file system of temporary files knows no files without names")
	}
}

// TestFolderWithoutSync: some file systems of networks know no fsync of a folder.
func TestFolderWithoutSync(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no such call")
	}
	for errno, ok := range map[syscall.Errno]bool{syscall.EINVAL: true, syscall.ENOTSUP: true, syscall.EIO: false, syscall.ENOSPC: false} {
		func() {
			defer atomicfile.Intercept(func(s *atomicfile.Step, do func() error) error {
				if s.Do == atomicfile.StepSyncDir {
					return &fs.PathError{Op: "sync", Path: s.Path(), Err: errno}
				}
				return do()
			})()
			root := newRoot(t)
			err := atomicfile.WriteNew(root, "new", strings.NewReader("new"))
			folder, ferr := atomicfile.OpenFolder(root, ".")
			require.NoError(t, ferr)
			serr := folder.Sync()
			require.NoError(t, folder.Close())
			if ok {
				require.NoError(t, errors.Join(err, serr), errno)
			} else {
				require.ErrorIs(t, err, errno)
				require.ErrorIs(t, serr, errno)
			}
		}()
	}
}

func TestReplace(t *testing.T) {
	root := newRoot(t)
	for _, content := range []string{"first", "second, longer", ""} {
		require.NoError(t, atomicfile.Replace(root, writeTemp(t, root, content), "final"))
		holds(t, root, map[string]string{"final": content})
		require.NoError(t, atomicfile.WriteFile(root, "final", []byte("written "+content)))
		holds(t, root, map[string]string{"final": "written " + content})
	}
	require.NoError(t, root.Mkdir("folder", 0o755))
	require.Error(t, atomicfile.Replace(root, writeTemp(t, root, "x"), "folder"))
	require.Error(t, atomicfile.WriteFile(root, "none/final", nil))
	holds(t, root, map[string]string{"final": "written "}) // and no temporary file
}

// TestReplaceIsWhole reads while others replace: it must see one of the
// contents, never a part of one and never nothing.
func TestReplaceIsWhole(t *testing.T) {
	root := newRoot(t)
	contents := []string{strings.Repeat("a", 64<<10), strings.Repeat("b", 32<<10)}
	require.NoError(t, atomicfile.WriteFile(root, "final", []byte(contents[0])))
	var writers sync.WaitGroup
	for _, content := range contents {
		writers.Go(func() {
			for range 50 {
				assert.NoError(t, atomicfile.WriteFile(root, "final", []byte(content)))
			}
		})
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		b, err := root.ReadFile("final")
		require.NoError(t, err)
		if got := string(b); got != contents[0] && got != contents[1] {
			t.Fatalf("torn: %d bytes", len(got))
		}
	}
}

// TestSymlinksLeadNowhere: a link planted in the folder takes no bytes out of
// it, whichever step meets it.
func TestSymlinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	root := newRoot(t)
	require.NoError(t, os.Symlink(outside, filepath.Join(root.Name(), "out")))
	require.NoError(t, os.Symlink("..", filepath.Join(root.Name(), "up")))
	for _, dir := range []string{"out", "up", ".."} {
		_, _, err := atomicfile.WriteTemp(root, dir, strings.NewReader("x"))
		require.Error(t, err, dir)
		require.Error(t, atomicfile.WriteFile(root, dir+"/final", []byte("x")), dir)
		require.Error(t, atomicfile.PublishNew(root, writeTemp(t, root, "x"), dir+"/final"), dir)
		require.Error(t, atomicfile.Replace(root, writeTemp(t, root, "x"), dir+"/final"), dir)
		require.Error(t, atomicfile.MkdirAll(root, dir+"/made"), dir)
		require.Error(t, root.SyncDir(dir), dir)
	}
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, left)
	entries, err := os.ReadDir(root.Name())
	require.NoError(t, err)
	require.Len(t, entries, 2, "the two links and no temporary file")
	// A file that is a link is replaced itself, not what it points to.
	target := filepath.Join(outside, "target")
	require.NoError(t, os.WriteFile(target, []byte("theirs"), 0o644))
	require.NoError(t, os.Symlink(target, filepath.Join(root.Name(), "final")))
	require.NoError(t, atomicfile.WriteFile(root, "final", []byte("ours")))
	b, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(b))
}

func TestMkdirAll(t *testing.T) {
	root := newRoot(t)
	for _, dir := range []string{".", "", "a", "a/b/c", "a/b/c", "a/d"} {
		require.NoError(t, atomicfile.MkdirAll(root, dir), dir)
		info, err := root.Stat(filepath.Join(".", dir))
		require.NoError(t, err)
		require.True(t, info.IsDir())
	}
	require.NoError(t, root.WriteFile("a/file", nil, 0o644))
	require.Error(t, atomicfile.MkdirAll(root, "a/file"))
	require.Error(t, atomicfile.MkdirAll(root, "a/file/below"))

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { assert.NoError(t, atomicfile.MkdirAll(root, "many/at/once")) })
	}
	wg.Wait()
}

func TestMakeFolder(t *testing.T) {
	dir := t.TempDir()
	for _, folder := range []string{dir, filepath.Join(dir, "a", "b"), filepath.Join(dir, "a", "b"), filepath.Join(dir, "c")} {
		require.NoError(t, atomicfile.MakeFolder(folder))
		require.DirExists(t, folder)
	}
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.Error(t, atomicfile.MakeFolder(filepath.Join(file, "below")))
}

// TestMakeFolderDenied: a parent that may not be written is the system's error,
// and nothing is half made.
func TestMakeFolderDenied(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("SKIPPED: nothing is denied to root, or by these modes on Windows")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o555))
	require.ErrorIs(t, atomicfile.MakeFolder(filepath.Join(dir, "a", "b")), fs.ErrPermission)
	require.NoDirExists(t, filepath.Join(dir, "a"))
}

func TestLinkError(t *testing.T) {
	other := errors.New("other")
	for name, c := range map[string]struct {
		err         error
		unsupported bool
	}{
		"none":           {nil, false},
		"other":          {other, false},
		"taken":          {&os.LinkError{Op: "link", Err: syscall.EEXIST}, false},
		"no permission":  {&os.LinkError{Op: "link", Err: syscall.EACCES}, false},
		"no hard links":  {&os.LinkError{Op: "link", Err: syscall.EPERM}, true},
		"no such call":   {&os.LinkError{Op: "link", Err: syscall.ENOSYS}, true},
		"not supported":  {errors.ErrUnsupported, true},
		"other of links": {&os.LinkError{Op: "link", Err: syscall.EXDEV}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := atomicfile.LinkError(c.err)
			require.Equal(t, c.unsupported, errors.Is(got, errdef.ErrUnsupported))
			require.ErrorIs(t, got, c.err)
		})
	}
}
