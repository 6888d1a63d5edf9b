package deltalog

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newDir returns a table in a new folder that holds these files.
func newDir(t testing.TB, files map[string]string) *Dir {
	d, err := OpenDir(filepath.Join(t.TempDir(), "pond"))
	require.NoError(t, err)
	for name, content := range files {
		put(t, d, name, content)
	}
	return d
}

func put(t testing.TB, d *Dir, name, content string) {
	name = filepath.Join(d.folder, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
}

// logOf returns the files of a log with these commits, all of them info.
func logOf(versions ...Version) map[string]string {
	files := map[string]string{}
	for _, v := range versions {
		files[v.CommitPath()] = info
	}
	return files
}

func TestTip(t *testing.T) {
	with := func(files map[string]string, name, content string) map[string]string {
		files[name] = content
		return files
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		from  Version
		tip   Version
		err   error
	}{
		{"no folder", nil, 0, 0, ErrNoTable},
		{"no log", map[string]string{"a.parquet": "x"}, 0, 0, ErrNoTable},
		{"empty log", map[string]string{LogDir + "/_last_checkpoint": `{"version":3}`}, 0, 0, ErrNoTable},
		{"one commit", logOf(0), 0, 0, nil},
		{"from the beginning", logOf(0, 1, 2, 3), 0, 3, nil},
		{"from the end", logOf(0, 1, 2, 3), 3, 3, nil},
		{"from beyond the end", logOf(0, 1), 9, 1, nil},
		{"from below zero", logOf(0, 1), -1, 1, nil},
		{"newest is empty (H5)", with(logOf(0, 1), Version(2).CommitPath(), ""), 1, 1, nil},
		{"newest is half-written (H5)", with(logOf(0, 1), Version(2).CommitPath(), info+"\n"+addA[:9]), 0, 1, nil},
		{"from the half-written one", with(logOf(0, 1), Version(2).CommitPath(), "{"), 2, 1, nil},
		{"first is half-written", map[string]string{Version(0).CommitPath(): "{"}, 0, 0, ErrNoTable},
		{"newest is garbage: it is there", with(logOf(0, 1), Version(2).CommitPath(), "garbage"), 1, 2, nil},
		{"hole", logOf(0, 1, 3), 0, 0, ErrCorrupt},
		{"hole of the widest noticed kind", logOf(0, 1, 10), 1, 0, ErrCorrupt},
		{"hole that the hint tells of", with(logOf(0, 1, 500), LogDir+"/_last_checkpoint", `{"version":400,"size":1}`), 1, 0, ErrCorrupt},
		{"broken hint", with(logOf(0, 1), LogDir+"/_last_checkpoint", `{"version":`), 1, 1, nil},
		{"old hint", with(logOf(0, 1), LogDir+"/_last_checkpoint", `{"version":1}`), 1, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDir(t, c.files)
			tip, err := d.Tip(t.Context())
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.tip, tip)
			tip, err = d.TipFrom(t.Context(), c.from)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.tip, tip)
		})
	}
}

func TestH12TipFromDoesNotList(t *testing.T) {
	d := newDir(t, logOf(5, 6))
	tip, err := d.TipFrom(t.Context(), 5)
	require.NoError(t, err, "a listing would show that commit 0 is missing")
	assert.Equal(t, Version(6), tip)
}

