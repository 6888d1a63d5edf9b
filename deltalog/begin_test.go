package deltalog

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	checkpoint7 = "_delta_log/00000000000000000007.checkpoint.parquet"
	sidecar7    = "_delta_log/_sidecars/s.parquet"
)

// beginAt7 stages version 7 as the beginning of a replica, with one data file.
func beginAt7(t testing.TB, d *Dir) Change {
	t.Helper()
	files := map[string]string{"x=1/a": "live"}
	commit := commitOf(nil)
	c := stageAll(t, d, 7, files, commit)
	for path, content := range map[string]string{checkpoint7: "checkpoint", sidecar7: "sidecar"} {
		f, err := d.Stage(t.Context(), path, strings.NewReader(content))
		require.NoError(t, err)
		c.Checkpoint = append(c.Checkpoint, f)
	}
	return c
}

func TestApplyBeginsAtACheckpoint(t *testing.T) {
	d := newDir(t, nil)
	c := beginAt7(t, d)
	require.NoError(t, d.Place(t.Context(), c.Files, false))
	assert.Equal(t, map[string]string{"x=1/a": "live"}, tree(t, d), "files first, nothing of the log")
	c.Files = nil
	require.NoError(t, applyOne(t.Context(), d, c))
	want := map[string]string{"x=1/a": "live", checkpoint7: "checkpoint", sidecar7: "sidecar", c.Commit.Path: commitOf(nil)}
	assert.Equal(t, want, tree(t, d))

	require.NoError(t, applyOne(t.Context(), d, c), "again")
	require.NoError(t, apply(t, d, 8, map[string]string{"b": "more"}), "the version after it")
	assert.Equal(t, "more", tree(t, d)["b"])
}

// The checkpoint must be there before the commit: kernel-based engines open a
// run of commits without its beginning as if that were all (DELTA.md, fact 5).
func TestBeginningIsNeverSeenWithoutItsCheckpoint(t *testing.T) {
	d := newDir(t, nil)
	c := beginAt7(t, d)
	c.Older = []Staged{named(Version(5).CheckpointPath(), "never staged, so the last step before the commit fails")}
	require.ErrorIs(t, applyOne(t.Context(), d, c), fs.ErrNotExist)
	got := slices.Sorted(maps.Keys(tree(t, d)))
	assert.Equal(t, []string{checkpoint7, sidecar7, "x=1/a"}, got)
}

func TestApplyRefusesABeginningAboveALog(t *testing.T) {
	d := newDir(t, nil)
	require.NoError(t, apply(t, d, 0, map[string]string{"a": "one"}))
	before := tree(t, d)
	require.ErrorIs(t, applyOne(t.Context(), d, beginAt7(t, d)), ErrConflict)
	assert.Equal(t, before, tree(t, d))

	c := beginAt7(t, d)
	c.Version = 8
	c.Commit.Path = Version(8).CommitPath()
	assert.ErrorIs(t, applyOne(t.Context(), d, c), ErrCorrupt, "a checkpoint of another version")
}

// H37: a replica below a hole takes the version after it and drops its log
// below, as metadata cleanup would.
func TestH37ApplyJumpsOverAHole(t *testing.T) {
	d := newDir(t, nil)
	for v := range Version(3) {
		require.NoError(t, apply(t, d, v, map[string]string{v.String(): "old"}))
	}
	for name, text := range map[string]string{
		"_last_checkpoint": `{"version":2,"size":1}`, "00000000000000000002.checkpoint.parquet": "old", "00000000000000000001.crc": "old",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(d.folder, LogDir, name), []byte(text), 0o600))
	}
	c := beginAt7(t, d)
	c.Jump = true
	require.NoError(t, applyOne(t.Context(), d, c))
	var log []string
	for name := range tree(t, d) {
		if strings.HasPrefix(name, LogDir) {
			log = append(log, name)
		}
	}
	slices.Sort(log)
	assert.Equal(t, []string{checkpoint7, c.Commit.Path, sidecar7}, log)
	assert.Equal(t, "old", tree(t, d)[Version(0).String()], "data files stay, for readers that have the old versions open")

	require.NoError(t, apply(t, d, 8, nil))
	c = beginAt7(t, d)
	c.Jump = true
	require.NoError(t, applyOne(t.Context(), d, c), "again")
	c.Commit = named(c.Commit.Path, "other")
	require.ErrorIs(t, applyOne(t.Context(), d, c), ErrConflict)
}

func TestPlaceReplacesNothing(t *testing.T) {
	d := newDir(t, map[string]string{"x=1/a": "other"})
	c := beginAt7(t, d)
	require.ErrorIs(t, d.Place(t.Context(), c.Files, false), ErrConflict)
	assert.Equal(t, map[string]string{"x=1/a": "other"}, tree(t, d))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, d.Place(ctx, c.Files, false), context.Canceled)
	c.Files[0].Path = "../x"
	assert.ErrorIs(t, d.Place(t.Context(), c.Files, false), ErrCorrupt)
}

func TestCheckpointOf(t *testing.T) {
	for path, want := range map[string]Version{
		checkpoint7: 7, sidecar7: -1,
		"_delta_log/00000000000000000003.checkpoint.0000000001.0000000002.parquet": 3,
	} {
		v, ok := checkpointOf(path)
		assert.True(t, ok, path)
		assert.Equal(t, want, v, path)
	}
	for _, path := range []string{
		"a.parquet", "x/00000000000000000007.checkpoint.parquet", "_delta_log/_last_checkpoint", "_delta_log/00000000000000000007.json",
		"_delta_log/_sidecars/", "_delta_log/_sidecars/.s.parquet", "_delta_log/_sidecars/x/s.parquet", "_delta_log/_sidecars/s.json",
	} {
		_, ok := checkpointOf(path)
		assert.False(t, ok, path)
	}
}
