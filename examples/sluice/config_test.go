package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
)

// said runs the command and returns what it wrote to both.
func said(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	require.Equal(t, want, run(t.Context(), args, &out, &errOut), "%v: %s%s", args, &out, &errOut)
	return out.String() + errOut.String()
}

func TestConfigThatMakesNoSense(t *testing.T) {
	table, folder := t.TempDir(), t.TempDir()
	commit(t, table, "00000000000000000000.json", firstCommit)
	file := replicas(t, "", folder)
	text := said(t, cli.ExitUsage, "push", table, "file://"+folder, "--config", file)
	require.Contains(t, text, "--config names the store, URL file://"+folder+" is one too many")
	pulls := replicas(t, "  mode: pull\n", folder)
	text = said(t, cli.ExitUsage, "push", table, "--config", pulls)
	require.Contains(t, text, pulls+" is of mode pull, that of a replica, which is not pushed from")
	twice := replicas(t, "", folder, t.TempDir(), folder)
	for _, command := range []string{"push", "follow", "status"} {
		text = said(t, cli.ExitUsage, command, table, "--config", twice)
		require.Contains(t, text, twice+": file://"+folder+" stands there twice")
	}
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, left, "nothing was pushed")
}

// What lies in memory no other command would find.
func TestMemoryIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pond.yaml")
	require.NoError(t, os.WriteFile(file, []byte("storage_type: mem\n"), 0o600))
	for _, args := range [][]string{
		{"push", "t", "mem://"}, {"init", "mem://", "/tmp/store"}, {"versions", "mem://"}, {"drill", "mem://"}, {"push", "t", "--config", file}, {"verify", "--config", file},
	} {
		require.Contains(t, said(t, cli.ExitUsage, args...), "what lies in memory is gone when the command ends", args)
	}
}

// Every command that takes a URL takes a file instead.
func TestEveryCommandTakesAConfig(t *testing.T) {
	table, store, replica := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "replica")
	file := replicas(t, "", store, filepath.Join(t.TempDir(), "never"))
	commit(t, table, "00000000000000000000.json", firstCommit)
	said(t, cli.ExitDone, "push", table, store)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"version", []string{"base", table}},
		{"versions 0 to 0", []string{"init", replica}},
		{"nothing new", []string{"pull", replica}},
		{"identical to the store", []string{"verify", replica}},
		{"0 problems", []string{"verify"}},
		{"version 0 restored", []string{"drill", "--folder", t.TempDir()}},
		{"bundle of ", []string{"versions"}},
		{"0 bundles", []string{"consolidate"}},
		{"everything is kept", []string{"prune"}},
		{"version 0 is kept as audit", []string{"pin", "audit", "0"}},
		{"0\taudit", []string{"pin"}},
		{"no pin audit any more", []string{"unpin", "audit"}},
		{"nothing is in the way", []string{"repair", table}},
		{"local version 0, store version 0", []string{"status", table, "--config", replicas(t, "", store)}},
	} {
		require.Contains(t, said(t, cli.ExitDone, append(c.args, "--config", file)...), c.says, c.args)
	}
	for _, args := range [][]string{{"init"}, {"init", "a", "b"}, {"drill", "a"}, {"versions", "a", "b"}, {"unpin"}, {"repair"}} {
		said(t, cli.ExitUsage, append(args, "--config", file)...)
	}
	require.Contains(t, said(t, cli.ExitUsage, "versions", "--config", "/does/not/exist"), "/does/not/exist")

	other := replicas(t, "  source_pond_id: another\n", store)
	require.Contains(t, said(t, cli.ExitDiverged, "init", filepath.Join(t.TempDir(), "r"), "--config", other), "it is another one than SourceID names")
}

