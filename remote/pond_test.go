package remote_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pond is a Delta table that a test commits to by hand. Its data files are not
// parquet: nothing in this package looks into them. Engines do, in
// internal/e2e.
type pond struct {
	t    testing.TB
	dir  string
	next deltalog.Version
}

func newPond(t testing.TB) *pond {
	t.Helper()
	return &pond{t: t, dir: t.TempDir()}
}

// action is one line of a commit.
type action map[string]any

func add(path, content string) action {
	return action{"add": map[string]any{"path": path, "partitionValues": map[string]any{}, "size": len(content), "modificationTime": 1, "dataChange": true}}
}

func remove(path string) action {
	return action{"remove": map[string]any{"path": path, "deletionTimestamp": 1, "dataChange": true}}
}

// begin is what the first commit of a table starts with.
func begin(id string) []action {
	return []action{
		{"protocol": map[string]any{"minReaderVersion": 1, "minWriterVersion": 2}},
		{"metaData": map[string]any{"id": id, "format": map[string]any{"provider": "parquet", "options": map[string]any{}},
			"schemaString": `{"type":"struct","fields":[]}`, "partitionColumns": []string{}, "configuration": map[string]any{}}},
	}
}

// write puts a file of the table in place.
func (p *pond) write(path, content string) {
	p.t.Helper()
	full := filepath.Join(p.dir, filepath.FromSlash(path))
	require.NoError(p.t, os.MkdirAll(filepath.Dir(full), 0o755))
	require.NoError(p.t, os.WriteFile(full, []byte(content), 0o644))
}

// commit writes the next commit file and returns its version.
func (p *pond) commit(actions ...action) deltalog.Version {
	p.t.Helper()
	v := p.next
	var b strings.Builder
	for _, a := range actions {
		line, err := json.Marshal(a)
		require.NoError(p.t, err)
		b.Write(append(line, '\n'))
	}
	p.write(v.CommitPath(), b.String())
	modified := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC).Add(time.Duration(v) * time.Minute)
	require.NoError(p.t, os.Chtimes(filepath.Join(p.dir, v.CommitPath()), modified, modified))
	p.next++
	return v
}

// append commits one new file.
func (p *pond) append(content string) deltalog.Version {
	p.t.Helper()
	var actions []action
	if p.next == 0 {
		actions = begin("pond-" + filepath.Base(p.dir))
	}
	name := fmt.Sprintf("part-%05d.parquet", p.next)
	p.write(name, content)
	return p.commit(append(actions, add(name, content))...)
}

func openTable(t testing.TB, dir string) *deltalog.Dir {
	t.Helper()
	table, err := deltalog.OpenDir(dir)
	require.NoError(t, err)
	return table
}

func replicator(t testing.TB, dir string, store storage.Reader, opts *remote.Options) *remote.Replicator {
	t.Helper()
	r, err := remote.New(openTable(t, dir), store, opts)
	require.NoError(t, err)
	return r
}

func (p *pond) push(store storage.Reader) (remote.Report, error) {
	return replicator(p.t, p.dir, store, nil).Push(p.t.Context())
}

func (p *pond) mustPush(store storage.Reader) remote.Report {
	p.t.Helper()
	report, err := p.push(store)
	require.NoError(p.t, err)
	return report
}

// pushSingly pushes every version as a bundle of its own, as a hook would.
func (p *pond) pushSingly(store storage.Reader) {
	p.t.Helper()
	hook := replicator(p.t, p.dir, store, &remote.Options{MaxVersions: 1})
	for {
		report, err := hook.Push(p.t.Context())
		require.NoError(p.t, err)
		if report.Remaining == 0 {
			return
		}
	}
}

// restored is a fresh replica.
func restored(t testing.TB, store storage.Reader) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "replica")
	_, err := replicator(t, dir, store, nil).Init(t.Context())
	require.NoError(t, err)
	return dir
}

// tree is every file below dir: content, and for commits the time.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content := string(b)
		if strings.HasPrefix(rel, deltalog.LogDir) {
			info, err := d.Info()
			if err != nil {
				return err
			}
			content += info.ModTime().UTC().Format(time.RFC3339Nano)
		}
		files[filepath.ToSlash(rel)] = content
		return nil
	}))
	return files
}

// requireSame asserts that two tables have the same files, and nothing left
// over from the work.
func requireSame(t *testing.T, source, replica string) {
	t.Helper()
	require.Equal(t, tree(t, source), tree(t, replica))
}

// objects is every object of a store.
func objects(t *testing.T, store storage.Reader) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for info, err := range store.List(t.Context(), "", "") {
		require.NoError(t, err)
		all[info.Key] = info.Size
	}
	return all
}

// restoreInto restores what is in store, fast.
func restoreInto(t *testing.T, replica string, store storage.Reader) {
	t.Helper()
	_, err := replicator(t, replica, store, &remote.Options{Durability: remote.DurabilityRelaxed}).Init(t.Context())
	require.NoError(t, err)
}
