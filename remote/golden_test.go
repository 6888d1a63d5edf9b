package remote_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

var update = flag.Bool("update", false, "write the golden stores that do not exist yet; those that do are never touched")

// goldenStores were written by the release that froze format 1. Every later one
// restores them, byte for byte. Between them they have all that a store may hold:
// bundles of one version and runs, parts, bases, packs, a gap, a floor, a pin. The store
// "old" came later, before the first release: its base lies in parts; and so did "many", in
// which bases list the files of two commits.
const goldenStores = "testdata/v1"

func TestGoldenStores(t *testing.T) {
	if *update {
		writeGoldenStores(t)
	}
	folders, err := filepath.Glob(filepath.Join(goldenStores, "*"))
	require.NoError(t, err)
	require.Len(t, folders, 5)
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(folder, "restored.txt"))
			require.NoError(t, err)
			store := storeOf(t, filepath.Join(folder, "store"))
			// The release that wrote them listed what cannot be restored, too.
			can := regexp.MustCompile(`(?m)^.* gap\n`).ReplaceAllString(string(want), "")
			require.Equal(t, can, goldenRestores(t, store))
			v := verify(t, "", store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err(), kinds(v))
			if os.Getenv("SLUICE_PYTHON") != "" {
				_, said, err := readElsewhere(t, store)
				require.NoError(t, err, said)
			}
		})
	}
}

// storeOf is a store with what lies in a folder.
func storeOf(t *testing.T, folder string) storage.Store {
	t.Helper()
	store := storage.NewMemory()
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		key, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		return store.Create(t.Context(), filepath.ToSlash(key), bytes.NewReader(b), -1)
	}))
	return store
}

// goldenRestores restores every version both ways and has a line for each.
func goldenRestores(t *testing.T, store storage.Reader) string {
	t.Helper()
	var lines strings.Builder
	for info, err := range remote.Versions(t.Context(), store) {
		require.NoError(t, err)
		for name, history := range map[string]remote.History{"full": remote.HistoryFull, "live": remote.HistoryLive} {
			dir := filepath.Join(t.TempDir(), "replica")
			_, err := replicator(t, dir, store, &remote.Options{Target: &info.Version, History: history, Durability: remote.DurabilityRelaxed}).Init(t.Context())
			require.NoError(t, err)
			fmt.Fprintf(&lines, "%d %s %x\n", int64(info.Version), name, tableDigest(t, dir, info.Version))
		}
	}
	sorted := strings.Split(strings.TrimSpace(lines.String()), "\n")
	slices.Sort(sorted)
	return strings.Join(sorted, "\n") + "\n"
}

// tableDigest is that of all live files, by path, and of all commits with their
// times. Checkpoints are left out: a replica writes its own.
func tableDigest(t *testing.T, dir string, v deltalog.Version) []byte {
	t.Helper()
	h := sha256.New()
	live := liveFiles(t, dir, v)
	for _, path := range slices.Sorted(maps.Keys(live)) {
		fmt.Fprintf(h, "%s %d\n%s", path, len(live[path]), live[path])
	}
	files := tree(t, dir)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if _, isCommit := deltalog.ParseCommitPath(path); isCommit {
			fmt.Fprintf(h, "%s %d\n%s", path, len(files[path]), files[path])
		}
	}
	return h.Sum(nil)
}

// goldenOptions leave nothing in a store that depends on where it was made.
func goldenOptions() *remote.Options {
	return &remote.Options{
		Writer: bundle.Writer{Program: "sluice", Version: "format 1"}, MaxVersions: 1, NoBases: true,
		Clock: func() time.Time { return time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC) },
	}
}

// goldenPush pushes version by version, and divides what has more than 700 bytes.
func (p *pond) goldenPush(store storage.Reader) {
	p.t.Helper()
	hook := replicator(p.t, p.dir, store, goldenOptions())
	remote.SetPartSize(hook, 700)
	for {
		report, err := hook.Push(p.t.Context())
		require.NoError(p.t, err)
		if report.Remaining == 0 {
			return
		}
	}
}

