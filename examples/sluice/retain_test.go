package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

// TestRetention drives the commands that keep a store small.
func TestRetention(t *testing.T) {
	table, store := t.TempDir(), t.TempDir()
	sluice := func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		require.Zero(t, run(t.Context(), args, &out, &errOut), errOut.String())
		return out.String()
	}
	commit := func(v int) {
		log := filepath.Join(table, "_delta_log")
		require.NoError(t, os.MkdirAll(log, 0o755))
		text := `{"commitInfo":{"operation":"WRITE"}}` + "\n"
		if v == 0 {
			text += `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
				`{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":{}}}` + "\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(log, fmt.Sprintf("%020d.json", v)), []byte(text), 0o644))
	}
	for v := range 10 {
		commit(v)
		sluice("push", table, store)
		if v == 6 {
			sluice("base", table, store)
		}
	}
	require.Contains(t, sluice("prune", store), "everything is kept without --keep-days and --keep-versions; ")
	require.Contains(t, sluice("prune", store, "--keep-versions", "8"), "everything is kept, since no base (sluice base takes one) is as old as what must stay; ")
	require.Contains(t, sluice("consolidate", store), "10 bundles")
	require.Equal(t, "version 2 is kept as audit\n", sluice("pin", store, "audit", "2"))
	require.Equal(t, "2\taudit\n", sluice("pin", store))
	require.Contains(t, sluice("prune", store, "--keep-versions", "3", "--grace", "0"), "would remove 10 objects")
	require.Contains(t, sluice("prune", store, "--keep-versions", "3", "--grace", "0", "--delete"), "kept from version 6 on; removed 10 objects")
	require.Contains(t, sluice("init", filepath.Join(t.TempDir(), "r"), store), "versions 6 to 9")
	require.Contains(t, sluice("init", "--version", "2", filepath.Join(t.TempDir(), "r"), store), "versions 0 to 2")
	sluice("unpin", store, "audit")
	var gone bytes.Buffer
	require.Equal(t, cli.ExitFailed, run(t.Context(), []string{"unpin", store, "audit"}, &gone, &gone))
	require.Contains(t, gone.String(), `no pin has the name "audit"`)
	require.Empty(t, sluice("pin", store))
	require.Equal(t, "nothing is in the way\n", sluice("repair", table, store))
	require.Equal(t, "[]\n", sluice("repair", table, store, "--json"))
	var out, errOut bytes.Buffer
	require.Equal(t, cli.ExitGap, run(t.Context(), []string{"init", "--version", "2", filepath.Join(t.TempDir(), "r"), store}, &out, &errOut))
}
