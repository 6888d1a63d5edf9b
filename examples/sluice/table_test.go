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

// A folder is a table in a folder, however its place is written: as a store it
// would lose the times of its commits.
func TestTableByURL(t *testing.T) {
	source, replica, store := t.TempDir(), filepath.Join(t.TempDir(), "replica"), filepath.Join(t.TempDir(), "store")
	commit(t, source, "00000000000000000000.json", firstCommit)
	first := filepath.Join("_delta_log", "00000000000000000000.json")
	when := time.Unix(1_500_000_000, 0)
	require.NoError(t, os.Chtimes(filepath.Join(source, first), when, when))
	var out, errOut bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"push", "file://" + filepath.ToSlash(source), store}, &out, &errOut), errOut.String())
	require.Zero(t, run(t.Context(), []string{"init", "file://" + filepath.ToSlash(replica), store}, &out, &errOut), errOut.String())
	info, err := os.Stat(filepath.Join(replica, first))
	require.NoError(t, err)
	require.True(t, info.ModTime().Equal(when))
}

func TestTableThatIsNoURL(t *testing.T) {
	for _, table := range []string{"ftp://x/y", "s3://", "s3://user:hunter2@bucket/table"} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), []string{"push", table, "mem://"}, &out, &errOut), table)
		require.NotContains(t, errOut.String(), "hunter2")
	}
}

// VACUUM of an engine would remove a store that lies within the table.
func TestStoreWithinTheTable(t *testing.T) {
	newBucket(t)
	t.Chdir(t.TempDir())
	commit(t, "t", "00000000000000000000.json", firstCommit)
	require.NoError(t, os.WriteFile("pond.yaml", []byte("url: ./elsewhere\nreplicas:\n- url: ./t/backup\n"), 0o600))
	for _, args := range [][]string{
		{"push", "t", "./t/backup"}, {"push", "t", "./t"}, {"base", "t", "./t/backup"}, {"follow", "t", "./t/backup"},
		{"push", "t", "--config", "pond.yaml"}, {"init", "s3://pond/t", "s3://pond/t/backup"},
	} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), args, &out, &errOut), args)
		require.Contains(t, errOut.String(), ": VACUUM of an engine", args)
	}
	entries, err := os.ReadDir("t")
	require.NoError(t, err)
	require.Len(t, entries, 1) // the log
	require.NoDirExists(t, "elsewhere")
	require.NoDirExists(t, "backups")
}

func TestNoBucket(t *testing.T) {
	newBucket(t)
	table := t.TempDir()
	commit(t, table, "00000000000000000000.json", firstCommit)
	for _, command := range []string{"push", "status", "pull"} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitFailed, run(t.Context(), []string{command, table, "s3://other/store"}, &out, &errOut), errOut.String())
		require.Contains(t, errOut.String(), `no such bucket: bucket "other": `)
		require.Contains(t, errOut.String(), "(create the bucket, or check the URL)")
	}
}
