package deltalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type nilReader struct{}

func (nilReader) Read([]byte) (int, error) { return 0, io.EOF }

var sourceTime = time.Date(2020, 5, 6, 7, 8, 9, 123456000, time.UTC)

// named says what a file is, without having staged it.
func named(path, content string) Staged {
	return Staged{Path: path, Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content))}
}

// change returns a version that consists of these files, and a commit that
// names them. Nothing is staged.
func change(v Version, files map[string]string, commit string) Change {
	c := Change{Version: v, Commit: named(v.CommitPath(), commit), Modified: sourceTime}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		c.Files = append(c.Files, named(path, files[path]))
	}
	return c
}

// commitOf returns a commit that adds these files.
func commitOf(files map[string]string) string {
	text := info + "\n"
	for _, path := range slices.Sorted(maps.Keys(files)) {
		text += fmt.Sprintf(`{"add":{"path":%q,"size":%d}}`+"\n", strings.ReplaceAll(path, "%", "%25"), len(files[path]))
	}
	return text
}

// staged is change with everything staged.
func staged(ctx context.Context, d *Dir, v Version, files map[string]string, commit string) (Change, error) {
	c := change(v, files, commit)
	var err error
	for i, f := range c.Files {
		if c.Files[i], err = d.Stage(ctx, f.Path, strings.NewReader(files[f.Path])); err != nil {
			return c, err
		}
	}
	c.Commit, err = d.Stage(ctx, v.CommitPath(), strings.NewReader(commit))
	return c, err
}

func stageAll(t testing.TB, d *Dir, v Version, files map[string]string, commit string) Change {
	c, err := staged(t.Context(), d, v, files, commit)
	require.NoError(t, err)
	return c
}

// applyOne applies one change.
func applyOne(ctx context.Context, d *Dir, c Change) error {
	n, err := d.Apply(ctx, Batch{Changes: []Change{c}})
	if want := 1; err == nil && n != want {
		return fmt.Errorf("%d applied, want %d", n, want)
	}
	return err
}

// apply stages and applies a version that adds these files.
func apply(t testing.TB, d *Dir, v Version, files map[string]string) error {
	return applyOne(t.Context(), d, stageAll(t, d, v, files, commitOf(files)))
}

// requireNothingStaged: what was staged is used up.
func requireNothingStaged(t testing.TB, d *Dir) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(d.folder), stageDir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = fmt.Errorf("%s is there", path)
		}
		return err
	}))
}

// tree returns the content of every file of the table, our own aside.
func tree(t testing.TB, d *Dir) map[string]string {
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(d.folder), ".", func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == "." {
			return nil
		}
		if err != nil {
			return err
		}
		if e.IsDir() && path == privateDir {
			return fs.SkipDir
		}
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(d.folder, path))
			files[path] = string(b)
			return err
		}
		return nil
	}))
	return files
}

func requireTip(t testing.TB, d *Dir, want Version) {
	t.Helper()
	tip, err := d.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, tip)
}

func requireNoVersion(t testing.TB, d *Dir) {
	t.Helper()
	_, err := d.Tip(t.Context())
	require.ErrorIs(t, err, ErrNoTable)
}

// unstaged returns c as change does.
func unstaged(c Change) Change {
	c.Commit.at = nil
	c.Files = slices.Clone(c.Files)
	for i := range c.Files {
		c.Files[i].at = nil
	}
	return c
}

func TestApply(t *testing.T) {
	d := newDir(t, nil)
	want := map[string]string{}
	for v, files := range []map[string]string{
		{"a": "one", "x=1/y=2/b": "two", "x=1/y=3/b": "two"},
		{},
		{"x=A%2FA/c d": "three", "x=1/e": "", "_change_data/cdc": "four"},
	} {
		v := Version(v)
		c := stageAll(t, d, v, files, commitOf(files))
		assert.Equal(t, change(v, files, commitOf(files)), unstaged(c), "Stage says what it took")
		assert.Equal(t, want, tree(t, d), "staging changes nothing")
		require.NoError(t, applyOne(t.Context(), d, c))
		for path, content := range files {
			want[path] = content
		}
		want[v.CommitPath()] = commitOf(files)
		f, err := d.OpenCommit(t.Context(), v)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		assert.True(t, sourceTime.Equal(f.Modified), "time of commit %d: %s", v, f.Modified)
		require.Equal(t, want, tree(t, d))
	}
	requireTip(t, d, 2)
	requireNothingStaged(t, d)
	require.NoError(t, d.Discard(t.Context()))
	require.NoDirExists(t, filepath.Join(d.folder, privateDir))
	one, err := os.Stat(filepath.Join(d.folder, "x=1/y=2/b"))
	require.NoError(t, err)
	two, err := os.Stat(filepath.Join(d.folder, "x=1/y=3/b"))
	require.NoError(t, err)
	assert.False(t, os.SameFile(one, two), "equal files stay two files")
	assert.WithinDuration(t, time.Now(), one.ModTime(), time.Hour, "data files look new, lest VACUUM takes them (H34)")
}

