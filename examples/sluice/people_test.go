package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

// Every command shows how it is used, and says so to who used it wrongly.
func TestEveryCommandHelps(t *testing.T) {
	for _, cmd := range (&app{bar: &cli.Bar{}}).root().Commands() {
		require.NotEmpty(t, cmd.Example, cmd.Name())
		for line := range strings.Lines(cmd.Example) {
			require.True(t, strings.HasPrefix(line, "  sluice "+cmd.Name()+" "), line)
		}
		requireUsage(t, cmd)
	}
}

func requireUsage(t *testing.T, cmd *cobra.Command) {
	t.Helper()
	for _, args := range [][]string{{cmd.Name()}, {cmd.Name(), "a", "b", "c", "d"}, {cmd.Name(), "--nonsense"}} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), args, &out, &errOut), "%v: %s", args, errOut.String())
		require.Contains(t, errOut.String(), "; see sluice "+cmd.Name()+" --help\n", args)
		require.Empty(t, out.String())
	}
}

func TestMistypedCommand(t *testing.T) {
	var out, errOut bytes.Buffer
	require.Equal(t, cli.ExitUsage, run(t.Context(), []string{"psuh", "--json"}, &out, &errOut))
	require.Equal(t, `{"error":"usage: unknown command \"psuh\"; did you mean push?; see sluice --help","exit_code":2}`+"\n", errOut.String())
}
