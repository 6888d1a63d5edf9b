package lake_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// table is all that a replica can do.
type table interface {
	remote.LogApplier
	remote.StateReader
	remote.Checkpointer
}

// onAll runs a scenario with a new table of each kind: what holds for one in a
// folder holds for one in a bucket.
func onAll(t *testing.T, scenario func(t *testing.T, d table)) {
	for name, open := range map[string]func(t *testing.T) table{
		"folder": func(t *testing.T) table {
			d, err := deltalog.OpenDir(t.TempDir() + "/table")
			require.NoError(t, err)
			return d
		},
		"memory": func(t *testing.T) table { return newTable(t, storage.NewMemory()) },
		"create only": func(t *testing.T) table {
			return newTable(t, storage.Compose(storage.NewMemory(), nil, nil))
		},
		"s3": func(t *testing.T) table { return newTable(t, s3Store(t)) },
	} {
		t.Run(name, func(t *testing.T) { scenario(t, open(t)) })
	}
}

func stage(t testing.TB, d table, path, content string) deltalog.Staged {
	t.Helper()
	s, err := d.Stage(t.Context(), path, strings.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, int64(len(content)), s.Size)
	require.Equal(t, sha256.Sum256([]byte(content)), s.SHA256)
	return s
}

// staged stages a version that adds these files.
func staged(t testing.TB, d table, v deltalog.Version, files map[string]string) deltalog.Change {
	t.Helper()
	c := deltalog.Change{Version: v, Modified: time.Unix(1_500_000_000, 0), Commit: stage(t, d, v.CommitPath(), commitOf(v, files))}
	for path, content := range files {
		c.Files = append(c.Files, stage(t, d, path, content))
	}
	return c
}

func apply(t testing.TB, d table, changes ...deltalog.Change) (int, error) {
	return d.Apply(t.Context(), deltalog.Batch{Changes: changes})
}

// grow applies versions from..to, each with one file.
func grow(t testing.TB, d table, from, to deltalog.Version) {
	t.Helper()
	for v := from; v <= to; v++ {
		_, err := apply(t, d, staged(t, d, v, oneFile(v)))
		require.NoError(t, err)
	}
}

func oneFile(v deltalog.Version) map[string]string {
	return map[string]string{fmt.Sprintf("p=%d/part-%d.parquet", v%3, v): fmt.Sprintf("rows of %d", v)}
}

func read(t testing.TB, d table, path string) string {
	t.Helper()
	r, size, err := d.OpenFile(t.Context(), path)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, size, int64(len(b)))
	return string(b)
}

func readCommit(t testing.TB, d table, v deltalog.Version) string {
	t.Helper()
	f, err := d.OpenCommit(t.Context(), v)
	require.NoError(t, err)
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, f.Size, int64(len(b)))
	return string(b)
}

func requireNoCommit(t testing.TB, d table, v deltalog.Version) {
	t.Helper()
	_, err := d.OpenCommit(t.Context(), v)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestVersionsAreApplied(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		for v, files := range []map[string]string{
			{"a": "one", "x=1/y=2/b": "two", "x=1/y=3/b": "two"},
			{},
			{"x=A%2FA/c d": "three", "x=1/e": "", "_change_data/cdc": "four"},
		} {
			v := deltalog.Version(v)
			_, err := d.TipFrom(t.Context(), v)
			if v == 0 {
				require.ErrorIs(t, err, deltalog.ErrNoTable)
			}
			c := staged(t, d, v, files)
			requireNoCommit(t, d, v)
			for path := range files {
				_, _, err := d.OpenFile(t.Context(), path)
				require.ErrorIs(t, err, fs.ErrNotExist, "staged is not published")
			}
			n, err := apply(t, d, c)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			requireTip(t, d, v)
			require.Equal(t, commitOf(v, files), readCommit(t, d, v))
			for path, content := range files {
				require.Equal(t, content, read(t, d, path))
			}
		}
		start, err := d.Start(t.Context())
		require.NoError(t, err)
		require.Zero(t, start)
	})
}

