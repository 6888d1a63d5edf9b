package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

// replicas writes a configuration of a store and its replicas, which are folders.
func replicas(t *testing.T, more string, folders ...string) (file string) {
	t.Helper()
	text := "remote:\n  storage_type: local\n  path: " + folders[0] + "\n" + more
	for i, folder := range folders[1:] {
		if i == 0 {
			text += "  replicas:\n"
		}
		text += "  - storage_type: local\n    path: " + folder + "\n"
	}
	file = filepath.Join(t.TempDir(), "pond.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestPushToSeveralStores(t *testing.T) {
	table, one, two, damaged := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	config := replicas(t, "", one, two, damaged)
	commit(t, table, "00000000000000000000.json", firstCommit)
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "sluice.json"), []byte("not json"), 0o600))
	sluice := func(want int, args ...string) (string, string) {
		var out, errOut bytes.Buffer
		require.Equal(t, want, run(t.Context(), args, &out, &errOut), errOut.String())
		return out.String(), errOut.String()
	}
	out, said := sluice(cli.ExitCorrupt, "push", table, "--config", config)
	require.Contains(t, out, "file://"+one+": push: versions 0 to 0")
	require.Contains(t, out, "file://"+two+": push: versions 0 to 0")
	require.NotContains(t, out, damaged)
	require.Contains(t, said, "store file://"+damaged+": ")
	out, said = sluice(cli.ExitCorrupt, "status", table, "--config", config)
	require.Contains(t, out, "file://"+two+"\nlocal version 0, store version 0, 0 behind, 0 ahead\n")
	require.Contains(t, said, "file://"+damaged+": ")

	require.NoError(t, os.Remove(filepath.Join(damaged, "sluice.json")))
	out, _ = sluice(cli.ExitDone, "push", table, "--config", config, "--json")
	versions := map[string]int{}
	for lines := json.NewDecoder(bytes.NewBufferString(out)); ; {
		var line struct {
			Store    string
			Versions int
		}
		if err := lines.Decode(&line); err == io.EOF {
			break
		} else {
			require.NoError(t, err)
		}
		versions[line.Store] = line.Versions
	}
	require.Equal(t, map[string]int{"file://" + one: 0, "file://" + two: 0, "file://" + damaged: 1}, versions)
	sluice(cli.ExitDone, "status", table, "--config", config, "--max-lag", "0s")
}

func TestConfigInsteadOfURL(t *testing.T) {
	table := t.TempDir()
	commit(t, table, "00000000000000000000.json", firstCommit)
	pulls := replicas(t, "  mode: pull\n", t.TempDir())
	for _, args := range [][]string{
		{"push", table}, {"push", table, "mem://", "--config", pulls}, {"push", table, "--config", "/does/not/exist"},
		{"status", table}, {"follow", table},
		{"follow", table, "--config", replicas(t, "", t.TempDir(), t.TempDir()), "--mode", "pull"},
	} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), args, &out, &errOut), "%v: %s", args, errOut.String())
	}
}

// follow pushes to all stores of the configuration until it is interrupted; one that
// only a person can mend is reported at the end.
func TestFollowSeveralStores(t *testing.T) {
	table, one, two, foreign := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	other := t.TempDir()
	commit(t, other, "00000000000000000000.json", firstCommit+"\n")
	var out, errOut bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"push", other, foreign}, &out, &errOut), errOut.String())
	commit(t, table, "00000000000000000000.json", firstCommit)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	said := &lineCounter{want: 3, reached: interrupt} // two pushes, and that one was given up
	code := run(ctx, []string{"follow", table, "--config", replicas(t, "  sync_interval: 1\n", one, two, foreign)}, said, said)
	require.Equal(t, cli.ExitDiverged, code, said.String())
	require.Contains(t, said.String(), "file://"+one+": push: versions 0 to 0")
	require.Contains(t, said.String(), "file://"+two+": push: versions 0 to 0")
	require.Contains(t, said.String(), "store file://"+foreign+": ")
}

// lineCounter calls reached after so many lines.
type lineCounter struct {
	mu sync.Mutex // guards the buffer
	bytes.Buffer
	want    int
	reached func()
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.Buffer.Write(p)
	if bytes.Count(c.Bytes(), []byte("\n")) == c.want {
		c.reached()
	}
	return n, err
}