func TestApplyAgain(t *testing.T) {
	files := map[string]string{"p=1/a": "one"}
	d := newDir(t, nil)
	require.NoError(t, apply(t, d, 0, files))
	before := tree(t, d)
	require.NoError(t, apply(t, d, 0, files), "same content is success (H31)")
	require.NoError(t, applyOne(t.Context(), d, change(0, files, commitOf(files))), "staged or not")
	require.Equal(t, before, tree(t, d))
	requireNothingStaged(t, d)
}

func TestApplyConflict(t *testing.T) {
	d := newDir(t, nil)
	require.NoError(t, apply(t, d, 0, map[string]string{"a": "one"}))
	require.NoError(t, apply(t, d, 1, map[string]string{"b": "two"}))
	before := tree(t, d)
	digest := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	for _, c := range []struct {
		name  string
		v     Version
		files map[string]string
		says  []string
	}{
		{"version taken (H32)", 1, map[string]string{"c": "three"}, []string{Version(1).CommitPath(), digest(before[Version(1).CommitPath()])}},
		{"file of an older version (H8)", 2, map[string]string{"a": "other", "d": "x"}, []string{"a has", digest("one"), digest("other")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := apply(t, d, c.v, c.files)
			require.ErrorIs(t, err, ErrConflict)
			for _, s := range c.says {
				assert.ErrorContains(t, err, s)
			}
			after := tree(t, d)
			for path, content := range before {
				assert.Equal(t, content, after[path], path)
			}
			requireTip(t, d, 1)
		})
	}
}

func TestH33ApplyOrphans(t *testing.T) {
	wanted := map[string]string{"p/a": "right"}
	for _, c := range []struct {
		name   string
		there  map[string]string
		commit string
		err    error
	}{
		{"same bytes", map[string]string{"p/a": "right"}, commitOf(wanted), nil},
		{"other bytes that no version names (H33)", map[string]string{"p/a": "wrong"}, commitOf(wanted), nil},
		{"cut short (H33)", map[string]string{"p/a": "rig"}, commitOf(wanted), nil},
		{"other bytes of the host's own file", map[string]string{"p/a": "wrong"}, info, ErrConflict},
		{"folder in the way", map[string]string{"p/a/b": "x"}, commitOf(wanted), ErrConflict},
		{"file where a folder must be", map[string]string{"p": "x"}, commitOf(wanted), fs.ErrExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDir(t, c.there)
			err := applyOne(t.Context(), d, stageAll(t, d, 0, wanted, c.commit))
			if c.err != nil {
				if c.err == fs.ErrExist { // systems differ in what they call it
					require.Error(t, err)
				} else {
					require.ErrorIs(t, err, c.err)
				}
				assert.Equal(t, c.there, tree(t, d))
				requireNoVersion(t, d)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, map[string]string{"p/a": "right", Version(0).CommitPath(): c.commit}, tree(t, d))
		})
	}
}

// TestApplyRemovedFile: a file that an older version named and removed is still
// a file of the table: time travel reads it.
func TestApplyRemovedFile(t *testing.T) {
	d := newDir(t, nil)
	require.NoError(t, apply(t, d, 0, map[string]string{"a": "old"}))
	commit := `{"remove":{"path":"a"}}`
	require.NoError(t, applyOne(t.Context(), d, stageAll(t, d, 1, nil, commit)))
	require.ErrorIs(t, apply(t, d, 2, map[string]string{"a": "new"}), ErrConflict)
	assert.Equal(t, "old", tree(t, d)["a"])
	require.NoError(t, d.Discard(t.Context()))
	require.NoError(t, apply(t, d, 2, map[string]string{"a": "old"}), "RESTORE brings the same bytes")
}

