// Package disktest makes the disk below tables and stores in local folders fail
// in tests: Inject breaks one step of what a process does to it, and a Recording
// tells what is left of it all if the power goes at any moment.
//
// Both stand at the one place where files are changed, package atomicfile, and
// count for the whole process, so tests that use them do not run in parallel.
package disktest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// below reports whether a path is the folder or lies in it.
func below(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, folder+string(filepath.Separator))
}

// Folder returns a new folder in memory, where there are such: what is broken here are
// the steps of a process, not a device, for which it would have to wait. It is removed
// with the test.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sluice-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
