package deltalog

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDiscardSparesTheLiving: what a process left that is gone is removed, what
// somebody else has staged who is alive is not.
func TestDiscardSparesTheLiving(t *testing.T) {
	d := newDir(t, map[string]string{stageDir + "/DEAD/1": "half", stageDir + "/x": "of an older release"})
	other, err := OpenDir(d.folder)
	require.NoError(t, err)
	files := map[string]string{"a": "one"}
	c := stageAll(t, other, 0, files, commitOf(files))
	_, err = d.Stage(t.Context(), "b", strings.NewReader("two"))
	require.NoError(t, err)

	require.NoError(t, d.Discard(t.Context()))
	left, err := os.ReadDir(filepath.Join(d.folder, stageDir))
	require.NoError(t, err)
	require.Len(t, left, 1, "that of the other")
	require.NoError(t, applyOne(t.Context(), other, c))
	require.NoError(t, other.Discard(t.Context()))
	require.NoDirExists(t, filepath.Join(d.folder, privateDir))
	requireTip(t, d, 0)
}

// TestStageAfterDiscard: a table that was dropped while something was staged is
// no obstacle after a Discard.
func TestStageAfterDiscard(t *testing.T) {
	d := newDir(t, nil)
	_, err := d.Stage(t.Context(), "a", strings.NewReader("one"))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(d.folder))
	require.NoError(t, d.Discard(t.Context()))
	require.NoError(t, apply(t, d, 0, map[string]string{"a": "two"}))
	require.Equal(t, "two", tree(t, d)["a"])
}

// TestMarkerBesideStage: the marker comes and goes while others stage.
func TestMarkerBesideStage(t *testing.T) {
	d := newDir(t, nil)
	files := map[string]string{"a": "one"}
	c := stageAll(t, d, 0, files, commitOf(files))
	require.NoError(t, d.SetMarker(t.Context(), []byte("note")))
	require.NoError(t, d.SetMarker(t.Context(), nil))
	require.NoError(t, applyOne(t.Context(), d, c))
}

// countedSum is a Summer that counts how often it was asked.
type countedSum struct {
	hashing
	asked int
}

func (c *countedSum) SHA256() [sha256.Size]byte {
	c.asked++
	return c.hashing.SHA256()
}

// TestStageAsksASummer: what a reader hashes anyway is not hashed again, and the
// file is what was read.
func TestStageAsksASummer(t *testing.T) {
	d := newDir(t, nil)
	text := strings.Repeat("x", 200_000)
	r := &countedSum{hashing: hashing{strings.NewReader(text), sha256.New()}}
	got, err := d.Stage(t.Context(), "a", r)
	require.NoError(t, err)
	require.Equal(t, 1, r.asked)
	require.Equal(t, sha256.Sum256([]byte(text)), got.SHA256)
	require.EqualValues(t, len(text), got.Size)
	commit := stageAll(t, d, 0, nil, commitOf(map[string]string{"a": text}))
	commit.Files = []Staged{got}
	require.NoError(t, applyOne(t.Context(), d, commit))
	require.Equal(t, text, tree(t, d)["a"])
}
