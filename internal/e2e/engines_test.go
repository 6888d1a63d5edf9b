package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEngines takes a table on which delta-rs does all that it can through every
// store; all engines read the replicas.
func TestEngines(t *testing.T) {
	engines(t)
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) { newTrial(t, "mixed", p).run() })
	}
}

// TestWriters takes tables of other writers, with what each has of its own,
// through a folder. Without Spark its tables are missing.
func TestWriters(t *testing.T) {
	l := engines(t)
	names := labs[[]string](t, l, "scenarios", map[string]any{"prefix": ""})
	for _, name := range names {
		if !slices.Contains([]string{"mixed", "many", "wide", "duckdb"}, name) {
			t.Run(name, func(t *testing.T) { newTrial(t, name, folder(t)).run() })
		}
	}
	if reason := l.Absent["spark"]; reason != "" {
		t.Run("spark", func(t *testing.T) { t.Skip("SKIPPED: " + reason) })
	}
}

// TestEveryTableIsRun finds each table of Spark in .ci/run or .ci/nightly, which
// name them to share the time.
func TestEveryTableIsRun(t *testing.T) {
	var named []string
	for _, script := range []string{"run", "nightly"} {
		text, err := os.ReadFile(filepath.Join("..", "..", ".ci", script))
		require.NoError(t, err)
		for _, list := range regexp.MustCompile(`spark_\(([^)]*)\)`).FindAllSubmatch(text, -1) {
			named = append(named, strings.Split(string(list[1]), "|")...)
		}
	}
	source, err := os.ReadFile(filepath.Join("testdata", "sparktables.py"))
	require.NoError(t, err)
	_, scenarios, _ := strings.Cut(string(source), "\nSCENARIOS = ")
	var tables []string
	for _, name := range regexp.MustCompile(`"([a-z0-9 ]+)": `).FindAllStringSubmatch(scenarios, -1) {
		tables = append(tables, strings.ReplaceAll(name[1], " ", "_"))
	}
	require.NotEmpty(t, tables)
	require.ElementsMatch(t, tables, named)
}

// TestDuckDBWriter takes a table to which DuckDB appended. Its extension names the
// files by paths from the root of the file system, where they are not, so that
// Spark and delta-rs do not find them. We must not take such a table for sound.
func TestDuckDBWriter(t *testing.T) {
	x := newTrial(t, "duckdb", folder(t))
	x.begin()
	for x.step() != "" {
		x.findLast()
	}
	require.Equal(t, 3, x.last)
	code, out := sluice(t, nil, "push", x.source, x.store.url)
	require.Equal(t, 8, code, out)
	require.Contains(t, out, "absolute path")
	for q, answer := range x.answers(x.source, reads("deltalake", 1, x.last)) {
		require.True(t, strings.HasPrefix(answer, "error"), "delta-rs reads %v now: does DuckDB write other paths?", q)
	}
}

// folder is a store in a folder of the test.
func folder(t *testing.T) place {
	return place{url: "file://" + filepath.ToSlash(t.TempDir()) + "/store"}
}

func (x *trial) run() {
	x.grow()
	x.requireFull()
	x.requireLive()
}

// TestManyVersions does the same with 200 versions, and rebuilds the table with
// GNU tar and zstd alone.
func TestManyVersions(t *testing.T) {
	x := newTrial(t, "many", folder(t))
	x.run()
	t.Run("tar", func(t *testing.T) {
		if _, err := exec.LookPath("zstd"); err != nil {
			t.Skip("SKIPPED: no zstd here")
		}
		out := t.TempDir()
		script := `set -e; cd "$1"; for b in $(ls backups/version-*/bundle.tar.zst | sort -V); do tar --zstd -xf $b -C "$2"; done`
		text, err := exec.CommandContext(t.Context(), "bash", "-c", script, "-", strings.TrimPrefix(x.store.url, "file://"), out).CombinedOutput()
		require.NoError(t, err, "%s", text)
		requireSameCommits(t, x.source, out)
		require.Positive(t, x.requireSame(out, func(q question) bool { return q.engine == "deltalake" }))
	})
}

// TestFilesInBase takes a table through a folder two of whose commits name more files than a
// manifest lists: one adds 41,000, another removes them.
func TestFilesInBase(t *testing.T) {
	x := newTrial(t, "wide", folder(t))
	x.begin()
	for x.step() != "" {
		first := x.last + 1
		x.findLast()
		x.remember(reads("deltalake", first, x.last))
		x.push()
		x.pull()
	}
	require.Equal(t, 3, x.last)
	for _, v := range []string{"000000", "000002"} {
		require.FileExists(t, filepath.Join(strings.TrimPrefix(x.store.url, "file://"), "backups", "version-"+v, "base.tar.zst"))
	}
	for _, engine := range x.lab.Engines {
		x.remember(reads(engine, x.last, x.last))
	}
	x.requireFull()
	require.EqualValues(t, 2, x.live("live"))
}