func TestBatchIsAppliedInOrder(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		var changes []deltalog.Change
		for v := range deltalog.Version(5) {
			changes = append(changes, staged(t, d, v, oneFile(v)))
		}
		n, err := apply(t, d, changes...)
		require.NoError(t, err)
		require.Equal(t, 5, n)
		requireTip(t, d, 4)
		for v := range deltalog.Version(5) {
			for path, content := range oneFile(v) {
				require.Equal(t, content, read(t, d, path))
			}
		}
	})
}

func TestBatchStopsAtAConflict(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		grow(t, d, 0, 0)
		path := slices.Collect(maps.Keys(oneFile(0)))[0]
		changes := []deltalog.Change{
			staged(t, d, 1, oneFile(1)),
			staged(t, d, 2, map[string]string{path: "other rows", "fresh": "rows"}),
			staged(t, d, 3, oneFile(3)),
		}
		n, err := apply(t, d, changes...)
		require.ErrorIs(t, err, deltalog.ErrConflict)
		require.ErrorContains(t, err, path)
		require.Equal(t, 1, n)
		requireTip(t, d, 1)
		require.Equal(t, oneFile(0)[path], read(t, d, path))
	})
}

// The second of two versions that bring one path with other bytes must not be
// faster than the first.
func TestBatchKeepsTheFirstOfTwoFiles(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		n, err := apply(t, d, staged(t, d, 0, map[string]string{"p": "first"}), staged(t, d, 1, map[string]string{"p": "second"}))
		require.ErrorIs(t, err, deltalog.ErrConflict)
		require.Equal(t, 1, n)
		require.Equal(t, "first", read(t, d, "p"))
	})
}

func TestSameVersionAgain(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		grow(t, d, 0, 1)
		for range 2 { // staged anew, and not staged at all
			c := staged(t, d, 1, oneFile(1))
			n, err := apply(t, d, c)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		other := staged(t, d, 1, map[string]string{"q": "other"})
		n, err := apply(t, d, other)
		require.ErrorIs(t, err, deltalog.ErrConflict)
		require.Zero(t, n)
		require.Equal(t, commitOf(1, oneFile(1)), readCommit(t, d, 1))
	})
}

func TestVersionBeforeIsMissing(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		_, err := apply(t, d, staged(t, d, 1, oneFile(1)))
		require.ErrorIs(t, err, fs.ErrNotExist)
		grow(t, d, 0, 0)
		_, err = apply(t, d, staged(t, d, 2, oneFile(2)))
		require.ErrorIs(t, err, fs.ErrNotExist)
		requireTip(t, d, 0)
	})
}

func TestNotStaged(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		c := staged(t, d, 0, nil)
		c.Files = []deltalog.Staged{{Path: "a", Size: 1, SHA256: sha256.Sum256([]byte("a"))}}
		_, err := apply(t, d, c)
		require.ErrorIs(t, err, fs.ErrNotExist)
		requireNoCommit(t, d, 0)
	})
}

func TestStageFails(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		broken := errors.New("line cut")
		_, err := d.Stage(t.Context(), "a", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken)
		for _, path := range []string{"../a", "/a", "a//b", "a/../b", "", "_delta_log/x", deltalog.LogDir, ".sluice/a"} {
			_, err := d.Stage(t.Context(), path, strings.NewReader("x"))
			require.Error(t, err, path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = d.Stage(ctx, "a", strings.NewReader("x"))
		require.ErrorIs(t, err, context.Canceled)
		state, err := d.State(t.Context())
		require.NoError(t, err)
		require.True(t, state.Empty)
	})
}

