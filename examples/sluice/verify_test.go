package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

func TestVerifyAndDrillCommands(t *testing.T) {
	table, url := t.TempDir(), filepath.Join(t.TempDir(), "store")
	sluice := func(args ...string) (int, string) {
		var out, errOut bytes.Buffer
		code := run(t.Context(), args, &out, &errOut)
		return code, out.String() + errOut.String()
	}
	for _, name := range []string{"00000000000000000000.json", "00000000000000000001.json"} {
		commit(t, table, name, firstCommit)
		code, text := sluice("push", table, url)
		require.Zero(t, code, text)
	}
	state := filepath.Join(t.TempDir(), "state")
	for _, args := range [][]string{{"verify", url}, {"verify", url, "--data"}, {"verify", table, url}, {"verify", table, "file://" + url, "--data", "--state", state}} {
		code, text := sluice(args...)
		require.Zero(t, code, text)
		require.Contains(t, text, "versions 0 to 1: 2 bundles, 0 bases, 2 files")
		require.Contains(t, text, "0 problems")
		if len(args) > 3 {
			require.Contains(t, text, "identical to the store: 2 commits")
			require.Contains(t, text, "2 bundles read in full")
		}
	}
	code, text := sluice("drill", url, "--version", "1", "--folder", t.TempDir())
	require.Zero(t, code, text)
	require.Contains(t, text, "version 1 restored in ")
	require.Contains(t, text, "2 commits, 0 files, all of it as the store says")
	code, text = sluice("drill", url, "--version", "7")
	require.Equal(t, cli.ExitGap, code, text)

	code, text = sluice("verify", url, "--state", state)
	require.Equal(t, cli.ExitUsage, code, text)
	require.NoError(t, os.Remove(filepath.Join(url, "backups/version-000000/bundle.tar.zst")))
	code, text = sluice("verify", url)
	require.Equal(t, cli.ExitGap, code, text)
	require.Contains(t, text, "PROBLEM missing version 0 backups/version-000000/bundle.tar.zst: ")
	code, text = sluice("verify", url, "--json")
	require.Equal(t, cli.ExitGap, code, text)
	require.Contains(t, text, `"kind":"missing","problem":true`)
}

// A table may be a URL as well: the first argument is the table, whatever both look like.
func TestVerifyOfATableInABucket(t *testing.T) {
	newBucket(t)
	source, folder := t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, source, "00000000000000000000.json", firstCommit)
	sluice := func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		require.Zero(t, run(t.Context(), args, &out, &errOut), errOut.String())
		return out.String()
	}
	sluice("push", source, folder)
	sluice("init", "s3://pond/table", folder)
	for _, store := range []string{folder, "file://" + folder, "s3://pond/store"} {
		sluice("push", "file://"+source, store)
		for _, table := range []string{"s3://pond/table", "file://" + source} {
			require.Contains(t, sluice("verify", table, store), "identical to the store: 1 commits")
		}
	}
}

func TestVerifyTellsHowToMendAReplica(t *testing.T) {
	source, replica, store := t.TempDir(), filepath.Join(t.TempDir(), "replica"), filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.WriteFile(filepath.Join(source, "f.parquet"), []byte("data"), 0o600))
	commit(t, source, "00000000000000000000.json", firstCommit+`{"add":{"path":"f.parquet","partitionValues":{},"size":4,"modificationTime":1,"dataChange":true}}`+"\n")
	sluice := func(want int, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		require.Equal(t, want, run(t.Context(), args, &out, &errOut), errOut.String())
		return out.String()
	}
	sluice(cli.ExitDone, "push", source, store)
	sluice(cli.ExitDone, "init", replica, store)
	require.NotContains(t, sluice(cli.ExitDone, "verify", replica, store), "brings back")
	require.NoError(t, os.Remove(filepath.Join(replica, "f.parquet")))
	require.Contains(t, sluice(cli.ExitCorrupt, "verify", replica, store), "sluice init into an empty folder brings back what the table lacks")
}
