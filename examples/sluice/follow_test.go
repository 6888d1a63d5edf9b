package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

const firstCommit = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":{}}}
`

// commit writes a commit of a table by its file name.
func commit(t *testing.T, table, name, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(table, "_delta_log"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(table, "_delta_log", name), []byte(content), 0o644))
}

func TestFollowPrintsALineForEachChangeUntilInterrupted(t *testing.T) {
	table, url := t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, table, "00000000000000000000.json", firstCommit)
	ctx, interrupt := context.WithCancel(t.Context())
	lines, out := io.Pipe()
	var errOut bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"follow", table, url, "--interval", "10ms", "--settle", "1ms"}, out, &errOut)
	}()
	printed := bufio.NewScanner(lines)
	require.True(t, printed.Scan())
	require.Contains(t, printed.Text(), "push: versions 0 to 0")
	commit(t, table, "00000000000000000001.json", `{"commitInfo":{"operation":"VACUUM START"}}`+"\n")
	require.True(t, printed.Scan())
	require.Contains(t, printed.Text(), "push: versions 1 to 1")
	interrupt()
	require.Zero(t, <-code)
	require.Empty(t, errOut.String())
}

func TestFollowUsage(t *testing.T) {
	for _, flags := range [][]string{{"--mode", "sideways"}, {"--interval", "0s"}, {"--interval", "soon"}, {"--settle", "-1s"}} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), append([]string{"follow", t.TempDir(), "mem://"}, flags...), &out, &errOut), "%v: %s", flags, errOut.String())
	}
}

// A commit that is brand new is pushed, unless the user says to wait.
func TestPushTakesTheNewestCommit(t *testing.T) {
	table, url := t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, table, "00000000000000000000.json", firstCommit)
	var out, errOut bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"push", table, url, "--settle", "1h"}, &out, &errOut), errOut.String())
	require.Contains(t, out.String(), "push: nothing new; 1 left for the next push")
	out.Reset()
	require.Zero(t, run(t.Context(), []string{"push", table, url}, &out, &errOut), errOut.String())
	require.Contains(t, out.String(), "push: versions 0 to 0")
}
