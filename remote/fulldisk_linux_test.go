package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// smallDisk is a file system of its own, of so many KiB.
type smallDisk struct {
	t    *testing.T
	path string
}

func newSmallDisk(t *testing.T, size int) *smallDisk {
	t.Helper()
	d := &smallDisk{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", d.path, "tmpfs", 0, fmt.Sprintf("size=%dk", size)); err != nil {
		t.Skipf("SKIPPED, needs root: a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(d.path, 0)) })
	return d
}

// remount makes the disk larger, or read-only.
func (d *smallDisk) remount(flags uintptr, size int) {
	d.t.Helper()
	require.NoError(d.t, syscall.Mount("", d.path, "tmpfs", syscall.MS_REMOUNT|flags, fmt.Sprintf("size=%dk", size)))
}

// TestFullDisk lets a real disk run full again and again, and grow a little each time,
// under every operation that writes to one. At last it is made read-only.
func TestFullDisk(t *testing.T) {
	for _, name := range []string{"init of runs", "init live", "pull", "pull across a gap", "push version by version", "base"} {
		t.Run(name, func(t *testing.T) {
			size := 16
			disk := newSmallDisk(t, size)
			trial := diskTrials[name](t)
			copyTree(t, filepath.Dir(trial.folder), filepath.Join(disk.path, "disk"))
			trial.folder = filepath.Join(disk.path, "disk", filepath.Base(trial.folder))
			full := 0
			for err := trial.run(t); err != nil; err = trial.run(t) {
				require.ErrorIs(t, err, syscall.ENOSPC)
				full++
				trial.check(t, fmt.Sprint(size, " KiB"))
				size += 4
				disk.remount(0, size)
			}
			require.Positive(t, full, "it was never full")
			trial.done(t, fmt.Sprint(size, " KiB"))
			t.Logf("full %d times, enough are %d KiB", full, size)
		})
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := newSmallDisk(t, 4096)
	source, store, replica := newPond(t), storage.NewMemory(), filepath.Join(disk.path, "replica")
	source.churn(2, 2, 300)
	source.mustPush(store)
	init := func() error {
		_, err := replicator(t, replica, store, nil).Init(t.Context())
		return err
	}
	pull := func() error {
		_, err := replicator(t, replica, store, nil).Pull(t.Context())
		return err
	}
	disk.remount(syscall.MS_RDONLY, 4096)
	require.ErrorIs(t, init(), syscall.EROFS)
	entries, err := os.ReadDir(disk.path)
	require.NoError(t, err)
	require.Empty(t, entries)
	disk.remount(0, 4096)
	require.NoError(t, init())
	requireSame(t, source.dir, replica)

	disk.remount(syscall.MS_RDONLY, 4096)
	require.NoError(t, pull(), "there is nothing new, and so nothing to write")
	source.churn(2, 2, 300)
	source.mustPush(store)
	require.ErrorIs(t, pull(), syscall.EROFS)
	requireBeginning(t, source, replica, "read-only")
	disk.remount(0, 4096)
	require.NoError(t, pull())
	requireSame(t, source.dir, replica)

	pushed := filepath.Join(disk.path, "store")
	disk.remount(syscall.MS_RDONLY, 4096)
	push := func() error {
		folder, err := storage.OpenDir(pushed)
		require.NoError(t, err)
		_, err = replicator(t, source.dir, folder, nil).Push(t.Context())
		return err
	}
	require.ErrorIs(t, push(), syscall.EROFS)
	disk.remount(0, 4096)
	require.NoError(t, push())
	require.NoError(t, remoteVerify(t, pushed))
}

func remoteVerify(t *testing.T, folder string) error {
	t.Helper()
	store, err := storage.OpenDir(folder)
	require.NoError(t, err)
	found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	return found.Err()
}
