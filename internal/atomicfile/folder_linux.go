package atomicfile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// renameNew renames without replacing. An error wraps errors.ErrUnsupported if
// the kernel or the file system cannot.
func renameNew(from *Folder, name string, to *Folder, final string) error {
	err := unix.Renameat2(int(from.dir.Fd()), name, int(to.dir.Fd()), final, unix.RENAME_NOREPLACE)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // the former is how file systems refuse a flag
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return &os.LinkError{Op: "rename", Old: from.dir.Name() + "/" + name, New: to.dir.Name() + "/" + final, Err: err}
}

// syncAll is syncfs(2), which every Linux that Go runs on has. Before Linux 5.8
// it did not report failed writes, so there it does not count.
func syncAll(dir *os.File) error {
	if !syncReports() {
		return fmt.Errorf("syncfs before Linux 5.8: %w", errors.ErrUnsupported)
	}
	return os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd())))
}