func TestDiscarded(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		require.NoError(t, d.Discard(t.Context()))
		c := staged(t, d, 0, oneFile(0))
		require.NoError(t, d.Discard(t.Context()))
		_, err := apply(t, d, c)
		require.Error(t, err)
		requireNoCommit(t, d, 0)
		grow(t, d, 0, 0)
	})
}

func TestChangeThatMakesNoSense(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		for name, spoil := range map[string]func(*deltalog.Change){
			"commit of another version": func(c *deltalog.Change) { c.Commit = stage(t, d, deltalog.Version(7).CommitPath(), "{}") },
			"a commit among the files":  func(c *deltalog.Change) { c.Files[0].Path = deltalog.Version(0).CommitPath() },
			"path out of the table":     func(c *deltalog.Change) { c.Files[0].Path = "../a" },
			"path twice":                func(c *deltalog.Change) { c.Files = append(c.Files, c.Files[0]) },
			"no checkpoint":             func(c *deltalog.Change) { c.Checkpoint = c.Files },
		} {
			c := staged(t, d, 0, oneFile(0))
			spoil(&c)
			_, err := apply(t, d, c)
			require.ErrorIs(t, err, deltalog.ErrCorrupt, name)
		}
		state, err := d.State(t.Context())
		require.NoError(t, err)
		require.True(t, state.Empty)
	})
}

// beginning stages a version with a checkpoint, made of a table of the same
// content, to begin a log with.
func beginning(t *testing.T, d table, v deltalog.Version) deltalog.Change {
	t.Helper()
	source := storage.NewMemory()
	grow(t, newTable(t, source), 0, v)
	var live []deltalog.Staged
	for of := range v + 1 {
		for path, content := range oneFile(of) {
			live = append(live, stage(t, d, path, content))
		}
	}
	require.NoError(t, d.Place(t.Context(), live, false))
	return deltalog.Change{
		Version: v, Modified: time.Unix(1_500_000_000, 0),
		Commit:     stage(t, d, v.CommitPath(), commitOf(v, oneFile(v))),
		Checkpoint: []deltalog.Staged{stage(t, d, v.CheckpointPath(), checkpointAt(t, source, v))},
	}
}

func TestBeginAtACheckpoint(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		n, err := apply(t, d, beginning(t, d, 5), staged(t, d, 6, oneFile(6)))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		requireTip(t, d, 6)
		start, err := d.Start(t.Context())
		require.NoError(t, err)
		require.Equal(t, deltalog.Version(5), start)
		found, err := d.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, found, 1)
		state, err := d.Snapshot(t.Context(), 6, nil)
		require.NoError(t, err)
		live := 0
		for path, err := range state.LiveFiles() {
			require.NoError(t, err)
			require.NotEmpty(t, read(t, d, path))
			live++
		}
		require.NoError(t, state.Close())
		require.Equal(t, 7, live)

		_, err = apply(t, d, beginning(t, d, 5)) // once more
		require.NoError(t, err)
	})
}

func TestBeginAboveAnotherLog(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		grow(t, d, 0, 2)
		c := beginning(t, d, 5)
		_, err := apply(t, d, c)
		require.ErrorIs(t, err, deltalog.ErrConflict)
		requireTip(t, d, 2)

		c.Jump = true
		_, err = apply(t, d, c)
		if errors.Is(err, deltalog.ErrUnsupported) { // it cannot delete
			requireTip(t, d, 2)
			return
		}
		require.NoError(t, err)
		requireTip(t, d, 5)
		for v := range deltalog.Version(5) {
			requireNoCommit(t, d, v)
		}
	})
}

