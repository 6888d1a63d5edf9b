package storage_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/internal/disktest"
	"github.com/pondworks/sluice/storage"
)

// dirOperations change a store that has "old" under the key a/old. They may be repeated.
var dirOperations = map[string]struct {
	run  func(t *testing.T, d *storage.Dir) error
	key  string
	may  []string // what the key may hold, "" for nothing, whatever happens
	must string   // what it holds when the operation has returned
}{
	"create": {func(t *testing.T, d *storage.Dir) error {
		err := create(t, d, "a/b/new", "new")
		if errors.Is(err, storage.ErrExists) {
			return nil
		}
		return err
	}, "a/b/new", []string{"", "new"}, "new"},
	"put": {func(t *testing.T, d *storage.Dir) error {
		_, err := d.Put(t.Context(), "a/old", []byte("newer"), "")
		return err
	}, "a/old", []string{"old", "newer"}, "newer"},
	"delete": {func(t *testing.T, d *storage.Dir) error { return d.Delete(t.Context(), "a/old") }, "a/old", []string{"old", ""}, ""},
}

func holdsAt(t *testing.T, folder, key string) string {
	t.Helper()
	b, _, err := openDir(t, folder).Get(t.Context(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return ""
	}
	require.NoError(t, err)
	return string(b)
}

func storeWithOld(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(disktest.Folder(t), "store")
	require.NoError(t, create(t, openDir(t, folder), "a/old", "old"))
	return folder
}

// TestDirEveryFault breaks each operation at each of its steps: the object is as it was
// or as it is to be, and the next attempt succeeds.
func TestDirEveryFault(t *testing.T) {
	for name, o := range dirOperations {
		for _, kind := range disktest.Kinds {
			if name == "delete" && (kind == disktest.Short || kind == disktest.Full) {
				continue // it needs no room
			}
			t.Run(fmt.Sprint(name, ", ", kind), func(t *testing.T) {
				for n := int64(1); ; n++ {
					folder, what := storeWithOld(t), fmt.Sprint("step ", n)
					d := openDir(t, folder)
					faults := disktest.Inject(disktest.Plan{Folder: folder, Kind: kind, N: n})
					err := o.run(t, d)
					faults.Stop()
					if faults.Fired() == 0 {
						require.NoError(t, err)
						require.Greater(t, n, int64(1), "no fault ever fired")
						require.Equal(t, o.must, holdsAt(t, folder, o.key), what)
						return
					}
					require.Error(t, err, what)
					require.NotErrorIs(t, err, storage.ErrUnavailable, "nothing that trying again mends")
					require.Contains(t, o.may, holdsAt(t, folder, o.key), what)
					require.NoError(t, o.run(t, d), what)
					require.Equal(t, o.must, holdsAt(t, folder, o.key), what)
				}
			})
		}
	}
}

// TestDirPowerCut cuts the power after each step, also of an operation that finds what
// a process left that was stopped at any step before.
func TestDirPowerCut(t *testing.T) {
	for name, o := range dirOperations {
		t.Run(name, func(t *testing.T) {
			folder := storeWithOld(t)
			above := filepath.Dir(folder)
			record := disktest.Record(t, above)
			err := o.run(t, openDir(t, folder))
			record.Stop()
			require.NoError(t, err)
			record.RequireComplete(t)
			for n := range record.Steps() + 1 {
				for lost, loss := range disktest.Losses(n) {
					what := fmt.Sprintf("step %d, without %s", n, lost)
					left := disktest.Folder(t)
					record.After(t, n).WriteTo(t, left, loss)
					got := holdsAt(t, filepath.Join(left, "store"), o.key)
					require.Contains(t, o.may, got, what)
					require.True(t, n < record.Steps() || got == o.must, what)
				}
				if name != "create" {
					continue // of the others no trace is left in the end, whether they were made durable or not
				}
				require.NoError(t, os.RemoveAll(above))
				record.After(t, n).WriteTo(t, above, disktest.None)
				both := record.Resume(n)
				err := o.run(t, openDir(t, folder))
				both.Stop()
				require.NoError(t, err)
				left := disktest.Folder(t)
				both.After(t, both.Steps()).WriteTo(t, left, disktest.Unsynced)
				require.Equal(t, o.must, holdsAt(t, filepath.Join(left, "store"), o.key), "again after step %d", n)
			}
		})
	}
}

// TestDirPutSyncsWhatWasShown: a hint at an object must not outlive it, whoever made it.
func TestDirPutSyncsWhatWasShown(t *testing.T) {
	for name, show := range map[string]func(t *testing.T, d *storage.Dir){
		"opened": func(t *testing.T, d *storage.Dir) {
			_, _, err := d.Get(t.Context(), "a/b/c/new")
			require.NoError(t, err)
		},
		"listed": func(t *testing.T, d *storage.Dir) { require.NotEmpty(t, keys(t, d, "")) },
		"many": func(t *testing.T, d *storage.Dir) {
			for i := range 20 {
				require.NoError(t, create(t, d, fmt.Sprintf("x/%d/y", i), "x"))
			}
			require.Greater(t, len(keys(t, d, "")), 20)
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := storeWithOld(t)
			record := disktest.Record(t, folder)
			defer record.Stop()
			// Left by a process that was stopped before it made the names durable.
			root, err := atomicfile.OpenRoot(folder)
			require.NoError(t, err)
			require.NoError(t, root.MkdirAll("a/b/c", 0o755))
			f, err := root.Create("a/b/c/new")
			require.NoError(t, err)
			_, err = f.Write([]byte("new"))
			require.NoError(t, errors.Join(err, f.Sync(), f.Close(), root.Close()))

			d := openDir(t, folder)
			show(t, d)
			_, err = d.Put(t.Context(), "head", []byte(strings.Repeat("h", 10)), "")
			require.NoError(t, err)
			left := filepath.Join(disktest.Folder(t), "left")
			record.After(t, record.Steps()).WriteTo(t, left, disktest.Unsynced)
			require.Equal(t, "new", holdsAt(t, left, "a/b/c/new"))
		})
	}
}
