package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
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

func TestFollower(t *testing.T) {
	dir := t.TempDir()
	source, url := filepath.Join(dir, "source"), "file://"+filepath.ToSlash(filepath.Join(dir, "store"))
	store, err := storage.Open(t.Context(), url)
	require.NoError(t, err)
	table, err := deltalog.OpenDir(source)
	require.NoError(t, err)
	pusher, err := remote.New(table, store, nil)
	require.NoError(t, err)
	push := func(v deltalog.Version) {
		commit(t, source, v)
		_, err := pusher.Push(t.Context())
		require.NoError(t, err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, filepath.Join(dir, "replica"), url, time.Millisecond, listener) }()
	get := func(path string) (int, string) {
		response, err := http.Get("http://" + listener.Addr().String() + path)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}

	code, body := get("/healthz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "not restored yet")
	for v := range deltalog.Version(3) {
		push(v)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			code, body := get("/lag")
			assert.Equal(c, http.StatusOK, code, body)
			var st remote.Status
			assert.NoError(c, json.Unmarshal([]byte(body), &st))
			assert.Equal(c, &v, st.Local)
			assert.Zero(c, st.Lag.Versions)
		}, 30*time.Second, time.Millisecond)
	}
	code, body = get("/healthz")
	require.Equal(t, http.StatusOK, code, body)
	stop()
	require.NoError(t, <-done)
}

// TestHealth: a replica that could not look for long is not for readers.
func TestHealth(t *testing.T) {
	f := &follower{interval: time.Second, good: time.Now(), failed: errors.New("no network")}
	ask := func() string {
		w := httptest.NewRecorder()
		f.handler().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		return fmt.Sprintln(w.Code, w.Body)
	}
	require.Equal(t, "200 \n", ask())
	f.good = time.Now().Add(-time.Hour)
	require.Contains(t, ask(), "503 out of date for 1h0m0s: no network")
}

func TestServesNowhere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	err = run(t.Context(), t.TempDir(), "file://"+filepath.ToSlash(t.TempDir()), time.Hour, listener)
	require.ErrorIs(t, err, net.ErrClosed)
}