func TestEndedContext(t *testing.T) {
	d := newDir(t, logOf(0, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Tip(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = d.TipFrom(ctx, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, err = d.OpenCommit(ctx, 0)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = d.OpenFile(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
	_, err = d.State(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, d.SetMarker(ctx, nil), context.Canceled)
	require.ErrorIs(t, d.Discard(ctx), context.Canceled)
}

func TestOpen(t *testing.T) {
	d := newDir(t, map[string]string{"x=A%2FA/f": "data", Version(0).CommitPath(): info})
	stamp := time.Date(2021, 2, 3, 4, 5, 6, 7000, time.UTC)
	require.NoError(t, os.Chtimes(filepath.Join(d.folder, filepath.FromSlash(Version(0).CommitPath())), stamp, stamp))

	f, size, err := d.OpenFile(t.Context(), "x=A%2FA/f")
	require.NoError(t, err, "the path is decoded, its escapes are the name's own")
	assert.Equal(t, int64(4), size)
	require.NoError(t, f.Close())

	c, err := d.OpenCommit(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, int64(len(info)), c.Size)
	assert.True(t, stamp.Equal(c.Modified), "%s", c.Modified)
	require.NoError(t, c.Close())

	_, err = d.OpenCommit(t.Context(), 1)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for path, want := range map[string]error{
		"none": fs.ErrNotExist, "none/f": fs.ErrNotExist, "x=A%2FA": ErrUnsupported,
		"../pond/x": ErrCorrupt, "/etc/passwd": ErrCorrupt, Version(0).CommitPath(): ErrCorrupt,
	} {
		_, _, err = d.OpenFile(t.Context(), path)
		require.ErrorIs(t, err, want, path)
	}
}

func TestOpenDir(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := OpenDir(file)
	require.ErrorContains(t, err, "is not a folder")
}

// TestH24Links: symbolic links inside the table are followed, others never (H24).
func TestH24Links(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links")
	}
	d := newDir(t, map[string]string{"real/f": "data", "../secret": "secret", "../other/" + Version(0).CommitPath(): info})
	in := func(name string) string { return filepath.Join(d.folder, name) }
	require.NoError(t, os.Symlink("real", in("inside")))
	require.NoError(t, os.Symlink("../secret", in("outside")))
	require.NoError(t, os.Symlink(filepath.Join(d.folder, "real"), in("absolute")))
	require.NoError(t, os.Symlink("../other/_delta_log", in(LogDir)))

	f, _, err := d.OpenFile(t.Context(), "inside/f")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for _, path := range []string{"outside", "absolute/f"} {
		_, _, err = d.OpenFile(t.Context(), path)
		require.Error(t, err, path)
		require.NotErrorIs(t, err, fs.ErrNotExist, "it must not look like a file that was vacuumed")
	}
	_, err = d.Tip(t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoTable)

	replica := newDir(t, map[string]string{"../other/x": "", "f": ""})
	require.NoError(t, os.Symlink("../other", filepath.Join(replica.folder, "link")))
	require.Error(t, apply(t, replica, 0, map[string]string{"link/f": "data"}))
	require.NoFileExists(t, filepath.Join(replica.folder, "../other/f"))
	requireNoVersion(t, replica)
}

func TestState(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  State
	}{
		{"no folder", nil, State{Empty: true}},
		{"staged", map[string]string{stageDir + "/x": ""}, State{Empty: true}},
		{"marker", map[string]string{markerPath: "note"}, State{Empty: true, Marker: []byte("note")}},
		{"empty marker", map[string]string{markerPath: ""}, State{Empty: true, Marker: []byte{}}},
		{"any file (H39)", map[string]string{"f": ""}, State{Other: "f"}},
		{"dot file (H39)", map[string]string{".f": "", "z": ""}, State{Other: ".f"}},
		{"empty folder (H39)", map[string]string{"lost+found/x": ""}, State{Other: "lost+found"}},
		{"unpacked by hand", map[string]string{privateDir + "/version-000000/manifest.json": ""}, State{Other: privateDir + "/version-000000"}},
		{"empty log", map[string]string{LogDir + "/x": ""}, State{Other: LogDir}},
		{"empty log and more", map[string]string{LogDir + "/x": "", "f": ""}, State{Other: "f"}},
		{"log", logOf(0), State{Table: true}},
		{"log with a hole", logOf(7), State{Table: true}},
		{"checkpoint", map[string]string{LogDir + "/00000000000000000007.checkpoint.parquet": ""}, State{Table: true}},
		{"marker and files: an init that was killed", map[string]string{markerPath: "note", "f": ""}, State{Marker: []byte("note"), Other: "f"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := newDir(t, c.files).State(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestMarker(t *testing.T) {
	d := newDir(t, nil)
	require.NoError(t, d.SetMarker(t.Context(), nil), "there is none")
	require.NoDirExists(t, d.folder, "removing a marker makes no folder")
	for _, note := range []string{"first", "second", ""} {
		require.NoError(t, d.SetMarker(t.Context(), []byte(note)))
		s, err := d.State(t.Context())
		require.NoError(t, err)
		assert.Equal(t, State{Empty: true, Marker: []byte(note)}, s)
	}
	require.NoError(t, d.SetMarker(t.Context(), nil))
	entries, err := os.ReadDir(d.folder)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing of ours is left")
}

// TestReplacedFolder: a table that is dropped and made again at its path is
// seen as what it is now.
func TestReplacedFolder(t *testing.T) {
	d := newDir(t, logOf(0, 1))
	require.NoError(t, os.Rename(d.folder, d.folder+".old"))
	_, err := d.Tip(t.Context())
	require.ErrorIs(t, err, ErrNoTable)
	put(t, d, Version(0).CommitPath(), info)
	tip, err := d.Tip(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Version(0), tip)
}

// What names no folder must not become one below the folder of the process.
func TestOpenDirRefusesWhatIsNoFolder(t *testing.T) {
	for _, folder := range []string{"", "s3://bucket/table", "file:///tmp/table", "mem://", "s3:/bucket/table", "file:/tmp/table"} {
		_, err := OpenDir(folder)
		require.ErrorContains(t, err, "is not a folder", folder)
	}
	d, err := OpenDir("table")
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(d.Folder()), d.Folder())
}
