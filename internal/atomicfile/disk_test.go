package atomicfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/internal/disktest"
)

const (
	oldText = "what was there before"
	newText = "what comes, which is a little longer"
)

// diskOperation changes a folder in which old holds oldText. It may be repeated.
type diskOperation struct {
	run  func(root *atomicfile.Root) error
	file string // that has newText when it is done; "" for folders
	free bool   // the file was not there before
}

var diskOperations = map[string]diskOperation{
	"publish": {func(root *atomicfile.Root) error {
		temp, _, err := atomicfile.WriteTemp(root, ".", strings.NewReader(newText))
		if err != nil {
			return err
		}
		if err := atomicfile.PublishNew(root, temp, "new"); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return root.SyncDir(".") // an attempt that failed after its link was made
	}, "new", true},
	"new": {func(root *atomicfile.Root) error {
		err := atomicfile.WriteNew(root, "new", strings.NewReader(newText))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		return root.SyncDir(".") // as above
	}, "new", true},
	"replace": {func(root *atomicfile.Root) error { return atomicfile.WriteFile(root, "old", []byte(newText)) }, "old", false},
	"move": {func(root *atomicfile.Root) error {
		if err := root.MkdirAll("stage", 0o755); err != nil {
			return err
		}
		if err := root.RemoveAll("stage/x"); err != nil {
			return err
		}
		return moveNew(root)
	}, "new", true},
	"folders": {func(root *atomicfile.Root) error { return atomicfile.MkdirAll(root, "a/b/c") }, "", false},
}

// moveNew writes a file in one folder and moves it to another.
func moveNew(root *atomicfile.Root) (err error) {
	stage, err := atomicfile.OpenFolder(root, "stage")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	top, err := atomicfile.OpenFolder(root, ".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, top.Close()) }()
	f, err := stage.Create("x")
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(newText))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := stage.SyncFile("x"); err != nil {
		return err
	}
	if err := stage.MoveNew("x", top, "new"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return top.Sync()
}

// requireWhole asserts that no file is half there, and with done that the operation
// had its effect.
func (o diskOperation) requireWhole(t *testing.T, folder, what string, done bool) {
	t.Helper()
	if o.file == "" {
		_, err := os.Stat(filepath.Join(folder, "a", "b", "c"))
		require.True(t, err == nil || !done, what)
		return
	}
	b, err := os.ReadFile(filepath.Join(folder, o.file))
	if os.IsNotExist(err) && o.free && !done {
		return
	}
	require.NoError(t, err, what)
	if done || o.free || string(b) != oldText {
		require.Equal(t, newText, string(b), what)
	}
}

func (o diskOperation) in(t *testing.T, folder string) error {
	t.Helper()
	root, err := atomicfile.OpenRoot(folder)
	require.NoError(t, err)
	return errors.Join(o.run(root), root.Close())
}

func oldFolder(t *testing.T) string {
	t.Helper()
	folder := disktest.Folder(t)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "old"), []byte(oldText), 0o644))
	return folder
}

// TestEveryFault breaks every operation at each of its steps: a file is there whole or
// not at all, and the next attempt succeeds.
func TestEveryFault(t *testing.T) {
	for name, o := range diskOperations {
		for _, kind := range disktest.Kinds {
			if o.file == "" && kind == disktest.Short {
				continue // it writes nothing
			}
			t.Run(fmt.Sprint(name, ", ", kind), func(t *testing.T) {
				for n := int64(1); ; n++ {
					folder, what := oldFolder(t), fmt.Sprint("step ", n)
					faults := disktest.Inject(disktest.Plan{Folder: folder, Kind: kind, N: n})
					err := o.in(t, folder)
					faults.Stop()
					if faults.Fired() == 0 {
						require.NoError(t, err)
						require.Greater(t, n, int64(1), "no fault ever fired")
						o.requireWhole(t, folder, what, true)
						return
					}
					require.Error(t, err, what)
					o.requireWhole(t, folder, what, false)
					require.NoError(t, o.in(t, folder), what)
					o.requireWhole(t, folder, what, true)
				}
			})
		}
	}
}

// TestEveryPowerCut cuts the power after each step of every operation: a file is there
// whole or not at all, and it is there when the operation has returned.
func TestEveryPowerCut(t *testing.T) {
	for name, o := range diskOperations {
		t.Run(name, func(t *testing.T) {
			folder := oldFolder(t)
			record := disktest.Record(t, folder)
			err := o.in(t, folder)
			record.Stop()
			require.NoError(t, err)
			record.RequireComplete(t)
			for n := range record.Steps() + 1 {
				for lost, loss := range disktest.Losses(n) {
					left := filepath.Join(disktest.Folder(t), "left")
					record.After(t, n).WriteTo(t, left, loss)
					o.requireWhole(t, left, fmt.Sprintf("step %d, without %s", n, lost), n == record.Steps())
				}
			}
		})
	}
}

// TestMoveNewWithoutRename: where the system cannot rename without replacing, a link
// and a removal do the same.
func TestMoveNewWithoutRename(t *testing.T) {
	stop := atomicfile.Intercept(func(s *atomicfile.Step, do func() error) error {
		if s.Do == atomicfile.StepMove {
			return errors.ErrUnsupported
		}
		return do()
	})
	defer stop()
	folder := oldFolder(t)
	move := diskOperations["move"]
	require.NoError(t, move.in(t, folder))
	move.requireWhole(t, folder, "linked", true)
	require.NoFileExists(t, filepath.Join(folder, "stage", "x"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "new"), []byte(newText+"!"), 0o644))
	require.NoError(t, move.in(t, folder), "the name is taken, which this operation takes for done")
	b, err := os.ReadFile(filepath.Join(folder, "new"))
	require.NoError(t, err)
	require.Equal(t, newText+"!", string(b), "never replaced")
}
