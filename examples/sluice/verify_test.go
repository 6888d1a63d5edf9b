package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
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

// Who has a store that is not whole must not take anything from there, nor throw the table away.
func TestVerifyTellsNoWayOutOfADamagedStore(t *testing.T) {
	source, replica, store := t.TempDir(), filepath.Join(t.TempDir(), "replica"), filepath.Join(t.TempDir(), "store")
	for v, name := range []string{"f", "g", "h"} {
		text := `{"add":{"path":"` + name + `.parquet","partitionValues":{},"size":4,"modificationTime":1,"dataChange":true}}` + "\n"
		if v == 0 {
			text = firstCommit + text
		}
		require.NoError(t, os.WriteFile(filepath.Join(source, name+".parquet"), []byte("data"), 0o600))
		commit(t, source, fmt.Sprintf("%020d.json", v), text)
		said(t, cli.ExitDone, "push", source, store)
	}
	said(t, cli.ExitDone, "init", replica, store)
	require.NoError(t, os.Remove(filepath.Join(replica, "f.parquet")))
	bundle := func(v int) string {
		return filepath.Join(store, fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v))
	}
	require.NoError(t, os.WriteFile(bundle(1), []byte("no bundle"), 0o600))
	require.NoError(t, os.Remove(bundle(2)))
	text := said(t, cli.ExitCorrupt, "verify", replica, store)
	require.Contains(t, text, "the store is not whole: keep this table")
	require.NotContains(t, text, "brings back")
	require.Contains(t, text, " damaged; ")
	require.Contains(t, text, " missing")
	require.Equal(t, cli.ExitCorrupt, exitCode(fmt.Errorf("%w; %w", remote.ErrGap, remote.ErrCorrupt)))

	text = said(t, cli.ExitCorrupt, "verify", store)
	require.NotContains(t, text, "the store is not whole", "there is no table to keep")
}

// Init cannot bring back what nobody has.
func TestVerifyTellsThatAFileIsNowhere(t *testing.T) {
	source, store := t.TempDir(), filepath.Join(t.TempDir(), "store")
	commit(t, source, "00000000000000000000.json", firstCommit+`{"add":{"path":"f.parquet","partitionValues":{},"size":4,"modificationTime":1,"dataChange":true}}`+"\n")
	said(t, cli.ExitDone, "push", source, store, "--allow-missing")
	text := said(t, cli.ExitCorrupt, "verify", source, store)
	require.Contains(t, text, "1 files that it needs were gone before they were pushed: nobody can read that version in full")
	require.NotContains(t, text, "brings back")
	require.NotContains(t, text, "is not whole")
	require.Contains(t, said(t, cli.ExitCorrupt, "base", source, store), "(no base was taken; put the file back, ")
	require.Contains(t, said(t, cli.ExitCorrupt, "drill", store), "not as it should be; 1 that it needs were gone before they were pushed")
	require.NotContains(t, said(t, cli.ExitFailed, "verify", filepath.Join(t.TempDir(), "none")), "0 problems")
}