func TestApplyChecksumOfOrphan(t *testing.T) {
	d := newDir(t, map[string]string{"p/a": "orphan", "p/.a.crc": checksumMagic})
	require.NoError(t, apply(t, d, 0, map[string]string{"p/a": "right"}))
	assert.NotContains(t, tree(t, d), "p/.a.crc")
}

// TestApplyTombstone: a tombstone alone also says that the path was a file of
// the table.
func TestApplyTombstone(t *testing.T) {
	d := newDir(t, map[string]string{Version(0).CommitPath(): `{"remove":{"path":"a"}}`, "a": "old"})
	require.ErrorIs(t, apply(t, d, 1, map[string]string{"a": "new"}), ErrConflict)
	assert.Equal(t, "old", tree(t, d)["a"])
}

func TestApplyChecksums(t *testing.T) {
	crc := checksumMagic + "\x00\x00\x02\x00abcd"
	there := map[string]string{
		"p/.a.crc":                               crc,        // stale: there is no p/a
		"p/.b.crc":                               "not that", // somebody's
		"p/.c.crc":                               "crc",      // too short to be one
		"p/e":                                    "same",
		"p/.e.crc":                               crc, // of a file that is there
		LogDir + "/." + commitName(0) + ".crc":   crc,
		LogDir + "/." + commitName(1) + ".crc":   crc, // not of this version
		"p/." + strings.Repeat("n", 200) + "crc": crc,
	}
	d := newDir(t, there)
	files := map[string]string{"p/a": "1", "p/b": "2", "p/c": "3", "p/e": "same", "p/f": "5", "p/.f.crc": crc, "p/" + strings.Repeat("m", 255): ""}
	require.NoError(t, apply(t, d, 0, files))
	after := tree(t, d)
	for _, gone := range []string{"p/.a.crc", LogDir + "/." + commitName(0) + ".crc"} {
		assert.NotContains(t, after, gone)
		delete(there, gone)
	}
	for path, content := range there {
		assert.Equal(t, content, after[path], path)
	}
	for path, content := range files {
		assert.Equal(t, content, after[path], path)
	}
}

func TestH20ApplyRefuses(t *testing.T) {
	good := map[string]string{"a": "one"}
	var commit1 Staged
	for _, c := range []struct {
		name string
		edit func(*Change)
		want error
	}{
		{"version before is missing", func(c *Change) { c.Version = 1; c.Commit = commit1 }, fs.ErrNotExist},
		{"negative version", func(c *Change) { c.Version = -1; c.Commit.Path = c.Version.CommitPath() }, ErrCorrupt},
		{"commit elsewhere", func(c *Change) { c.Commit.Path = Version(1).CommitPath() }, ErrCorrupt},
		{"traversal (H20)", func(c *Change) { c.Files[0].Path = "../a" }, ErrCorrupt},
		{"into the log (H20)", func(c *Change) { c.Files[0].Path = Version(7).CommitPath() }, ErrCorrupt},
		{"path twice", func(c *Change) { c.Files = append(c.Files, c.Files[0]) }, ErrCorrupt},
		{"file not staged", func(c *Change) { c.Files[0] = named("a", "one") }, fs.ErrNotExist},
		{"commit not staged", func(c *Change) { c.Commit = named(c.Commit.Path, commitOf(good)) }, fs.ErrNotExist},
		{"staged for another path", func(c *Change) { c.Files[0].Path = "b" }, ErrCorrupt},
		{"other bytes staged", func(c *Change) { c.Files[0].SHA256[0]++ }, ErrCorrupt},
		{"other length staged", func(c *Change) { c.Files[0].Size++ }, ErrCorrupt},
		{"other commit staged", func(c *Change) { c.Commit.SHA256[0]++ }, ErrCorrupt},
		{"other length of commit staged", func(c *Change) { c.Commit.Size++ }, ErrCorrupt},
		{"name too long (H22)", func(c *Change) { c.Files[0].Path = strings.Repeat("n", 256) }, ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDir(t, nil)
			bad := stageAll(t, d, 0, good, commitOf(good))
			commit1 = stageAll(t, d, 1, nil, commitOf(good)).Commit
			c.edit(&bad)
			require.ErrorIs(t, applyOne(t.Context(), d, bad), c.want)
			requireNoVersion(t, d)
			require.Empty(t, tree(t, d)[Version(1).CommitPath()])
			require.NoError(t, apply(t, d, 0, good), "and it is still possible to do it right")
		})
	}
}

