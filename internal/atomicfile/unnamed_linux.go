package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// ownFiles is where a process finds its open files by number. Without it a file that has
// no name cannot get one, short of the rights of root.
const ownFiles = "/proc/self/fd"

var hasOwnFiles = sync.OnceValue(func() bool {
	_, err := os.Stat(ownFiles)
	return err == nil
})

// openUnnamed makes a file in folder dir that has no name: it goes with the process. An
// error wraps errors.ErrUnsupported if the kernel or the file system cannot, as those of
// networks.
func openUnnamed(root *os.Root, dir string) (*os.File, error) {
	if !hasOwnFiles() {
		return nil, fmt.Errorf("%s: %w", ownFiles, errors.ErrUnsupported)
	}
	f, err := root.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o644)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EISDIR) { // who does not know the flag opens the folder
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return f, err
}

// linkUnnamed gives the file a name, which must be free.
func linkUnnamed(f *os.File, root *os.Root, name string) error {
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	own := ownFiles + "/" + strconv.Itoa(int(f.Fd()))
	err = unix.Linkat(unix.AT_FDCWD, own, int(dir.Fd()), path.Base(name), unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: own, New: name, Err: err}
	}
	return nil
}
