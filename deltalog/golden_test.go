package deltalog

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goldenVariable names the folder of real tables with what is known about them.
const goldenVariable = "SLUICE_GOLDEN"

// goldenTable is the description that lies beside each golden table.
type goldenTable struct {
	name             string
	folder           string
	Latest           int64    `json:"latest_version"`
	Logged           []int64  `json:"commit_versions"`
	ID               string   `json:"table_id"`
	PartitionColumns []string `json:"partition_columns"`
	Protocol         struct {
		Reader         int      `json:"minReaderVersion"`
		Writer         int      `json:"minWriterVersion"`
		ReaderFeatures []string `json:"readerFeatures"`
		WriterFeatures []string `json:"writerFeatures"`
	} `json:"protocol"`
	Active []struct {
		Path   string `json:"path"` // as in the log
		Size   int64  `json:"size"`
		OnDisk bool   `json:"on_disk"`
		DV     *struct {
			File   string `json:"file"`
			OnDisk bool   `json:"on_disk"`
		} `json:"dv"`
	} `json:"active"`
}

// goldenTables returns the tables, none if the variable is not set.
func goldenTables(t testing.TB) []goldenTable {
	folder := os.Getenv(goldenVariable)
	if folder == "" {
		return nil
	}
	descriptions, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, descriptions, "%s has no tables", folder)
	var tables []goldenTable
	for _, file := range descriptions {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var g goldenTable
		require.NoError(t, json.Unmarshal(b, &g), file)
		g.folder = file[:len(file)-len(".json")]
		g.name = filepath.Base(g.folder)
		tables = append(tables, g)
	}
	return tables
}

func goldenActive(t testing.TB) (raw []string) {
	for _, g := range goldenTables(t) {
		for _, a := range g.Active {
			raw = append(raw, a.Path)
		}
	}
	return raw
}

func goldenCommits(t testing.TB) (commits [][]byte) {
	for _, g := range goldenTables(t) {
		for _, v := range g.Logged {
			b, err := os.ReadFile(filepath.Join(g.folder, Version(v).CommitPath()))
			require.NoError(t, err)
			commits = append(commits, b)
		}
	}
	return commits
}

// refusedTables are the golden tables that cannot be copied, and where that
// shows: at the tip, in a commit, or in its protocol.
var refusedTables = map[string]struct{ tip, scan, protocol error }{
	"delta__versions-not-contiguous":       {tip: ErrCorrupt},
	"delta-rs__table-with-domain-metadata": {tip: ErrUnsupported},
	"delta__canonicalized-paths-normal-a":  {scan: ErrUnsupported},
	"delta-rs__simple_table_features":      {protocol: ErrUnsupported},
}

func TestGolden(t *testing.T) {
	tables := goldenTables(t)
	if tables == nil {
		t.Skipf("NOT RUN: set %s to the folder of the golden tables", goldenVariable)
	}
	seen := 0
	for _, g := range tables {
		t.Run(g.name, func(t *testing.T) {
			refused, isRefused := refusedTables[g.name]
			if isRefused {
				seen++
			}
			d, err := OpenDir(g.folder)
			require.NoError(t, err)
			tip, err := d.Tip(t.Context())
			require.ErrorIs(t, err, refused.tip)
			if refused.tip != nil {
				return
			}
			assert.Equal(t, Version(g.Latest), tip)
			for from := range tip + 1 {
				upward, err := d.TipFrom(t.Context(), from)
				require.NoError(t, err)
				assert.Equal(t, tip, upward, "from %d", from)
			}
			state, err := d.State(t.Context())
			require.NoError(t, err)
			assert.Equal(t, State{Table: true}, state)
			replayGolden(t, g, d, tip, refused.scan, refused.protocol)
		})
	}
	assert.Len(t, refusedTables, seen, "a table that should be refused is not among the golden ones")
}

// replayGolden reads all commits and compares what is live at the end with
// what others found.
func replayGolden(t *testing.T, g goldenTable, d *Dir, tip Version, scanErr, protocolErr error) {
	simple := map[string]bool{} // adds minus removes, by path alone
	id := ""
	var refused error
	start, err := d.Start(t.Context())
	require.NoError(t, err)
	if start > 0 {
		return // the commits are only part of the table: see TestGoldenSnapshots
	}
	for v := range tip + 1 {
		f, err := d.OpenCommit(t.Context(), v)
		require.NoError(t, err)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Len(t, b, int(f.Size))
		c, err := scanText(string(b))
		if err != nil {
			require.ErrorIs(t, err, scanErr)
			return
		}
		for _, path := range c.Removed {
			delete(simple, path)
		}
		for _, file := range c.Files {
			if file.Kind == KindData {
				if file.Kept {
					assert.True(t, simple[file.Path], "version %d: %s is kept but was not live", v, file.Path)
				}
				simple[file.Path] = true
			}
		}
		if c.Metadata != nil {
			id = c.Metadata.ID
		}
		if c.Protocol != nil && refused == nil {
			refused = c.Protocol.Check()
		}
	}
	require.NoError(t, scanErr, "it was not refused")
	require.ErrorIs(t, refused, protocolErr)
	assert.Equal(t, g.ID, id)
	compareLive(t, g, d, simple)
}

func compareLive(t *testing.T, g goldenTable, d *Dir, live map[string]bool) {
	want := map[string]bool{}
	check := func(path string, size int64, onDisk bool) {
		f, got, err := d.OpenFile(t.Context(), path)
		if !onDisk {
			assert.ErrorIs(t, err, fs.ErrNotExist)
			return
		}
		require.NoError(t, err)
		require.NoError(t, f.Close())
		if size > 0 {
			assert.Equal(t, size, got, path)
		}
	}
	for _, a := range g.Active {
		path, err := DecodePath(a.Path)
		require.NoError(t, err)
		want[path] = true
		check(path, a.Size, a.OnDisk)
		if a.DV != nil && a.DV.File != "" {
			check(a.DV.File, 0, a.DV.OnDisk)
		}
	}
	assert.Equal(t, want, live)
}