func TestOlderCheckpoint(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		grow(t, d, 0, 2)
		sidecar := deltalog.LogDir + "/_sidecars/s.parquet"
		c := staged(t, d, 3, oneFile(3))
		c.Older = []deltalog.Staged{stage(t, d, deltalog.Version(2).CheckpointPath(), "checkpoint"), stage(t, d, sidecar, "sidecar")}
		_, err := apply(t, d, c)
		require.NoError(t, err)
		require.Equal(t, "checkpoint", read(t, d, deltalog.Version(2).CheckpointPath()))
		require.Equal(t, "sidecar", read(t, d, sidecar))

		c = staged(t, d, 4, oneFile(4))
		c.Older = []deltalog.Staged{stage(t, d, deltalog.Version(2).CheckpointPath(), "another one")}
		_, err = apply(t, d, c)
		require.NoError(t, err)
		require.Equal(t, "checkpoint", read(t, d, deltalog.Version(2).CheckpointPath()))
		requireTip(t, d, 4)
	})
}

func TestPlacedFileInTheWay(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		require.NoError(t, d.Place(t.Context(), []deltalog.Staged{stage(t, d, "a", "one")}, false))
		require.NoError(t, d.Place(t.Context(), []deltalog.Staged{stage(t, d, "a", "one")}, true))
		require.ErrorIs(t, d.Place(t.Context(), []deltalog.Staged{stage(t, d, "a", "two")}, false), deltalog.ErrConflict)
		require.Equal(t, "one", read(t, d, "a"))
	})
}

func TestMarker(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		require.NoError(t, d.SetMarker(t.Context(), nil))
		for range 2 {
			for _, note := range []string{"first", "first", "second", ""} {
				require.NoError(t, d.SetMarker(t.Context(), []byte(note)))
				state, err := d.State(t.Context())
				require.NoError(t, err)
				require.Equal(t, note, string(state.Marker))
				require.NotNil(t, state.Marker)
				require.True(t, state.Empty)
			}
			require.NoError(t, d.SetMarker(t.Context(), nil))
			state, err := d.State(t.Context())
			require.NoError(t, err)
			require.Equal(t, deltalog.State{Empty: true}, state)
		}
	})
}

func TestStateOfOtherFiles(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		require.NoError(t, d.Place(t.Context(), []deltalog.Staged{stage(t, d, "a", "one")}, false))
		state, err := d.State(t.Context())
		require.NoError(t, err)
		require.Equal(t, deltalog.State{Other: "a"}, state)
		grow(t, d, 0, 0)
		state, err = d.State(t.Context())
		require.NoError(t, err)
		require.Equal(t, deltalog.State{Table: true}, state)
	})
}

func TestCheckpointIfDue(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		grow(t, d, 0, 25)
		var at []deltalog.Version
		for v := range deltalog.Version(26) {
			wrote, err := d.CheckpointIfDue(t.Context(), v, nil)
			require.NoError(t, err)
			if wrote {
				at = append(at, v)
			}
		}
		require.Equal(t, []deltalog.Version{10, 20}, at)
		found, err := d.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, found, 2)
		state, err := d.Snapshot(t.Context(), 25, nil)
		require.NoError(t, err)
		require.Equal(t, deltalog.Version(20), *state.Base)
		require.NoError(t, state.Close())
		requireTip(t, d, 25)
		last, err := d.LastCheckpoint(t.Context())
		require.NoError(t, err)
		require.Contains(t, []deltalog.Version{10, 20}, last, "10 where it cannot be overwritten")
	})
}

func TestManyApplyTheSame(t *testing.T) {
	onAll(t, func(t *testing.T, d table) {
		grow(t, d, 0, 0)
		changes := make([]deltalog.Change, 8)
		for i := range changes {
			files := oneFile(1)
			if i%2 == 1 {
				files = map[string]string{"other": "rows"}
			}
			changes[i] = staged(t, d, 1, files)
		}
		var all sync.WaitGroup
		errs := make([]error, len(changes))
		for i := range changes {
			all.Go(func() { _, errs[i] = apply(t, d, changes[i]) })
		}
		all.Wait()
		won := readCommit(t, d, 1) == commitOf(1, map[string]string{"other": "rows"})
		for i, err := range errs {
			if (i%2 == 1) == won {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, deltalog.ErrConflict)
			}
		}
	})
}
