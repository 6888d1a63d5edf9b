package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFollow: sync --follow looks every sync_interval seconds, and Ctrl-C is how it
// ends.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("POND", filepath.Join(dir, "source"))
	replica := filepath.Join(dir, "replica")
	config := func(name, more string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "storage_type: local\npath: %q\n%s", filepath.Join(dir, "backup"), more), 0o600))
		return file
	}
	pond(t, "", "init")
	pond(t, "", "mknod", "remote", "/etc/system.d/10-remote", "--config-path", config("push.yaml", ""))
	pond(t, "", "init", "--from-backup", config("init.yaml", "mode: init\nauto_switch_to_pull: true\nsync_interval: 1\n"), "--pond-path", replica)

	ctx, interrupt := context.WithCancel(t.Context())
	lines, out := io.Pipe()
	var errOut bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sync", "--follow", "--pond-path", replica}, nil, out, &errOut)
		_ = out.Close() // of a pipe: it cannot fail
	}()
	pond(t, "one", "put", "/one")
	said := bufio.NewScanner(lines)
	require.True(t, said.Scan())
	require.Contains(t, said.Text(), "pulled version 1: ")
	pond(t, "two", "put", "/two")
	require.True(t, said.Scan())
	require.Contains(t, said.Text(), "pulled version 2: ")
	interrupt()
	require.Zero(t, <-code, errOut.String())

	require.Equal(t, "two", pond(t, "", "cat", "/two", "--pond-path", replica))
	require.Contains(t, pond(t, "", "sync", "status", "--pond-path", replica), "pulled version 2: ", "passes are recorded")
}

// TestInterrupt: Ctrl-C ends a command that waits for its standard input, which then
// has done nothing.
func TestInterrupt(t *testing.T) {
	t.Setenv("POND", filepath.Join(t.TempDir(), "pond"))
	pond(t, "", "init")
	in, typing := io.Pipe()
	ctx, interrupt := context.WithCancel(t.Context())
	var out, errOut bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"put", "/data"}, in, &out, &errOut) }()
	_, err := typing.Write(make([]byte, 100<<10)) // it is reading
	require.NoError(t, err)
	interrupt()
	require.Equal(t, exitInterrupted, <-code)
	require.Contains(t, errOut.String(), "interrupted; what is done is kept")
	require.NoError(t, typing.Close())
	require.Equal(t, "[]\n", pond(t, "", "ls", "--json"))
}
