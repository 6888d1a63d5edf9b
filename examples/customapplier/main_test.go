package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// source is a table without files and a store that it is pushed to.
type source struct {
	table, url string
	rep        *remote.Replicator
	next       deltalog.Version
}

func newSource(t *testing.T) *source {
	dir := t.TempDir()
	s := &source{table: filepath.Join(dir, "source"), url: "file://" + filepath.ToSlash(filepath.Join(dir, "store"))}
	store, err := storage.Open(t.Context(), s.url)
	require.NoError(t, err)
	table, err := deltalog.OpenDir(s.table)
	require.NoError(t, err)
	s.rep, err = remote.New(table, store, nil)
	require.NoError(t, err)
	return s
}

// push commits an operation and pushes it.
func (s *source) push(t *testing.T, operation string) {
	t.Helper()
	text := fmt.Sprintf(`{"commitInfo":{"operation":%q}}`+"\n", operation)
	if s.next == 0 {
		text += `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
			`{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":{}}}` + "\n"
	}
	file := filepath.Join(s.table, filepath.FromSlash(s.next.CommitPath()))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	s.next++
	_, err := s.rep.Push(t.Context())
	require.NoError(t, err)
}

func TestRecords(t *testing.T) {
	s := newSource(t)
	replica, txns := filepath.Join(t.TempDir(), "replica"), filepath.Join(t.TempDir(), "txns.jsonl")
	var out bytes.Buffer
	for i, operation := range []string{"CREATE TABLE", "WRITE", "OPTIMIZE"} {
		s.push(t, operation)
		out.Reset()
		require.NoError(t, run(t.Context(), replica, s.url, txns, &out))
		require.Contains(t, out.String(), fmt.Sprintf(`{"seq":%d,"version":%d,"operation":%q,`, i+1, i, operation))
		require.Equal(t, 1, strings.Count(out.String(), "\n"), "each version is recorded once")
	}
	out.Reset()
	require.NoError(t, run(t.Context(), replica, s.url, txns, &out))
	require.Empty(t, out.String(), "nothing new")

	recorded, err := os.ReadFile(txns)
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(recorded, []byte("\n")))
}

// TestRecordsLater: what was applied and not recorded is recorded by the next run.
func TestRecordsLater(t *testing.T) {
	s := newSource(t)
	replica, txns := filepath.Join(t.TempDir(), "replica"), filepath.Join(t.TempDir(), "txns.jsonl")
	s.push(t, "CREATE TABLE")
	s.push(t, "WRITE")
	err := run(t.Context(), replica, s.url, txns, brokenPipe{})
	require.ErrorIs(t, err, errBroken)
	s.push(t, "OPTIMIZE")

	var out bytes.Buffer
	require.NoError(t, run(context.Background(), replica, s.url, txns, &out))
	recorded, err := os.ReadFile(txns)
	require.NoError(t, err)
	for i, operation := range []string{"CREATE TABLE", "WRITE", "OPTIMIZE"} {
		require.Equal(t, 1, strings.Count(string(recorded), fmt.Sprintf(`{"seq":%d,"version":%d,"operation":%q,`, i+1, i, operation)), "%s", recorded)
	}
}

var errBroken = errors.New("broken pipe")

// brokenPipe ends a recorder after its first record.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

var _ io.Writer = brokenPipe{}
