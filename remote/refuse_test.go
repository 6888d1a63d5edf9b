package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// requireDiverged asserts that err names both contents, and that the store was
// not touched.
func requireDiverged(t *testing.T, err error, before, after map[string]int64) {
	t.Helper()
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.Regexp(t, `[0-9a-f]{64} here, [0-9a-f]{64} in the store`, err.Error())
	require.Equal(t, before, after)
}

func TestDivergedHistories(t *testing.T) {
	setup := func(t *testing.T) (*pond, storage.Store) {
		source, store := newPond(t), storage.NewMemory()
		for i := range 4 {
			source.append(fmt.Sprint("file ", i))
		}
		source.mustPush(store)
		return source, store
	}
	t.Run("another table, further on", func(t *testing.T) {
		_, store := setup(t)
		before := objects(t, store)
		other := newPond(t)
		for range 6 {
			other.append("other")
		}
		_, err := other.push(store)
		requireDiverged(t, err, before, objects(t, store))
	})
	t.Run("another table, behind", func(t *testing.T) {
		_, store := setup(t)
		before := objects(t, store)
		other := newPond(t)
		other.append("other")
		_, err := other.push(store)
		requireDiverged(t, err, before, objects(t, store))
	})
	t.Run("a restored copy that went its own way", func(t *testing.T) {
		source, store := setup(t)
		copied := &pond{t: t, dir: restored(t, store), next: 4}
		copied.append("mine")
		source.append("theirs")
		source.mustPush(store)
		before := objects(t, store)
		_, err := copied.push(store)
		requireDiverged(t, err, before, objects(t, store))
		local := tree(t, copied.dir)
		_, err = replicator(t, copied.dir, store, nil).Pull(t.Context())
		requireDiverged(t, err, before, objects(t, store))
		require.Equal(t, local, tree(t, copied.dir))
	})
	t.Run("a copy that went its own way, behind what was pushed since", func(t *testing.T) {
		source, store := setup(t)
		copied := &pond{t: t, dir: restored(t, store), next: 4}
		copied.append("mine")
		source.append("theirs")
		source.append("theirs again")
		source.mustPush(store)
		before := objects(t, store)
		_, err := copied.push(store)
		requireDiverged(t, err, before, objects(t, store))
		_, err = replicator(t, copied.dir, store, nil).Pull(t.Context())
		requireDiverged(t, err, before, objects(t, store))
	})
	t.Run("the last pushed commit was rewritten in place", func(t *testing.T) {
		source, store := setup(t)
		before := objects(t, store)
		source.next = 3
		source.commit(add("part-00003.parquet", "file 3"), action{"commitInfo": map[string]any{"operation": "REWRITE"}})
		_, err := source.push(store)
		requireDiverged(t, err, before, objects(t, store))
	})
	t.Run("noticed by a running pusher", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.append("zero")
		r := replicator(t, source.dir, store, nil)
		_, err := r.Push(t.Context())
		require.NoError(t, err)
		before := objects(t, store)
		require.NoError(t, os.RemoveAll(filepath.Join(source.dir, "_delta_log")))
		source.next = 0
		source.append("made anew")
		source.append("at the same path")
		_, err = r.Push(t.Context())
		requireDiverged(t, err, before, objects(t, store))
	})
}

func TestH39InitRefusesOtherContent(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	source.mustPush(store)
	for name, fill := range map[string]func(*pond){
		"a file":           func(p *pond) { p.write("notes.txt", "mine") },
		"a hidden file":    func(p *pond) { p.write(".hidden", "mine") },
		"an empty folder":  func(p *pond) { require.NoError(p.t, os.Mkdir(filepath.Join(p.dir, "sub"), 0o755)) },
		"another table":    func(p *pond) { p.append("other") },
		"a later table":    func(p *pond) { p.append("a"); p.append("b"); p.append("c") },
		"another's marker": func(p *pond) { p.write(".sluice/init.json", `{"format":1,"lineage":"other","target":3}`) },
		"a broken marker":  func(p *pond) { p.write(".sluice/init.json", `{`) },
	} {
		t.Run(name, func(t *testing.T) {
			place := newPond(t)
			fill(place)
			before := tree(t, place.dir)
			_, err := replicator(t, place.dir, store, nil).Init(t.Context())
			require.ErrorIs(t, err, remote.ErrNotEmpty)
			require.Equal(t, before, tree(t, place.dir))
		})
	}
	t.Run("the same table is no other content", func(t *testing.T) {
		dir := restored(t, store)
		report, err := replicator(t, dir, store, nil).Init(t.Context())
		require.NoError(t, err)
		require.Zero(t, report.Versions)
		requireSame(t, source.dir, dir)
	})
}

