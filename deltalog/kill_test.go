package deltalog

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// killedFolder tells the test binary, run once more, to be the process that is
// killed: it applies version after version to this folder.
const killedFolder = "SLUICE_TEST_KILLED_FOLDER"

func killedFiles(v Version) map[string]string {
	return map[string]string{
		fmt.Sprintf("f-%d", v):             strings.Repeat("x", int(v)*100),
		fmt.Sprintf("p=%d/q=%d/g", v%7, v): fmt.Sprint("content of ", v),
	}
}

// TestKilledProcess is the body of the process that TestKill kills.
func TestKilledProcess(t *testing.T) {
	folder := os.Getenv(killedFolder)
	if folder == "" {
		t.Skip("only for TestKill")
	}
	d, err := OpenDir(folder)
	require.NoError(t, err)
	v := Version(0)
	if tip, err := d.Tip(t.Context()); !errors.Is(err, ErrNoTable) {
		require.NoError(t, err)
		v = tip + 1
	}
	for ; ; v++ {
		require.NoError(t, apply(t, d, v, killedFiles(v)))
		fmt.Println("applied", int64(v))
	}
}

// TestKill kills a process at whatever it is doing, again and again: what is
// visible is whole every time, and the next process goes on from there.
func TestKill(t *testing.T) {
	d := newDir(t, nil)
	tip := Version(-1)
	for range 10 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcess$")
		cmd.Env = append(os.Environ(), killedFolder+"="+d.folder)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 3 {
			require.True(t, lines.Scan(), "the process ended by itself after version %d", tip)
			require.Contains(t, lines.Text(), "applied")
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // drain the pipe, or Wait may not return
		}
		require.Error(t, cmd.Wait(), "killed")

		before := tip
		tip, err = d.Tip(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, tip, before+3)
		got := tree(t, d)
		for v := range tip + 1 {
			require.Equal(t, commitOf(killedFiles(v)), got[v.CommitPath()])
			for path, content := range killedFiles(v) {
				require.Equal(t, content, got[path], "version %d", v)
			}
		}
	}
	require.NoError(t, apply(t, d, tip+1, killedFiles(tip+1)))
	require.NoError(t, d.Discard(t.Context()))
	for path := range tree(t, d) {
		require.NotContains(t, path, "tmp", "left behind")
	}
}
