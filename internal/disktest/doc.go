// Package disktest makes the disk below tables and stores in local folders fail
// in tests: Inject breaks one step of what a process does to it, and a Recording
// tells what is left of it all if the power goes at any moment.
//
// Both stand at the one place where files are changed, package atomicfile, and
// count for the whole process, so tests that use them do not run in parallel.
package disktest

import (
	"path/filepath"
	"strings"
)

// below reports whether a path is the folder or lies in it.
func below(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, folder+string(filepath.Separator))
}
