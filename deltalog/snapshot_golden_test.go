package deltalog

import (
	"encoding/json"
	"iter"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// snapshotErrors are the golden tables that have no state at their newest
// version, or none whose files can be named.
var snapshotErrors = map[string]struct{ read, walk error }{
	"delta__versions-not-contiguous":      {read: os.ErrNotExist},
	"delta-rs__simple_table_features":     {read: ErrUnsupported},
	"delta__canonicalized-paths-normal-a": {walk: ErrUnsupported},
}

// structStats are the golden tables whose checkpoints have statistics only as
// columns: the number of records is all that remains of them.
var structStats = []string{"delta-rs__delta-1.2.1-only-struct-stats", "delta__transaction_log_schema_evolvability"}

func dropMinima(t *testing.T, s state) {
	for _, add := range s.Adds {
		var stats map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(add["stats"].(string)), &stats))
		require.NotEmpty(t, stats["numRecords"])
		add["stats"] = string(stats["numRecords"])
	}
}

func eachGolden(t *testing.T, f func(t *testing.T, g goldenTable, d *Dir)) {
	tables := goldenTables(t)
	if tables == nil {
		t.Skipf("NOT RUN: set %s to the folder of the golden tables", goldenVariable)
	}
	for _, g := range tables {
		t.Run(g.name, func(t *testing.T) {
			d, err := OpenDir(g.folder)
			require.NoError(t, err)
			f(t, g, d)
		})
	}
}

// TestGoldenSnapshots reads the state of every golden table at every version.
func TestGoldenSnapshots(t *testing.T) {
	eachGolden(t, func(t *testing.T, g goldenTable, d *Dir) {
		want := snapshotErrors[g.name]
		s, err := d.Snapshot(t.Context(), Version(g.Latest), nil)
		require.ErrorIs(t, err, want.read)
		if want.read != nil {
			return
		}
		defer closeSnapshot(t, s)
		files, err := gather(s.LiveFiles())
		require.ErrorIs(t, err, want.walk)
		if want.walk != nil {
			return
		}
		compareActive(t, g, s, files)
		for v := range Version(g.Latest + 1) {
			if len(g.Logged) > 0 && g.Logged[0] == 0 {
				compareWithReplay(t, g, d, v)
			}
		}
	})
}

func closeSnapshot(t *testing.T, s *Snapshot) { require.NoError(t, s.Close()) }

func gather[T any](walk iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range walk {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// compareActive compares with what others found at the newest version.
func compareActive(t *testing.T, g goldenTable, s *Snapshot, files []string) {
	wantAdds, wantFiles := map[string]int64{}, map[string]bool{}
	for _, a := range g.Active {
		path, err := DecodePath(a.Path)
		require.NoError(t, err)
		wantAdds[a.Path], wantFiles[path] = a.Size, true
		if a.DV != nil && a.DV.File != "" {
			wantFiles[a.DV.File] = true
		}
	}
	adds, err := gather(s.Adds())
	require.NoError(t, err)
	got := map[string]int64{}
	for _, a := range adds {
		got[a.RawPath] = a.Size
	}
	assert.Equal(t, wantAdds, got)
	assert.Len(t, adds, len(wantAdds))
	assert.True(t, slices.IsSorted(files))
	assert.Len(t, files, len(wantFiles))
	for _, path := range files {
		assert.True(t, wantFiles[path], path)
	}
	assert.Equal(t, g.ID, s.Metadata.ID)
	if g.PartitionColumns != nil { // not known for logs that begin at a checkpoint
		assert.Equal(t, g.PartitionColumns, append([]string{}, s.Metadata.PartitionColumns...))
	}
	assert.Equal(t, g.Protocol.Reader, s.Protocol.MinReaderVersion)
	assert.Equal(t, g.Protocol.Writer, s.Protocol.MinWriterVersion)
	assert.ElementsMatch(t, g.Protocol.ReaderFeatures, s.Protocol.ReaderFeatures)
	assert.ElementsMatch(t, g.Protocol.WriterFeatures, s.Protocol.WriterFeatures)
	assert.True(t, json.Valid([]byte(s.Metadata.SchemaString)))
}

// compareWithReplay compares the state from the newest checkpoint with that
// from the commits alone.
func compareWithReplay(t *testing.T, g goldenTable, d *Dir, v Version) {
	s, err := d.Snapshot(t.Context(), v, nil)
	require.NoError(t, err)
	defer closeSnapshot(t, s)
	replayed, err := buildSnapshot(t.Context(), dirLog{d}, v, nil, (*SnapshotOptions)(nil).withDefaults())
	require.NoError(t, err)
	defer closeSnapshot(t, replayed)
	assert.Nil(t, replayed.Base)
	got, want := stateOf(t, s), stateOf(t, replayed)
	if slices.Contains(structStats, g.name) && s.Base != nil {
		dropMinima(t, got)
		dropMinima(t, want)
	}
	assert.Equal(t, want, got, "version %d", v)
}
