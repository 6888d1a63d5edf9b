package atomicfile

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// beneath lets the kernel see to it that a path does not lead out of the folder it begins
// in: openat2(2), since Linux 5.6. os.Root opens every folder on the way for itself.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS

func openBeneath(dir *os.File, name string, flag int) (*os.File, error) {
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{Flags: uint64(flag | unix.O_CLOEXEC), Resolve: beneath})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

func sizeBeneath(dir *os.File, name string) (size int64, ok bool) {
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath})
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd) // nothing was done with it
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, false
	}
	return s.Size, true
}
