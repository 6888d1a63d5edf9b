package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

func TestStatusMaxLag(t *testing.T) {
	table, url := t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, table, "00000000000000000000.json", firstCommit)
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(table, "_delta_log/00000000000000000000.json"), old, old))
	status := func(maxLag string) (int, string) {
		var out, errOut bytes.Buffer
		code := run(t.Context(), []string{"status", table, url, "--max-lag", maxLag}, &out, &errOut)
		return code, out.String() + errOut.String()
	}
	code, text := status("30m")
	require.Equal(t, exitBehind, code, text)
	require.Contains(t, text, "local version 0, store none, 0 behind, 1 ahead")
	require.NotContains(t, text, "lineage") // the store has none yet
	require.Contains(t, text, "1h0m0s old, 30m0s are allowed")
	code, text = status("2h")
	require.Zero(t, code, text)
	code, text = status("-1s")
	require.Equal(t, cli.ExitUsage, code, text)

	var out, errOut bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"push", table, url}, &out, &errOut), errOut.String())
	code, text = status("0s")
	require.Zero(t, code, text)
	require.Contains(t, text, "lineage ")
}

// Bundles that are gone since they were pushed: the head alone must not call it safe.
func TestStatusOfALostStore(t *testing.T) {
	table, url := t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, table, "00000000000000000000.json", firstCommit)
	sluice := func(args ...string) string {
		var out, errOut bytes.Buffer
		require.Zero(t, run(t.Context(), append(args, table, url), &out, &errOut), errOut.String())
		return out.String()
	}
	sluice("push")
	require.Contains(t, sluice("status"), "safe to vacuum and to clean up: version 0\n")
	require.NoError(t, os.RemoveAll(filepath.Join(url, "backups/version-000000")))
	text := sluice("status")
	require.Contains(t, text, "local version 0, store version 0, 0 behind")
	require.Contains(t, text, "safe to vacuum and to clean up: none; sluice verify tells why\n")
}

// Where the store lacks what the table ends with, the versions are told all the same.
func TestStatusAtALostVersion(t *testing.T) {
	table, behind, url := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, behind, "00000000000000000000.json", firstCommit)
	commit(t, table, "00000000000000000000.json", firstCommit)
	var out, errOut bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"push", table, url}, &out, &errOut), errOut.String())
	commit(t, table, "00000000000000000001.json", `{"commitInfo":{}}`+"\n")
	require.Zero(t, run(t.Context(), []string{"push", table, url}, &out, &errOut), errOut.String())
	require.NoError(t, os.RemoveAll(filepath.Join(url, "backups/version-000000")))
	out.Reset()
	require.NotZero(t, run(t.Context(), []string{"status", behind, url}, &out, &errOut))
	require.Contains(t, out.String(), "local version 0, store version 1, 1 behind")
	require.Contains(t, errOut.String(), "status version 0: version missing from the store")
}