func TestStage(t *testing.T) {
	d := newDir(t, nil)
	ctx := t.Context()
	broken := errors.New("cable")
	_, err := d.Stage(ctx, "a", io.MultiReader(strings.NewReader("one"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = d.Stage(ended, "a", strings.NewReader("one"))
	require.ErrorIs(t, err, context.Canceled)
	for _, path := range []string{"../a", LogDir + "/x", "x/" + commitName(0) + "/../a", LogDir + "/x/" + commitName(0)} {
		_, err = d.Stage(ctx, path, nilReader{})
		require.ErrorIs(t, err, ErrCorrupt)
	}
	requireNothingStaged(t, d)

	// What was staged for a path last does not decide: the Staged does.
	one, err := d.Stage(ctx, "a", strings.NewReader("one"))
	require.NoError(t, err)
	_, err = d.Stage(ctx, "a", strings.NewReader("two"))
	require.NoError(t, err)
	c := stageAll(t, d, 0, nil, commitOf(map[string]string{"a": "one"}))
	c.Files = []Staged{one}
	require.NoError(t, applyOne(ctx, d, c))
	assert.Equal(t, "one", tree(t, d)["a"])
	require.NoError(t, d.Discard(ctx))
	require.NoError(t, d.Discard(ctx), "nothing to discard")
}

// TestApplyAtOnce: of several that apply a version one content wins, whole.
func TestApplyAtOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		content func(i int) string
		winners int
	}{
		{"the same version", func(int) string { return "same" }, 8},
		{"different versions", func(i int) string { return fmt.Sprintf("by %d", i) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 5 {
				folder := filepath.Join(t.TempDir(), "pond")
				errs := make([]error, 8)
				var wg sync.WaitGroup
				for i := range errs {
					wg.Go(func() {
						files := map[string]string{"p/a": c.content(i), "p/b": c.content(i)}
						commit := commitFor(files, c.content(i))
						d, err := OpenDir(folder) // as another process would
						if err == nil {
							err = stageAndApply(t.Context(), d, files, commit)
						}
						errs[i] = err
					})
				}
				wg.Wait()
				d, err := OpenDir(folder)
				require.NoError(t, err)
				got := tree(t, d)
				winners := 0
				for i, err := range errs {
					if err != nil {
						require.ErrorIs(t, err, ErrConflict)
						continue
					}
					winners++
					assert.Equal(t, c.content(i), got["p/a"])
					assert.Equal(t, c.content(i), got["p/b"])
					assert.Contains(t, got[Version(0).CommitPath()], c.content(i))
				}
				assert.Equal(t, c.winners, winners)
			}
		})
	}
}

func commitFor(files map[string]string, operation string) string {
	return fmt.Sprintf(`{"commitInfo":{"operation":%q}}{"add":{"path":"p/a"}}{"add":{"path":"p/b"}}`, operation)
}

func stageAndApply(ctx context.Context, d *Dir, files map[string]string, commit string) error {
	c, err := staged(ctx, d, 0, files, commit)
	if err != nil {
		return err
	}
	return applyOne(ctx, d, c)
}

// countdown is a context that ends when it has been asked n times.
type countdown struct {
	context.Context
	mu sync.Mutex
	n  int
}

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestH30ApplyBrokenOff breaks Apply off wherever it looks whether it should go
// on: the version is not visible, and the next attempt completes it.
func TestH30ApplyBrokenOff(t *testing.T) {
	first := map[string]string{"a": "one"}
	second := map[string]string{"p=1/b": "two", "p=2/c": "three", "p=3/q=4/d": "four"}
	for n := 0; ; n++ {
		d := newDir(t, nil)
		require.NoError(t, apply(t, d, 0, first))
		put(t, d, "p=2/c", "an orphan in the way")
		commit := commitOf(second)
		c := stageAll(t, d, 1, second, commit)
		err := applyOne(&countdown{Context: t.Context(), n: n}, d, c)
		if err == nil {
			require.Greater(t, n, 8, "it hardly ever looks")
			requireTip(t, d, 1)
			return
		}
		require.ErrorIs(t, err, context.Canceled)
		requireTip(t, d, 0)
		require.NoFileExists(t, filepath.Join(d.folder, filepath.FromSlash(Version(1).CommitPath())))
		require.NoError(t, applyOne(t.Context(), d, c), "what was staged or placed is still good")
		got := tree(t, d)
		for path, content := range second {
			require.Equal(t, content, got[path])
		}
		requireTip(t, d, 1)
	}
}
