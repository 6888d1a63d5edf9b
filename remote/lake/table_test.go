package lake_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/remote/lake"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// places are kinds of buckets.
var places = map[string]func(t *testing.T) storage.Store{
	"memory": func(*testing.T) storage.Store { return storage.NewMemory() },
	"s3":     s3Store,
}

// s3Store returns a store on a server in this process.
func s3Store(t *testing.T) storage.Store {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("lake"))
	fake := gofakes3.New(backend).Server()
	var one sync.Mutex // the server looks at a condition and then stores, in two steps
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	store, err := storage.OpenConfig(t.Context(), storage.Config{
		Scheme: "s3", Bucket: "lake", Prefix: "a/table",
		Key: storage.NewSecret("AKID"), Secret: storage.NewSecret("hunter2"),
		Params: url.Values{"endpoint": {server.URL}, "region": {"us-east-1"}},
	}, s3.Driver())
	require.NoError(t, err)
	return store
}

func newTable(t testing.TB, store storage.Store) *lake.Table {
	return lake.Open(store, &lake.Options{TempDir: t.TempDir()})
}

// begun is how a table's first commit begins.
const begun = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"lake","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{"delta.checkpointInterval":"10"},"createdTime":1}}
`

// commitOf returns a commit that adds these files.
func commitOf(v deltalog.Version, files map[string]string) string {
	text := fmt.Sprintf(`{"commitInfo":{"operation":"WRITE","v":%d}}`+"\n", int64(v))
	if v == 0 {
		text += begun
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		text += fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", strings.ReplaceAll(path, "%", "%25"), len(files[path]))
	}
	return text
}

// live is how many files a table of churn has at any version.
const live = 3

// churn commits versions from..to right into a bucket, as an engine does: each
// adds a file and removes an old one.
func churn(t testing.TB, store storage.Store, from, to deltalog.Version) {
	t.Helper()
	for v := from; v <= to; v++ {
		put(t, store, fileOf(v), contentOf(v))
		put(t, store, v.CommitPath(), churnCommit(v))
	}
}

func put(t testing.TB, store storage.Store, key, content string) {
	t.Helper()
	require.NoError(t, store.Create(t.Context(), key, strings.NewReader(content), int64(len(content))))
}

func fileOf(v deltalog.Version) string    { return fmt.Sprintf("p=%d/part-%d.parquet", v%3, v) }
func contentOf(v deltalog.Version) string { return fmt.Sprintf("rows of %d", v) }

func churnCommit(v deltalog.Version) string {
	text := commitOf(v, map[string]string{fileOf(v): contentOf(v)})
	if v >= live {
		text += fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":1,"dataChange":true}}`+"\n", fileOf(v-live))
	}
	return text
}

// cleaned makes a source one whose log was cleaned up below its checkpoint.
func cleaned(t *testing.T, source storage.Store, at deltalog.Version) {
	t.Helper()
	put(t, source, at.CheckpointPath(), checkpointAt(t, source, at))
	for v := range at {
		require.NoError(t, source.(storage.Deleter).Delete(t.Context(), v.CommitPath()))
	}
}

// checkpointAt returns a checkpoint of the table in source.
func checkpointAt(t *testing.T, source storage.Store, v deltalog.Version) string {
	t.Helper()
	state, err := newTable(t, source).Snapshot(t.Context(), v, nil)
	require.NoError(t, err)
	var text strings.Builder
	_, err = state.WriteCheckpoint(&text)
	require.NoError(t, err)
	require.NoError(t, state.Close())
	return text.String()
}

func replicator(t testing.TB, table remote.LogReader, backups storage.Store, opts *remote.Options) *remote.Replicator {
	t.Helper()
	rep, err := remote.New(table, backups, opts)
	require.NoError(t, err)
	return rep
}

func push(t testing.TB, table, backups storage.Store) remote.Report {
	t.Helper()
	report, err := replicator(t, newTable(t, table), backups, nil).Push(t.Context())
	require.NoError(t, err)
	return report
}

// contents is every object of a store.
func contents(t testing.TB, store storage.Reader) map[string]string {
	t.Helper()
	all := map[string]string{}
	for info, err := range store.List(t.Context(), "", "") {
		require.NoError(t, err)
		all[info.Key] = contentAt(t, store, info.Key)
	}
	return all
}

func contentAt(t testing.TB, store storage.Reader, key string) string {
	t.Helper()
	r, err := store.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(b)
}

func requireTip(t testing.TB, table remote.LogReader, want deltalog.Version) {
	t.Helper()
	tip, err := table.Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, tip)
	tip, err = table.TipFrom(t.Context(), max(0, want-2))
	require.NoError(t, err)
	require.Equal(t, want, tip)
}
