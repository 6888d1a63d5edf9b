package deltalog

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// copyGolden copies a golden table to where it may be written.
func copyGolden(t testing.TB, g goldenTable) *Dir {
	folder := filepath.Join(t.TempDir(), "table")
	require.NoError(t, os.CopyFS(folder, os.DirFS(g.folder)))
	d, err := OpenDir(folder)
	require.NoError(t, err)
	return d
}

// onlyCheckpoint leaves of the log nothing but the checkpoint that is written
// for v here, the commit of v and the hint.
func onlyCheckpoint(t testing.TB, d *Dir, v Version) CheckpointInfo {
	log := filepath.Join(d.folder, LogDir)
	removeCheckpoint(t, d, v)
	info, err := d.WriteCheckpoint(t.Context(), v, nil)
	require.NoError(t, err)
	keep := map[string]bool{}
	for _, path := range []string{LastCheckpointPath, v.CheckpointPath(), v.CommitPath()} {
		keep[filepath.Base(path)] = true
	}
	names, err := os.ReadDir(log)
	require.NoError(t, err)
	for _, name := range names {
		if !keep[name.Name()] {
			require.NoError(t, os.RemoveAll(filepath.Join(log, name.Name())))
		}
	}
	return info
}

// removeCheckpoint makes room for one of ours.
func removeCheckpoint(t testing.TB, d *Dir, v Version) {
	for _, path := range []string{LastCheckpointPath, v.CheckpointPath()} {
		require.NoError(t, os.RemoveAll(filepath.Join(d.folder, path)))
	}
}

// checkpointErrors are the golden tables of which no checkpoint is written.
var checkpointErrors = map[string]error{
	"delta__versions-not-contiguous":       os.ErrNotExist,
	"delta-rs__simple_table_features":      ErrUnsupported,
	"delta__canonicalized-paths-normal-a":  ErrCorrupt, // it has no schema
	"delta__catalog-owned-preview":         ErrUnsupported,
	"delta-rs__table-with-domain-metadata": os.ErrNotExist, // its commit
}

// TestGoldenCheckpoints writes a checkpoint of every golden table and reads the
// table back from nothing else.
func TestGoldenCheckpoints(t *testing.T) {
	seen := 0
	eachGolden(t, func(t *testing.T, g goldenTable, _ *Dir) {
		d, v := copyGolden(t, g), Version(g.Latest)
		if want := checkpointErrors[g.name]; want != nil {
			seen++
			before := tree(t, d)
			_, err := d.WriteCheckpoint(t.Context(), v, nil)
			require.ErrorIs(t, err, want)
			assert.Equal(t, before, tree(t, d))
			return
		}
		removeCheckpoint(t, d, v)
		want := snapshotOf(t, d, v)
		wantState, wantTombstones := stateOf(t, want), tombstonesOf(t, want)
		var first bytes.Buffer
		info, err := want.WriteCheckpoint(&first)
		require.NoError(t, err)
		assert.Equal(t, int64(len(wantState.Adds)), info.AddFiles)
		assert.Equal(t, int64(first.Len()), info.Size)

		require.Equal(t, info, onlyCheckpoint(t, d, v))
		written, err := os.ReadFile(filepath.Join(d.folder, v.CheckpointPath()))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(first.Bytes(), written), "the same state made other bytes")
		got := snapshotOf(t, d, v)
		require.Equal(t, &v, got.Base)
		assert.Equal(t, wantState, stateOf(t, got))
		assert.Equal(t, wantTombstones, tombstonesOf(t, got))
		assert.Equal(t, want.InCommitTimestamp, got.InCommitTimestamp)
		assert.Equal(t, want.Protocol, got.Protocol)
		again := new(bytes.Buffer)
		_, err = got.WriteCheckpoint(again)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(first.Bytes(), again.Bytes()), "a checkpoint of the checkpoint is another")
	})
	if goldenTables(t) != nil {
		assert.Equal(t, len(checkpointErrors), seen)
	}
}

func tombstonesOf(t testing.TB, s *Snapshot) (all []map[string]any) {
	for _, c := range actionColumns() {
		if c.name != "remove" {
			continue
		}
		for r, err := range s.Tombstones() {
			require.NoError(t, err)
			remove := known(t, c, r.JSON)
			delete(remove, "dataChange")
			all = append(all, remove)
		}
	}
	return all
}