func TestEmptyStoreAndNoTable(t *testing.T) {
	store := storage.NewMemory()
	dir := filepath.Join(t.TempDir(), "new")
	_, err := replicator(t, dir, store, nil).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrEmptyStore)
	require.NoDirExists(t, dir)
	_, err = replicator(t, dir, store, nil).Push(t.Context())
	require.ErrorIs(t, err, remote.ErrNoTable)
	require.Empty(t, objects(t, store))

	source := newPond(t)
	source.append("zero")
	source.mustPush(store)
	_, err = replicator(t, dir, store, nil).Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrNoTable)
	require.NoDirExists(t, dir)

	source.append("one")
	_, err = source.push(readOnly{store})
	require.ErrorIs(t, err, remote.ErrReadOnly)
}

// readOnly hides every ability to write.
type readOnly struct{ storage.Reader }

func TestReadOnlyStoreServesReplicas(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	dir := restored(t, readOnly{store})
	source.append("one")
	source.mustPush(store)
	_, err := replicator(t, dir, readOnly{store}, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
}

func TestGap(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.pushSingly(store)
	behind := restored(t, store)
	for range 5 {
		source.append("x")
	}
	source.pushSingly(store)
	deleter := store.(storage.Deleter)
	for _, v := range []string{"000002", "000003"} {
		require.NoError(t, deleter.Delete(t.Context(), "backups/version-"+v+"/bundle.tar.zst"))
	}

	_, err := replicator(t, behind, store, nil).Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.Contains(t, err.Error(), "versions 2 to 3")
	require.FileExists(t, filepath.Join(behind, deltalog.Version(1).CommitPath()), "what is below the gap arrives")
	require.NoFileExists(t, filepath.Join(behind, deltalog.Version(2).CommitPath()))

	target := deltalog.Version(4)
	dir := filepath.Join(t.TempDir(), "new")
	_, err = replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.NoDirExists(t, dir)
}

// Above the newest version nothing is missing, and nothing needs mending.
func TestAboveTheNewestVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	source.mustPush(store)
	above := deltalog.Version(2)
	dir := filepath.Join(t.TempDir(), "new")
	_, err := replicator(t, dir, store, &remote.Options{Target: &above}).Init(t.Context())
	for _, err := range []error{err, storeOnly(t, store, nil).Pin(t.Context(), "later", above)} {
		require.ErrorIs(t, err, remote.ErrGap)
		require.ErrorContains(t, err, "not pushed yet: version 2: the newest is 1")
		require.NotContains(t, err.Error(), "across the gap")
	}
	require.NoDirExists(t, dir)
}

// A version that was pushed and lost is not one that was not pushed yet.
func TestAboveALostEnd(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 5 {
		source.append("x")
	}
	source.pushSingly(store)
	for _, v := range []string{"000003", "000004"} {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/version-"+v+"/bundle.tar.zst"))
	}
	lost := deltalog.Version(4)
	_, err := replicator(t, filepath.Join(t.TempDir(), "new"), store, &remote.Options{Target: &lost}).Init(t.Context())
	for _, err := range []error{err, storeOnly(t, store, nil).Pin(t.Context(), "later", lost)} {
		require.ErrorIs(t, err, remote.ErrGap)
		require.ErrorContains(t, err, "end at 2, the newest that there is or was is 4")
	}
}