func TestStatusOfSeveralStores(t *testing.T) {
	table, one, two := t.TempDir(), t.TempDir(), t.TempDir()
	file := replicas(t, "", one, two)
	commit(t, table, "00000000000000000000.json", firstCommit)
	require.Contains(t, said(t, cli.ExitDone, "status", table, "--config", file), "all stores\nsafe to vacuum and to clean up: none\n")
	said(t, cli.ExitDone, "push", table, "--config", file)
	commit(t, table, "00000000000000000001.json", `{"commitInfo":{}}`+"\n")
	said(t, cli.ExitDone, "push", table, one)
	require.Contains(t, said(t, cli.ExitDone, "status", table, "--config", file), "all stores\nsafe to vacuum and to clean up: version 0\n")
	require.NotContains(t, said(t, cli.ExitDone, "status", table, one), "all stores")

	require.NoError(t, os.WriteFile(filepath.Join(two, "sluice.json"), []byte("not json"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(two, "backups/head.json")))
	require.Contains(t, said(t, cli.ExitCorrupt, "status", table, "--config", file), "all stores\nsafe to vacuum and to clean up: none\n")
	commit(t, table, "00000000000000000002.json", `{"commitInfo":{}}`+"\n")
	for _, command := range []string{"push", "status"} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitCorrupt, run(t.Context(), []string{command, table, "--config", file, "--json"}, &out, &errOut))
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		require.Len(t, lines, 2, "one for each store: %s", &out)
		require.NotContains(t, string(lines[0]), `"error"`, command)
		require.Contains(t, string(lines[1]), `"store":"file://`+two+`"`, command)
		require.Contains(t, string(lines[1]), `"error":"`, command)
	}
}

func TestStatusMaxLagOfNothing(t *testing.T) {
	nowhere, store := filepath.Join(t.TempDir(), "none"), t.TempDir()
	require.Contains(t, said(t, exitBehind, "status", nowhere, store, "--max-lag", "1h"), "neither the table nor the store has a version")
	said(t, cli.ExitDone, "status", nowhere, store)
}

// What is carried by the bundle of another version does not say that one's size.
func TestVersionsOfARun(t *testing.T) {
	table, store := t.TempDir(), t.TempDir()
	commit(t, table, "00000000000000000000.json", firstCommit)
	said(t, cli.ExitDone, "push", table, store)
	commit(t, table, "00000000000000000001.json", `{"commitInfo":{}}`+"\n")
	commit(t, table, "00000000000000000002.json", `{"commitInfo":{}}`+"\n")
	said(t, cli.ExitDone, "push", table, store)
	require.Regexp(t, `^0\t\d{4}-\d\d-\d\dT\S+Z\tbundle of \d+ bytes
1\t\S+\tbundle of \d+ bytes
2\t\S+\tin the bundle of version 1
$`, said(t, cli.ExitDone, "versions", store))
}

// A floor can be taken back as prune says, as long as nothing was removed.
func TestFloorTakenBack(t *testing.T) {
	table, store := t.TempDir(), t.TempDir()
	commit(t, table, "00000000000000000000.json", firstCommit)
	said(t, cli.ExitDone, "push", table, store)
	commit(t, table, "00000000000000000001.json", `{"commitInfo":{}}`+"\n")
	said(t, cli.ExitDone, "push", table, store)
	said(t, cli.ExitDone, "base", table, store)
	require.NotContains(t, said(t, cli.ExitDone, "prune", store, "--keep-versions", "1"), "take this back", "nothing was done")
	text := said(t, cli.ExitDone, "prune", store, "--keep-versions", "1", "--delete")
	require.Contains(t, text, "kept from version 1 on; removed 0 objects")
	require.Contains(t, text, "to take this back, delete backups/floor-000001.json before a prune ")
	require.NotContains(t, said(t, cli.ExitDone, "prune", store, "--delete"), "take this back", "it is told once")
	said(t, cli.ExitGap, "init", filepath.Join(t.TempDir(), "r"), store, "--version", "0")

	require.NoError(t, os.Remove(filepath.Join(store, "backups/floor-000001.json")))
	require.Contains(t, said(t, cli.ExitDone, "init", filepath.Join(t.TempDir(), "r"), store), "versions 0 to 1")
	require.Contains(t, said(t, cli.ExitDone, "verify", table, store, "--data"), "\n0 problems")
	require.Contains(t, said(t, cli.ExitDone, "prune", store), "everything is kept")
}
