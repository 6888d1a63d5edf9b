package remote_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

const escapedFile = "day=a b/ä+1.parquet" // in the log day=a%20b/%C3%A4+1.parquet

// statePond has versions 0 to 5, a deletion vector and a path that the log escapes.
func statePond(t *testing.T) *pond {
	source := newPond(t)
	source.write("f", "content of f")
	source.write(vectorFile, "vector")
	source.write(escapedFile, "escaped")
	source.commit(append(withVectors("x"), add("f", "content of f"))...)
	source.commit(remove("f"), marked(add("f", "content of f")))
	source.commit(add("day=a%20b/%C3%A4+1.parquet", "escaped"))
	for range 3 {
		source.append("more")
	}
	return source
}

// dropFromIndex makes the index of a base, and the numbers in it, leave out a path.
func dropFromIndex(t *testing.T, store storage.Store, key, path string) {
	t.Helper()
	rewriteBase(t, store, key, func(b *bundle.Base, members map[string][]byte) {
		index := bundle.IndexPath(b.Version)
		var kept []byte
		n := b.Live.Files
		for line := range bytes.Lines(members[index]) {
			var e bundle.IndexEntry
			require.NoError(t, json.Unmarshal(line, &e))
			if e.Path == path {
				b.Live.Files--
				b.Live.Bytes -= e.Size
				continue
			}
			kept = append(kept, line...)
		}
		require.Equal(t, n-1, b.Live.Files, path)
		members[index] = kept
		b.Files = slices.DeleteFunc(b.Files, func(f bundle.File) bool { return f.Path == path }) // else EncodeBase lists it
	})
}

// requireNoJump asserts that a replica below a gap is refused and stays as it is.
func requireNoJump(t *testing.T, replica string, store storage.Reader) {
	t.Helper()
	tip, err := openTable(t, replica).Tip(t.Context())
	require.NoError(t, err)
	live := liveFiles(t, replica, tip)
	require.ErrorIs(t, pullIn(t, replica, store, remote.Options{AcrossGap: true}), remote.ErrCorrupt)
	after, err := openTable(t, replica).Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, tip, after)
	require.Equal(t, live, liveFiles(t, replica, tip))
}

// A base whose index lacks what its checkpoint calls live makes a table that no engine reads:
// Verify tells, and nobody begins with it.
func TestIndexThatLacksALiveFile(t *testing.T) {
	const key = "backups/version-000005/base.tar.zst"
	type test struct {
		path  string
		write func(*pond, deltalog.Version) []string // the source's own checkpoint
	}
	for name, c := range map[string]test{
		"a file":                       {"part-00003.parquet", nil},
		"the last file":                {"part-00005.parquet", nil},
		"a deletion vector":            {vectorFile, nil},
		"a file with one":              {"f", nil},
		"an escaped path":              {escapedFile, nil},
		"the checkpoint of the source": {vectorFile, (*pond).engineCheckpoint},
		"a sidecar":                    {churnFile(4), (*pond).engineSidecar},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			if c.path == churnFile(4) {
				source.churn(6, 3, 10)
			} else {
				source = statePond(t)
			}
			if c.write != nil {
				c.write(source, 5)
			}
			source.pushSingly(store)
			source.base(store)
			requireVerified(t, store)
			initLive(t, store, remote.Options{})
			dropFromIndex(t, store, key, c.path)

			v := verify(t, "", store, remote.VerifyOptions{Data: true})
			require.ErrorIs(t, v.Err(), remote.ErrCorrupt)
			require.Len(t, v.Findings, 1)
			f := v.Findings[0]
			require.Equal(t, []any{remote.FindingDamaged, deltalog.Version(5), key, c.path}, []any{f.Kind, *f.Version, f.Key, f.Path})

			dir, err := initErr(t, store, remote.Options{History: remote.HistoryLive})
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.ErrorContains(t, err, key)
			require.ErrorContains(t, err, c.path)
			require.NoFileExists(t, filepath.Join(dir, deltalog.Version(5).CommitPath()))
			require.NoFileExists(t, filepath.Join(dir, deltalog.Version(5).CheckpointPath()))
			full := restored(t, store)
			require.Equal(t, liveFiles(t, source.dir, 5), liveFiles(t, full, 5))
		})
	}
}

// Nor does a pull across a gap take one.
func TestPullAcrossAGapToABaseThatLacksAFile(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(2, 3, 100)
	source.pushSingly(store)
	replica := restored(t, store)
	source.churn(6, 3, 100)
	source.cleanUp(5)
	source.pushSingly(store)
	source.base(store) // 7
	gap := keysWith(t, store, "/base.tar.zst")[0]
	require.Equal(t, "backups/version-000005/base.tar.zst", gap)
	rewriteBase(t, store, gap, func(b *bundle.Base, _ map[string][]byte) {
		b.Files = b.Files[1:] // carried by the base itself, so that its index lacks one, too
	})
	requireNoJump(t, replica, store)
}

