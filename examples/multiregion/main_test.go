package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
)

// commit makes version v of a table without files.
func commit(t *testing.T, table string, v deltalog.Version) {
	t.Helper()
	text := `{"commitInfo":{"operation":"WRITE"}}` + "\n"
	if v == 0 {
		text += `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
			`{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":{}}}` + "\n"
	}
	file := filepath.Join(table, filepath.FromSlash(v.CommitPath()))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

// place opens the stores of regions in a folder; those named away stop working.
func place(t *testing.T, dir string, names ...string) (targets []remote.Target) {
	t.Helper()
	var regions []string
	for _, name := range names {
		regions = append(regions, name+"=file://"+filepath.ToSlash(filepath.Join(dir, name)))
	}
	targets, err := open(t.Context(), regions)
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, "away") {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("no folder"), 0o644))
		}
	}
	return targets
}

// watched runs watch, and returns what it says and a function that ends it.
func watched(t *testing.T, table string, targets []remote.Target) (said *bufio.Scanner, stop func() error) {
	dir, err := deltalog.OpenDir(table)
	require.NoError(t, err)
	lines, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		err := watch(ctx, dir, targets, 2, time.Millisecond, out)
		done <- errors.Join(err, out.Close())
	}()
	return bufio.NewScanner(lines), func() error {
		cancel()
		return errors.Join(lines.Close(), <-done)
	}
}

func TestMultiregion(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "table")
	commit(t, table, 0)
	targets := place(t, dir, "us", "eu", "away")

	// Two of three regions have each version before it counts as safe.
	said, stop := watched(t, table, targets)
	for v := range deltalog.Version(3) {
		if v > 0 {
			commit(t, table, v)
		}
		for said.Scan() && !strings.Contains(said.Text(), " is safe: ") {
		}
		require.Equal(t, fmt.Sprintf("version %d is safe: 2 of 3 regions have it", v), said.Text())
		for _, name := range []string{"us", "eu"} {
			require.FileExists(t, filepath.Join(dir, name, "backups", fmt.Sprintf("version-%06d", v), "bundle.tar.zst"))
		}
	}
	require.ErrorIs(t, stop(), context.Canceled)

	// The first region is lost, the second is complete.
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "us")))
	restored, err := deltalog.OpenDir(filepath.Join(dir, "restored"))
	require.NoError(t, err)
	var told strings.Builder
	require.NoError(t, restore(t.Context(), restored, targets, &told))
	require.Contains(t, told.String(), "region away: ")
	require.Contains(t, told.String(), "region eu has version 2\n")
	require.Contains(t, told.String(), "restored versions 0 to 2\n")
	for v := range deltalog.Version(3) {
		want, err := os.ReadFile(filepath.Join(table, filepath.FromSlash(v.CommitPath())))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, "restored", filepath.FromSlash(v.CommitPath())))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

// TestQuorum: with two of three regions away nothing counts as safe, and that is said.
func TestQuorum(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "table")
	commit(t, table, 0)
	targets := place(t, dir, "us", "away1", "away2")
	said, stop := watched(t, table, targets)
	require.True(t, said.Scan())
	require.Contains(t, said.Text(), "version 0 is not safe yet: ")
	require.Error(t, stop())
	restored, err := deltalog.OpenDir(filepath.Join(dir, "restored"))
	require.NoError(t, err)
	require.ErrorContains(t, restore(t.Context(), restored, targets[1:], io.Discard), "no region has anything")
}

func TestRun(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), t.TempDir(), 1, true, []string{"file:///nowhere"}, io.Discard), "is no NAME=URL")
	require.ErrorContains(t, run(t.Context(), t.TempDir(), 1, true, []string{"us=" + filepath.ToSlash(t.TempDir())}, io.Discard), "no region has anything")
}

// No version would ever be safe.
func TestQuorumThatCannotBe(t *testing.T) {
	regions := []string{"a=file://" + filepath.ToSlash(t.TempDir()), "b=file://" + filepath.ToSlash(t.TempDir())}
	for _, quorum := range []int{-1, 0, 3} {
		err := run(t.Context(), t.TempDir(), quorum, false, regions, io.Discard)
		require.ErrorContains(t, err, fmt.Sprintf("-quorum %d: there are 2 regions", quorum))
	}
}
