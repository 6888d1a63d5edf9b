package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
)

// TestPond has all engines open the table of a pond, of a replica that follows
// and of one restored from live files: at every version, each engine finds the
// same everywhere.
func TestPond(t *testing.T) {
	l := engines(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "pond")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/pondworks/sluice/examples/pond").CombinedOutput()
	require.NoError(t, err, "%s", out)
	source, replica := filepath.Join(dir, "source"), filepath.Join(dir, "replica")
	pond := func(input string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Stdin = strings.NewReader(input)
		cmd.Env = append(os.Environ(), "POND="+source)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "pond %v: %s", args, out)
	}
	config := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte("storage_type: local\npath: "+filepath.Join(dir, "backup")+"\n"+text), 0o600))
		return file
	}

	pond("", "init")
	pond("", "mknod", "remote", "/etc/system.d/10-remote", "--config-path", config("push.yaml", ""))
	pond("id,name\n1,heron\n", "put", "/data/test.csv")
	pond("", "init", "--from-backup", config("replica.yaml", "mode: init\nauto_switch_to_pull: true\n"), "--pond-path", replica)
	for i := range 9 { // past the first checkpoint
		pond(fmt.Sprintf("id,name\n%d,newt\n", i), "put", "/data/test.csv")
	}
	pond("", "rm", "/data/test.csv")
	pond("", "maintain")
	pond("", "sync", "--pond-path", replica)

	x := &trial{T: t, lab: l, scenario: "pond", source: filepath.Join(source, "data"), last: -1,
		want: map[question]string{}, refused: map[string]string{}}
	x.findLast()
	require.Greater(t, x.last, 10)
	for _, engine := range l.Engines {
		x.remember(reads(engine, 0, x.last))
	}
	require.Empty(t, x.refused)
	copied := filepath.Join(replica, "data")
	require.FileExists(t, filepath.Join(copied, deltalog.Version(10).CheckpointPath()))
	count := x.requireSame(copied, func(question) bool { return true })
	require.Equal(t, len(l.Engines)*(x.last+1), count)
	x.requireTip(copied, "about", "history")
	t.Logf("%d engines read %d versions of a pond and of its replica alike", len(l.Engines), x.last+1)
}