func (p *pond) goldenBase(store storage.Reader) {
	p.t.Helper()
	_, err := replicator(p.t, p.dir, store, goldenOptions()).Base(p.t.Context())
	require.NoError(p.t, err)
}

// goldenWhole has all from 0 on: a pack, a base, a commit in parts, another base, a
// run.
func goldenWhole(t *testing.T) (*pond, storage.Store) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 300)
	source.goldenPush(store)
	source.goldenBase(store)
	r := storeOnly(t, store, goldenOptions())
	_, err := r.Consolidate(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Pin(t.Context(), "audit", 2))
	source.commitLarge(5, 300)
	source.goldenPush(store)
	source.goldenBase(store)
	source.churn(1, 3, 300)
	source.goldenPush(store)
	source.churn(3, 3, 300)
	opts := goldenOptions()
	opts.MaxVersions = 0
	_, err = replicator(t, source.dir, store, opts).Push(t.Context())
	require.NoError(t, err)
	return source, store
}

func goldenPruned(t *testing.T) (*pond, storage.Store) {
	source, store := goldenWhole(t)
	for range 2 {
		opts := goldenOptions()
		opts.Clock = nil // those objects were made now
		_, err := storeOnly(t, store, opts).Prune(t.Context(), remote.PruneOptions{KeepVersions: 4, Delete: true, Grace: -1})
		require.NoError(t, err)
	}
	return source, store
}

func goldenGap(t *testing.T) (*pond, storage.Store) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(2, 3, 300)
	source.goldenPush(store)
	source.churn(5, 3, 300)
	source.cleanUp(5)
	source.goldenPush(store)
	return source, store
}

// goldenOld begins at a base that is divided, and has another that refers to its parts.
func goldenOld(t *testing.T) (*pond, storage.Store) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(1, 3, 300)
	source.commitLarge(5, 300)
	source.churn(1, 3, 300)
	source.cleanUp(2)
	source.churn(1, 3, 300)
	source.goldenPush(store)
	source.goldenBase(store)
	source.churn(1, 3, 300)
	source.goldenPush(store)
	require.NotEmpty(t, keysWith(t, store, "version-000002/part-"))
	return source, store
}

// goldenMany has two commits whose files bases list, the first and one in the middle.
func goldenMany(t *testing.T) (*pond, storage.Store) {
	source, store := newPond(t), storage.NewMemory()
	source.commitLarge(6, 300)
	source.churn(3, 9, 300)
	source.commitLarge(5, 300)
	source.churn(2, 9, 300)
	hook := replicator(t, source.dir, store, goldenOptions())
	remote.SetMaxListed(hook, 3)
	for {
		report, err := hook.Push(t.Context())
		require.NoError(t, err)
		if report.Remaining == 0 {
			break
		}
	}
	require.Equal(t, []string{baseOf(0), baseOf(4)}, keysWith(t, store, "/base.tar.zst"))
	return source, store
}

func writeGoldenStores(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (*pond, storage.Store){"whole": goldenWhole, "pruned": goldenPruned, "gap": goldenGap, "old": goldenOld, "many": goldenMany} {
		folder := filepath.Join(goldenStores, name)
		if _, err := os.Stat(folder); err == nil {
			continue
		}
		source, store := make(t)
		restores := goldenRestores(t, store)
		newest := source.next - 1
		live, _ := initLive(t, store, remote.Options{})
		require.Equal(t, liveFiles(t, source.dir, newest), liveFiles(t, live, newest))
		if name == "whole" || name == "many" {
			require.Contains(t, restores, fmt.Sprintf("%d full %x\n", int64(newest), tableDigest(t, source.dir, newest)))
		}
		copyObjects(t, store, filepath.Join(folder, "store"))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "restored.txt"), []byte(restores), 0o644))
	}
}
