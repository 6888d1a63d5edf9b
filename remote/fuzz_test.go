package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// fuzzStore is a store of five versions with a pack, a base, a floor and a pin, and the
// table that it is of.
func fuzzStore(f *testing.F) (source string, store storage.Store) {
	f.Helper()
	store = storage.NewMemory()
	source = f.TempDir()
	p := &pond{t: nil, dir: source}
	require.NoError(f, os.Mkdir(filepath.Join(source, deltalog.LogDir), 0o755))
	for v, commit := range []string{
		`{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
			`{"metaData":{"id":"fuzz","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":[],"configuration":{}}}`,
		`{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`,
		`{"add":{"path":"b","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`,
		`{"remove":{"path":"a","deletionTimestamp":1,"dataChange":true}}`,
		`{"commitInfo":{"operation":"X"}}`,
	} {
		require.NoError(f, os.WriteFile(filepath.Join(source, deltalog.Version(v).CommitPath()), []byte(commit+"\n"), 0o644))
		if name := map[int]string{1: "a", 2: "b"}[v]; name != "" {
			require.NoError(f, os.WriteFile(filepath.Join(source, name), []byte(name), 0o644))
		}
		r := fuzzReplicator(f, p.dir, store)
		_, err := r.Push(f.Context())
		require.NoError(f, err)
		if v == 2 {
			_, err := r.Consolidate(f.Context())
			require.NoError(f, err)
			_, err = r.Base(f.Context())
			require.NoError(f, err)
			require.NoError(f, r.Pin(f.Context(), "seed", 1))
		}
	}
	return source, store
}

func fuzzReplicator(t testing.TB, dir string, store storage.Reader) *remote.Replicator {
	table, err := deltalog.OpenDir(dir)
	require.NoError(t, err)
	r, err := remote.New(table, store, &remote.Options{Durability: remote.DurabilityRelaxed})
	require.NoError(t, err)
	return r
}

// changed is a store in which one object has other content, or is new.
type changed struct {
	storage.Store
	key     string
	content []byte
}

func (c changed) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key != c.key {
		return c.Store.Open(ctx, key, off, n)
	}
	b := c.content[min(off, int64(len(c.content))):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (c changed) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	copied := storage.NewMemory()
	for info, err := range c.Store.List(ctx, "", "") {
		if err == nil && info.Key != c.key {
			err = copied.Create(ctx, info.Key, bytes.NewReader(make([]byte, info.Size)), info.Size)
		}
		if err != nil {
			return func(yield func(storage.Info, error) bool) { yield(storage.Info{}, err) }
		}
	}
	if err := copied.Create(ctx, c.key, bytes.NewReader(c.content), int64(len(c.content))); err != nil {
		return func(yield func(storage.Info, error) bool) { yield(storage.Info{}, err) }
	}
	return copied.List(ctx, prefix, after)
}

var refusals = []error{
	remote.ErrCorrupt, remote.ErrUnsupported, remote.ErrGap, remote.ErrDiverged, remote.ErrEmptyStore, remote.ErrTooLarge, remote.ErrNotEmpty,
}

func requireRefusal(t *testing.T, err error) {
	t.Helper()
	for _, class := range refusals {
		if errors.Is(err, class) {
			return
		}
	}
	require.NoError(t, err, "it has no class")
}

// restoresOrRefuses makes sure that whoever reads such a store gets what the source
// has, as far as it gets, or is told; never anything else.
func restoresOrRefuses(t *testing.T, source string, store storage.Reader) {
	t.Helper()
	dir := t.TempDir()
	if _, err := fuzzReplicator(t, dir, store).Init(t.Context()); err != nil {
		requireRefusal(t, err)
	} else {
		requirePart(t, source, dir)
	}
	if _, err := fuzzReplicator(t, source, store).Status(t.Context()); err != nil {
		requireRefusal(t, err)
	}
	v, err := fuzzReplicator(t, source, store).Verify(t.Context(), remote.VerifyOptions{})
	if err != nil {
		requireRefusal(t, err)
	}
	if err := v.Err(); err != nil {
		requireRefusal(t, err)
	}
}

// requirePart makes sure that all commits and data of a replica are those of the source.
func requirePart(t *testing.T, source, replica string) {
	t.Helper()
	want := tree(t, source)
	for name, content := range tree(t, replica) {
		if _, isCommit := deltalog.ParseCommitPath(name); isCommit || filepath.Dir(name) == "." {
			require.Equal(t, want[name], content, name)
		}
	}
}

func withoutSum(f *testing.F, object []byte) []byte {
	var fields map[string]json.RawMessage
	require.NoError(f, json.Unmarshal(object, &fields))
	require.Contains(f, fields, "sum")
	delete(fields, "sum")
	b, err := json.Marshal(fields)
	require.NoError(f, err)
	return b
}

// fuzzObject changes the one object whose key begins so.
func fuzzObject(f *testing.F, prefix string, more ...string) {
	source, store := fuzzStore(f)
	key := ""
	for info, err := range store.List(f.Context(), prefix, "") {
		require.NoError(f, err)
		key = info.Key
	}
	require.NotEmpty(f, key, "no object to change")
	r, err := store.Open(f.Context(), key, 0, -1)
	require.NoError(f, err)
	real, err := io.ReadAll(r)
	require.NoError(f, errors.Join(err, r.Close()))
	f.Add(real)
	f.Add(withoutSum(f, real)) // so that what is changed is read, and not refused for its sum
	for _, seed := range append(more, "", "{}", "null", "[]", `{"format":1}`, `{"format":2}`, `{"format":-1}`) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		restoresOrRefuses(t, source, changed{store, key, content})
		behind, one := t.TempDir(), deltalog.Version(1)
		_, err := replicator(t, behind, store, &remote.Options{Target: &one, Durability: remote.DurabilityRelaxed}).Init(t.Context())
		require.NoError(t, err)
		_, err = fuzzReplicator(t, behind, changed{store, key, content}).Pull(t.Context())
		requireRefusal(t, err)
		requirePart(t, source, behind)
	})
}

func FuzzHead(f *testing.F) {
	fuzzObject(f, "backups/head.json",
		`{"format":1,"lineage":"x","version":9223372036854775807,"commit":"`+zeros+`","timestamp":0}`,
		`{"format":1,"lineage":"x","version":4,"commit":"`+zeros+`","bundles":{"from":0,"runs":[[0,2,1048576]]}}`)
}

func FuzzIdentity(f *testing.F) {
	fuzzObject(f, "sluice.json", `{"format":1,"lineage":"x","first_version":2}`, `{"format":1,"lineage":"x","first_version":9223372036854775807}`, `{"format":1,"lineage":"x","encryption":{}}`)
}

func FuzzPackIndex(f *testing.F) {
	fuzzObject(f, "backups/index-", `{"format":1,"lineage":"x","pack":"../../x","size":9223372036854775807}`)
}

func FuzzFloor(f *testing.F) { fuzzStoreObject(f, "backups/floor-000002.json") }

func FuzzPin(f *testing.F) { fuzzStoreObject(f, "backups/pin-000001-x.json") }

// fuzzStoreObject adds an object, of which the key says all.
func fuzzStoreObject(f *testing.F, key string) {
	source, store := fuzzStore(f)
	for _, seed := range []string{`{"format":1,"lineage":"x","version":2}`, `{"format":2}`, "", "{"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		s := changed{store, key, content}
		restoresOrRefuses(t, source, s)
		_, err := fuzzReplicator(t, source, s).Prune(t.Context(), remote.PruneOptions{KeepVersions: 1})
		requireRefusal(t, err)
	})
}