func TestH41DamagedBundlesAreNotApplied(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	source.pushSingly(store)
	source.append("two")
	source.pushSingly(store)
	const key = "backups/version-000002/bundle.tar.zst"
	whole := read(t, store, key)
	one := read(t, store, "backups/version-000001/bundle.tar.zst")
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x10
	for name, content := range map[string][]byte{
		"cut":                       whole[:len(whole)-7],
		"empty":                     {},
		"bit flipped":               flipped,
		"bundle of another version": one,
		"not a bundle":              []byte("hello"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := deltalog.Version(1)
			_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
			require.NoError(t, err)
			before := tree(t, dir)
			_, err = replicator(t, dir, replaced{store, key, content}, nil).Pull(t.Context())
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.Contains(t, err.Error(), key)
			require.Equal(t, before, tree(t, dir))
			_, err = replicator(t, dir, store, nil).Pull(t.Context())
			require.NoError(t, err)
			requireSame(t, source.dir, dir)
		})
	}
}

// replaced is a store in which one object has other content.
type replaced struct {
	storage.Reader
	key     string
	content []byte
}

func (s replaced) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key != s.key {
		return s.Reader.Open(ctx, key, off, n)
	}
	return io.NopCloser(bytes.NewReader(s.content)), nil
}

func read(t *testing.T, store storage.Reader, key string) []byte {
	t.Helper()
	r, err := store.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	return b
}

func TestUnusableSources(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(*pond)
		want error
	}{
		"unknown reader feature": {func(p *pond) {
			p.commit(begin("x")[1], action{"protocol": map[string]any{"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": []string{"fromTheFuture"}, "writerFeatures": []string{"fromTheFuture"}}})
		}, remote.ErrUnsupported},
		"absolute path":         {func(p *pond) { p.commit(append(begin("x"), add("s3://elsewhere/part.parquet", "x"))...) }, remote.ErrUnsupported},
		"path out of the table": {func(p *pond) { p.commit(append(begin("x"), add("../part.parquet", "x"))...) }, remote.ErrCorrupt},
		"hole in the log":       {func(p *pond) { p.append("zero"); p.next = 2; p.append("two") }, remote.ErrCorrupt},
		"no commit below, and a checkpoint that cannot be read": {func(p *pond) {
			p.next = 5
			p.append("five")
			p.write("_delta_log/00000000000000000005.checkpoint.parquet", "PAR1")
		}, remote.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			c.fill(source)
			_, err := source.push(store)
			require.ErrorIs(t, err, c.want)
			for key := range objects(t, store) {
				require.NotContains(t, key, "bundle")
			}
		})
	}
	t.Run("unknown writer feature passes", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.commit(begin("x")[1], action{"protocol": map[string]any{"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": []string{"fromTheFuture"}}})
		source.mustPush(store)
		requireSame(t, source.dir, restored(t, store))
	})
}

// A replica may say of which source its store must be, by lineage or by table id.
func TestSourceID(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.mustPush(store)
	st, err := replicator(t, source.dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "churn", st.TableID)
	for _, id := range []string{st.Lineage, st.TableID} {
		dir, err := initErr(t, store, remote.Options{SourceID: id})
		require.NoError(t, err, id)
		requireSame(t, source.dir, dir)
	}
	for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		dir, err := initErr(t, store, remote.Options{SourceID: "another", History: history})
		require.ErrorIs(t, err, remote.ErrDiverged)
		require.ErrorContains(t, err, fmt.Sprintf("the store is of lineage %s and table id %q, not of %q", st.Lineage, "churn", "another"))
		require.NoDirExists(t, filepath.Join(dir, deltalog.LogDir))
	}
}

// Errors are of one line, for logs.
func TestTableThatCannotDoIt(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.mustPush(store)
	r, err := remote.New(struct{ remote.LogReader }{openTable(t, source.dir)}, store, nil)
	require.NoError(t, err)
	_, err = r.Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrReadOnly)
	require.EqualError(t, err, "pull: read-only: the table cannot be written")
	_, err = r.Base(t.Context())
	require.EqualError(t, err, "base: read-only: the table cannot tell its state")
}
