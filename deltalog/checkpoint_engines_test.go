package deltalog

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pythonVariable names a Python that has deltalake, polars and duckdb.
const pythonVariable = "SLUICE_PYTHON"

// readings is what testdata/read_tables.py says of one table: by engine, the
// digest of its rows, or how it failed.
type readings map[string]string

// readTables lets the engines read all the folders in one process.
func readTables(t *testing.T, folders []string) []readings {
	cmd := exec.CommandContext(t.Context(), os.Getenv(pythonVariable), "testdata/read_tables.py")
	cmd.Stdin = strings.NewReader(strings.Join(folders, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	var all []readings
	require.NoError(t, json.Unmarshal(out, &all))
	require.Len(t, all, len(folders))
	return all
}

// TestEnginesReadCheckpoints has engines read every golden table as it is, and
// again when all that its log has is a checkpoint of ours and the commit of
// that version. An engine that cannot read the original says the same twice.
func TestEnginesReadCheckpoints(t *testing.T) {
	tables := goldenTables(t)
	if tables == nil || os.Getenv(pythonVariable) == "" {
		t.Skipf("NOT RUN: set %s and %s", goldenVariable, pythonVariable)
	}
	var names, before, after []string
	for _, g := range tables {
		if checkpointErrors[g.name] != nil {
			continue
		}
		d := copyGolden(t, g)
		onlyCheckpoint(t, d, Version(g.Latest))
		names, before, after = append(names, g.name), append(before, g.folder), append(after, d.folder)
	}
	want, got := readTables(t, before), readTables(t, after)
	read := 0
	for i, name := range names {
		for engine, rows := range want[i] {
			if engine == "deltalake state" && slices.Contains(structStats, name) {
				continue // it shows the statistics
			}
			if !strings.HasPrefix(rows, "rows ") {
				t.Logf("%s does not read %s: %.100s", engine, name, rows)
				continue
			}
			read++
			assert.Equal(t, rows, got[i][engine], "%s of %s", engine, name)
		}
	}
	t.Logf("%d readings of %d tables", read, len(names))
	assert.Greater(t, read, len(names), "hardly anything was read")
}