// FuzzKeys adds an object under any key: names that are nearly those of bundles, packs,
// floors and pins.
func FuzzKeys(f *testing.F) {
	source, store := fuzzStore(f)
	for _, seed := range []string{
		"backups/version-5/bundle.tar.zst", "backups/version-000005/bundle.tar.zst", "backups/version-0000005/bundle.tar.zst", "backups/version-99999999999999999999/bundle.tar.zst",
		"backups/version-000005/base.tar.zst", "backups/version-000005/part-x.tar.zst", "backups/pack-000000-x.tar.zst", "backups/index-000000-x.json",
		"backups/floor--1.json", "backups/floor-000099.json", "backups/pin-000001-.json", "backups/pin-000001-a/b.json", "backups/version-/bundle.tar.zst",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		s := changed{store, key, []byte("{}")}
		if storage.CheckKey(key) != nil || objects(t, store)[key] > 0 {
			return
		}
		restoresOrRefuses(t, source, s)
		for _, err := range fuzzReplicator(t, source, s).Pins(t.Context()) {
			require.NoError(t, err)
		}
	})
}

// FuzzMarker: whatever a folder says of an unfinished init, nothing in it is touched
// unless the marker is ours.
func FuzzMarker(f *testing.F) {
	source, store := fuzzStore(f)
	for _, seed := range []string{`{"format":1,"lineage":"x","target":3}`, `{"format":1,"lineage":"","target":-3}`, `{"format":2}`, "{", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, marker []byte) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, ".sluice"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".sluice", "init.json"), marker, 0o644))
		before := tree(t, dir)
		if _, err := fuzzReplicator(t, dir, store).Init(t.Context()); err != nil {
			requireRefusal(t, err)
			require.Equal(t, before, tree(t, dir))
			return // nothing is touched
		}
		requireSame(t, source, dir)
	})
}

// FuzzVerifyState: a file that is no state of a verify of this store is left alone.
func FuzzVerifyState(f *testing.F) {
	source, store := fuzzStore(f)
	for _, seed := range []string{"", "{", `{"format":1,"lineage":"x"}` + "\n", "something dear"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		name := filepath.Join(t.TempDir(), "state")
		require.NoError(t, os.WriteFile(name, state, 0o644))
		v, err := fuzzReplicator(t, source, store).Verify(t.Context(), remote.VerifyOptions{Data: true, State: name})
		if err != nil {
			require.ErrorIs(t, err, os.ErrExist)
			kept, rerr := os.ReadFile(name)
			require.NoError(t, rerr)
			require.Equal(t, state, kept)
			return
		}
		require.NoError(t, v.Err())
		require.NoFileExists(t, name)
	})
}
