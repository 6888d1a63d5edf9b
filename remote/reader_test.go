package remote_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// readElsewhere lets bundle/testdata/reader.py, which was written from FORMAT.md
// alone, rebuild the table of a store. It returns the folder and what the program
// said.
func readElsewhere(t *testing.T, store storage.Reader, args ...string) (dir, said string, err error) {
	t.Helper()
	python := os.Getenv("SLUICE_PYTHON")
	_, zstd := exec.LookPath("zstd")
	if python == "" || zstd != nil {
		t.Skip("NOT RUN: that a reader in another language restores a store: set SLUICE_PYTHON and install zstd")
	}
	from, dir := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "table")
	copyObjects(t, store, from)
	out, err := exec.CommandContext(t.Context(), python, append([]string{"../bundle/testdata/reader.py", from, dir}, args...)...).CombinedOutput()
	return dir, strings.TrimSpace(string(out)), err
}

// copyObjects copies a store into a folder.
func copyObjects(t *testing.T, store storage.Reader, folder string) {
	t.Helper()
	for key := range objects(t, store) {
		name := filepath.Join(folder, filepath.FromSlash(key))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, read(t, store, key), 0o644))
	}
}

func TestReaderElsewhereRestores(t *testing.T) {
	for name, push := range map[string]func(t *testing.T, source *pond) storage.Reader{
		"runs":                func(_ *testing.T, p *pond) storage.Reader { return pushed(func(s storage.Reader) { p.mustPush(s) }) },
		"a bundle a version":  func(_ *testing.T, p *pond) storage.Reader { return pushed(p.pushSingly) },
		"overlapping bundles": overlapping,
	} {
		t.Run(name, func(t *testing.T) {
			source := newPond(t)
			source.churn(12, 3, 40_000)
			store := push(t, source)
			dir, said, err := readElsewhere(t, store)
			require.NoError(t, err, said)
			assert.Equal(t, "0 11", said)
			requireSame(t, source.dir, dir)

			dir, said, err = readElsewhere(t, store, "4")
			require.NoError(t, err, said)
			assert.Equal(t, "0 4", said)
			assert.Equal(t, liveFiles(t, source.dir, 4), liveFiles(t, dir, 4))
		})
	}
}

// It reads what lies in parts, also where a base refers to it.
func TestReaderElsewhereReadsParts(t *testing.T) {
	source, store := dividedPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	dir, said, err := readElsewhere(t, store)
	require.NoError(t, err, said)
	requireSame(t, source.dir, dir)

	_, err = replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.churn(2, 3, 100)
	require.NoError(t, source.pushDivided(store))
	prune(t, store, remote.PruneOptions{KeepVersions: 2, Delete: true})
	dir, said, err = readElsewhere(t, store)
	require.NoError(t, err, said)
	assert.Equal(t, "1 3", said)
	assert.Equal(t, liveFiles(t, source.dir, 3), liveFiles(t, dir, 3))

	spoil(t, store, keysWith(t, store, "/part-")[0], func([]byte) []byte { return read(t, store, keysWith(t, store, "/part-")[1]) })
	_, said, err = readElsewhere(t, store)
	require.Error(t, err, said)
}

func pushed(push func(storage.Reader)) storage.Reader {
	store := storage.NewMemory()
	push(store)
	return store
}

// overlapping is what two pushers leave that did not know of each other: runs
// from 0 and from 3, and bundles of one version each.
func overlapping(t *testing.T, p *pond) storage.Reader {
	store, singles := storage.NewMemory(), storage.NewMemory()
	p.pushSingly(singles)
	p.mustPush(store)
	for _, v := range []int{3, 4, 9} {
		key := fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v)
		require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(read(t, singles, key)), -1))
	}
	return store
}

func TestReaderElsewhereStartsAtABase(t *testing.T) {
	t.Run("behind a gap", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.churn(5, 3, 500)
		source.mustPush(store)
		source.churn(8, 3, 500)
		source.cleanUp(10)
		source.mustPush(store)
		dir, said, err := readElsewhere(t, store)
		require.NoError(t, err, said)
		assert.Equal(t, "10 12", said)
		for v := deltalog.Version(10); v <= 12; v++ {
			assert.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
		}
		dir, said, err = readElsewhere(t, store, "4")
		require.NoError(t, err, said)
		assert.Equal(t, "0 4", said)
		requireSpan(t, dir, 0, 4)
	})
	t.Run("whose checkpoint the source made later, too", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.churn(6, 3, 500)
		source.cleanUp(3)
		source.mustPush(store)
		_, err := replicator(t, source.dir, store, nil).Base(t.Context())
		require.NoError(t, err)
		source.engineCheckpoint(5) // not what the base has
		source.churn(2, 3, 500)
		source.mustPush(store)
		prune(t, store, remote.PruneOptions{KeepVersions: 2, Delete: true})
		dir, said, err := readElsewhere(t, store)
		require.NoError(t, err, said)
		assert.Equal(t, "5 7", said)
		assert.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, dir, 7))
		assert.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, restored(t, store), 7))
	})
	t.Run("with parts", func(t *testing.T) {
		source, store := oldPond(t), storage.NewMemory()
		require.NoError(t, source.pushDivided(store))
		dir, said, err := readElsewhere(t, store)
		require.NoError(t, err, said)
		assert.Equal(t, "2 3", said)
		assert.Equal(t, liveFiles(t, source.dir, 3), liveFiles(t, dir, 3))
		spoil(t, store, keysWith(t, store, "/part-")[0], func([]byte) []byte { return read(t, store, keysWith(t, store, "/part-")[1]) })
		_, said, err = readElsewhere(t, store)
		require.Error(t, err, said)
	})
	t.Run("above the floor, from packs", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		pusher := replicator(t, source.dir, store, nil)
		for range 30 {
			source.churn(1, 3, 2000)
			_, err := pusher.Push(t.Context())
			require.NoError(t, err)
			if source.next == 20 {
				_, err := pusher.Base(t.Context())
				require.NoError(t, err)
			}
		}
		consolidate(t, store)
		prune(t, store, remote.PruneOptions{KeepVersions: 8, Delete: true})
		prune(t, store, remote.PruneOptions{KeepVersions: 8, Delete: true, Grace: -1})
		require.NotContains(t, objects(t, store), "backups/version-000025/bundle.tar.zst")
		dir, said, err := readElsewhere(t, store)
		require.NoError(t, err, said)
		assert.Equal(t, "19 29", said)
		assert.Equal(t, liveFiles(t, source.dir, 29), liveFiles(t, dir, 29))
	})
}

// It checks what FORMAT.md tells it to check.
func TestReaderElsewhereRefuses(t *testing.T) {
	source, other := newPond(t), newPond(t)
	source.churn(4, 3, 500)
	other.churn(3, 2, 700)
	other.churn(1, 2, 500)
	const key = "backups/version-000003/bundle.tar.zst"
	for name, spoil := range map[string]func(b []byte) []byte{
		"another history": func([]byte) []byte {
			foreign := storage.NewMemory()
			other.pushSingly(foreign)
			return read(t, foreign, key)
		},
		"a flipped bit": func(b []byte) []byte { b[len(b)/3] ^= 4; return b },
		"cut short":     func(b []byte) []byte { return b[:len(b)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMemory()
			source.pushSingly(store)
			b := spoil(read(t, store, key))
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
			require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(b), -1))
			_, said, err := readElsewhere(t, store)
			if name == "another history" {
				require.NoError(t, err, said)
				assert.Equal(t, "0 2", said, "what does not follow is not there")
				return
			}
			require.Error(t, err, said)
		})
	}
}
