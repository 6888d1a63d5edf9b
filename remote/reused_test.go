package remote_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// addedAt is add with the time at which the file was made.
func addedAt(path, content string, made time.Time) action {
	a := add(path, content)
	a["add"].(map[string]any)["modificationTime"] = made.UnixMilli()
	return a
}

// readingTable tells which files were read.
type readingTable struct {
	*deltalog.Dir
	mu   sync.Mutex
	read map[string]bool
}

func (d *readingTable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	d.mu.Lock()
	d.read[path] = true
	d.mu.Unlock()
	return d.Dir.OpenFile(ctx, path)
}

// A version that is lost in a gap has used the path of a file again, for as many other bytes.
// Without the version only the bytes tell, or a time from before.
func TestPathUsedAgainInAGap(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) // the time of the commits
	long, now := began.Add(-48*time.Hour), began
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.write("again", "first")
	source.write("_extra", "first")
	source.write("stays", "stays")
	source.write("since", "stays")
	source.commit(addedAt("again", "first", now), addedAt("stays", "stays", long), addedAt("since", "stays", now))
	extra := func(context.Context, deltalog.Version) ([]string, error) { return []string{"_extra"}, nil }
	push := func() map[string]bool {
		table := &readingTable{Dir: openTable(t, source.dir), read: map[string]bool{}}
		r, err := remote.New(table, store, &remote.Options{Extra: extra, NoBases: true})
		require.NoError(t, err)
		_, err = r.Push(t.Context())
		require.NoError(t, err)
		return table.read
	}
	push()
	behind := restored(t, store)

	source.commit(remove("again"))
	source.write("again", "other")
	source.write("_extra", "other")
	source.commit(addedAt("again", "other", now))
	last := source.append("4")
	source.cleanUp(last)
	read := push()
	require.True(t, read["since"])
	require.False(t, read["stays"], "its time says that it is the one from before")

	live, _ := initLive(t, store, remote.Options{})
	full := restored(t, store)
	for _, dir := range []string{live, full} {
		for path, want := range map[string]string{"again": "other", "_extra": "other", "stays": "stays", "since": "stays"} {
			got, err := os.ReadFile(filepath.Join(dir, path))
			require.NoError(t, err)
			require.Equal(t, want, string(got), path)
		}
	}
	requireClean(t, source.dir, store)

	// Where the bytes of before are, they stay.
	before := tree(t, behind)
	require.ErrorIs(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}), deltalog.ErrConflict)
	for path, want := range before {
		if path == "again" {
			require.Equal(t, want, tree(t, behind)[path])
		}
	}
}

// The base beside a gap is lost, and with it what the missing versions brought. The next one
// does not take a file from before the gap for it.
func TestPathUsedAgainInAGapWhoseBaseIsLost(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.write("again", "first")
	source.commit(add("again", "first"))
	source.pushSingly(store)
	source.commit(remove("again"))
	source.write("again", "other")
	source.commit(add("again", "other"))
	v := source.append("4")
	source.cleanUp(v)
	source.mustPush(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), baseOf(v)))
	source.append("5")
	source.pushSingly(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	live, _ := initLive(t, store, remote.Options{AcrossGap: true})
	got, err := os.ReadFile(filepath.Join(live, "again"))
	require.NoError(t, err)
	require.Equal(t, "other", string(got))
}
