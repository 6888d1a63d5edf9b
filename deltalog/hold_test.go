package deltalog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHold: whoever holds the folder reads the one that was there, and nobody else does.
func TestHold(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open folder keeps its name")
	}
	d := newDir(t, map[string]string{Version(0).CommitPath(): begin + addOf("p/f"), "p/f": "old"})
	require.Equal(t, "old", heldTable(t, d, t.Context()))
	first, releaseFirst := d.Hold(t.Context())
	second, releaseSecond := d.Hold(t.Context())
	require.NoError(t, os.Rename(d.folder, d.folder+".old"))
	derived, cancel := context.WithCancel(first)
	defer cancel()
	require.Equal(t, "old", heldTable(t, d, derived))
	_, err := d.Tip(t.Context())
	require.ErrorIs(t, err, ErrNoTable)
	for name, content := range map[string]string{Version(0).CommitPath(): begin, Version(1).CommitPath(): addOf("p/f"), "p/f": "new one"} {
		put(t, d, name, content)
	}
	require.Equal(t, "new one", heldTable(t, d, t.Context()))
	third, releaseThird := d.Hold(first) // anew
	require.Equal(t, "new one", heldTable(t, d, third))
	releaseSecond()
	require.Equal(t, "old", heldTable(t, d, first), "another one's release changes nothing")
	require.Equal(t, "new one", heldTable(t, d, second), "it is held no more")

	// What writes reads the folder that it writes to.
	wrote, err := d.WriteCheckpoint(first, 1, nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, wrote.Version)
	last, err := d.LastCheckpoint(first)
	require.NoError(t, err)
	require.Zero(t, last)
	releaseThird()
	releaseFirst()
	last, err = d.LastCheckpoint(first)
	require.NoError(t, err)
	require.EqualValues(t, 1, last)

	releaseFirst()
	size, err := d.FileSize(first, "p/f")
	require.NoError(t, err)
	require.EqualValues(t, len("new one"), size, "it does not matter how often it is released")

	require.NoError(t, os.RemoveAll(d.folder))
	none, release := d.Hold(t.Context())
	defer release()
	put(t, d, Version(0).CommitPath(), begin)
	_, err = d.Tip(none)
	require.ErrorIs(t, err, ErrNoTable)
	_, err = d.Snapshot(none, 0, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	again, releaseAgain := d.Hold(none)
	defer releaseAgain()
	_, err = d.Tip(again)
	require.NoError(t, err)
}

// TestHoldAndApply: an orphan is none if the log that is written to names it.
func TestHoldAndApply(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open folder keeps its name")
	}
	d := newDir(t, logFrom(begin))
	held, release := d.Hold(t.Context())
	defer release()
	require.NoError(t, os.Rename(d.folder, d.folder+".old"))
	put(t, d, Version(0).CommitPath(), begin+addOf("f"))
	put(t, d, "f", "precious")
	staged, err := d.Stage(held, "f", strings.NewReader("other"))
	require.NoError(t, err)
	commit, err := d.Stage(held, Version(1).CommitPath(), strings.NewReader(addOf("f")))
	require.NoError(t, err)
	_, err = d.Apply(held, Batch{Changes: []Change{{Version: 1, Commit: commit, Files: []Staged{staged}, Modified: time.UnixMilli(1)}}})
	require.ErrorIs(t, err, ErrConflict)
	require.NoError(t, d.Discard(held))
}

// heldTable reads the table in every way and returns what is in its file.
func heldTable(t *testing.T, d *Dir, ctx context.Context) string {
	tip, err := d.Tip(ctx)
	require.NoError(t, err)
	from, err := d.TipFrom(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, tip, from)
	start, err := d.Start(ctx)
	require.NoError(t, err)
	require.Zero(t, start)
	commit, err := d.OpenCommit(ctx, tip)
	require.NoError(t, err)
	text, err := io.ReadAll(commit)
	require.NoError(t, errors.Join(err, commit.Close()))
	require.Contains(t, string(text), "p/f")
	checkpoints, err := d.Checkpoints(ctx, 0)
	require.NoError(t, err)
	require.Empty(t, checkpoints)
	s, err := d.Snapshot(ctx, tip, nil)
	require.NoError(t, err)
	require.Equal(t, tip, s.Version)
	require.NoError(t, s.Close())
	size, err := d.FileSize(ctx, "p/f")
	require.NoError(t, err)
	f, opened, err := d.OpenFile(ctx, "p/f")
	require.NoError(t, err)
	content, err := io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	require.EqualValues(t, len(content), size)
	require.Equal(t, size, opened)

	_, err = d.FileSize(ctx, "none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = d.FileSize(ctx, "p")
	require.ErrorIs(t, err, ErrUnsupported)
	return string(content)
}