// The index may list more than the log names, and less where the source had it no more.
func TestIndexWithMoreThanTheCheckpoint(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 100)
	source.write("_large/a", "extra")
	extra := func(context.Context, deltalog.Version) ([]string, error) { return []string{"_large/a"}, nil }
	pusher := replicator(t, source.dir, store, &remote.Options{Extra: extra, AllowMissing: true})
	_, err := pusher.Push(t.Context())
	require.NoError(t, err)
	_, err = pusher.Base(t.Context())
	require.NoError(t, err)
	requireVerified(t, store)
	dir, _ := initLive(t, store, remote.Options{})
	require.Equal(t, "extra", readLocal(t, dir, "_large/a"))

	key := "backups/version-000003/base.tar.zst"
	rewriteBase(t, store, key, func(b *bundle.Base, _ map[string][]byte) { b.Absent = []string{churnFile(2)} })
	dropFromIndex(t, store, key, churnFile(2))
	for _, data := range bothDepths {
		v := verify(t, "", store, remote.VerifyOptions{Data: data})
		require.NoError(t, v.Err(), fmt.Sprint(v.Findings))
	}
	initLive(t, store, remote.Options{})
}

// A checkpoint that cannot be read, or lacks a sidecar, is damage.
func TestBaseWithABadCheckpoint(t *testing.T) {
	const key = "backups/version-000005/base.tar.zst"
	for name, edit := range map[string]func(b *bundle.Base, members map[string][]byte){
		"no parquet": func(b *bundle.Base, members map[string][]byte) {
			for _, f := range b.Checkpoint {
				members[f.Path] = bytes.Repeat([]byte("x"), 1000)
			}
		},
		"a sidecar is missing": func(b *bundle.Base, _ map[string][]byte) {
			require.Contains(t, b.Checkpoint[1].Path, "_sidecars/")
			b.Checkpoint = b.Checkpoint[:1]
		},
		"of another version": func(_ *bundle.Base, members map[string][]byte) {
			for path, b := range members {
				if strings.HasSuffix(path, ".json") && strings.Contains(path, "checkpoint") {
					members[path] = bytes.Replace(b, []byte(`"version":5`), []byte(`"version":4`), 1)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.churn(6, 3, 10)
			source.engineSidecar(5)
			source.pushSingly(store)
			source.base(store)
			rewriteBase(t, store, key, edit)
			require.Equal(t, []string{"damaged " + key}, kinds(verify(t, "", store, remote.VerifyOptions{Data: true})))
			_, err := initErr(t, store, remote.Options{History: remote.HistoryLive})
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.ErrorContains(t, err, key)
		})
	}
}

// An index that lists more or less than its base says makes every live init fail.
func TestVerifyCountsWhatAnIndexLists(t *testing.T) {
	const key = "backups/version-000005/base.tar.zst"
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 3, 10)
	source.pushSingly(store)
	source.base(store)
	rewriteBase(t, store, key, func(b *bundle.Base, _ map[string][]byte) { b.Live.Files++ })
	for _, data := range bothDepths {
		require.Equal(t, []string{"damaged " + key}, kinds(verify(t, "", store, remote.VerifyOptions{Data: data})))
	}
	_, err := initErr(t, store, remote.Options{History: remote.HistoryLive})
	require.ErrorIs(t, err, remote.ErrCorrupt)
}

// No room for temporary files is an error like any other.
func TestVerifyWithoutTemporaryFiles(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 10)
	source.pushSingly(store)
	source.base(store)
	verifier := storeOnly(t, store, nil)
	for _, name := range []string{"TMPDIR", "TMP"} { // the second on Windows
		t.Setenv(name, filepath.Join(t.TempDir(), "none"))
	}
	_, err := verifier.Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A base that refers to older bytes than versions up to it have brought gives those back.
func TestVerifyTellsOfABaseThatIsBehind(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.write("f", "old")
	source.commit(add("f", "old"))
	source.commit(remove("f"))
	source.pushSingly(store)
	source.write("f", "new")
	source.commit(add("f", "new"))
	source.pushSingly(store)
	source.base(store)
	rewriteBase(t, store, baseOf(3), func(b *bundle.Base, members map[string][]byte) {
		index := bundle.IndexPath(b.Version)
		var lines []byte
		for line := range bytes.Lines(members[index]) {
			var e bundle.IndexEntry
			require.NoError(t, json.Unmarshal(line, &e))
			if e.Path == "f" {
				require.Equal(t, int64(3), e.Version)
				e.Version, e.SHA256, e.Place = 1, sha256.Sum256([]byte("old")), nil
			}
			var err error
			lines, err = bundle.AppendIndex(lines, e)
			require.NoError(t, err)
		}
		members[index] = lines
	})
	found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	require.Len(t, found.Findings, 1)
	require.Contains(t, found.Findings[0].String(), "f: it refers to other bytes than version 3 brought")
}
