package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEngines has delta-rs list a pond and its replicas at every version: small
// files, large ones, removed ones, after a compaction, from a checkpoint.
func TestEngines(t *testing.T) {
	if os.Getenv("SLUICE_PYTHON") == "" {
		t.Skip("SKIPPED: SLUICE_PYTHON names no Python with deltalake; .ci/run installs one")
	}
	dir := t.TempDir()
	source, replica, restored := filepath.Join(dir, "source"), filepath.Join(dir, "replica"), filepath.Join(dir, "restored")
	t.Setenv("POND", source)
	config := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte("storage_type: local\npath: "+filepath.Join(dir, "backup")+"\n"+text), 0o600))
		return file
	}

	pond(t, "", "init")
	pond(t, "", "mknod", "remote", "/etc/system.d/10-remote", "--config-path", config("push.yaml", ""))
	pond(t, "id,name\n1,heron\n", "put", "/data/test.csv")
	pond(t, "", "init", "--from-backup", config("replica.yaml", "mode: init\nauto_switch_to_pull: true\n"), "--pond-path", replica)
	for i := range 12 {
		pond(t, fmt.Sprintf("id,name\n%d,newt\n", i), "put", "/data/test.csv")
	}
	pond(t, strings.Repeat("large ", 100_000), "put", "/data/large.txt")
	pond(t, "", "put", "/data/empty")
	pond(t, "", "mkdir", "/data/more")
	pond(t, "", "rm", "/data/test.csv")
	pond(t, "", "maintain")
	pond(t, "back", "put", "/data/test.csv")

	pond(t, "", "sync", "--pond-path", replica)
	pond(t, "", "restore", "--from-backup", filepath.Join(dir, "backup"), "--pond-path", restored)
	for _, p := range []string{source, replica, restored} {
		engineLists(t, p)
	}
}

// engineLists compares what delta-rs makes of a pond with what pond ls says.
func engineLists(t *testing.T, path string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv("SLUICE_PYTHON"), "testdata/read.py", filepath.Join(path, "data"), "/data")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 20, "versions")
	require.JSONEq(t, "[]", lines[0])
	for v, line := range lines[1:] {
		require.JSONEq(t, pond(t, "", "ls", "/data", "--json", "--version", fmt.Sprint(v+1), "--pond-path", path), line, "version %d of %s", v+1, path)
	}
}
