package atomicfile

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// beneath lets the kernel see to it that a path does not lead out of the folder it begins
// in: openat2(2), since Linux 5.6. os.Root opens every folder on the way for itself.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS

func openat2(dir *os.File, name string, flag int) (fd int, err error) {
	return unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{Flags: uint64(flag | unix.O_CLOEXEC), Resolve: beneath})
}

func openBeneath(dir *os.File, name string, flag int) (*os.File, error) {
	fd, err := openat2(dir, name, flag)
	if err != nil {
		return nil, err
	}
	return newFile(dir, fd, name), nil
}

func newFile(dir *os.File, fd int, name string) *os.File {
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name))
}

func sizeBeneath(dir *os.File, name string) (size int64, ok bool) {
	fd, err := openat2(dir, name, unix.O_PATH)
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

// openSmallBeneath makes an os.File only of what is not small: that takes two more system
// calls and a finalizer.
func openSmallBeneath(dir *os.File, name string, flag int) (*os.File, *Small, error) {
	fd, err := openat2(dir, name, flag)
	if err != nil {
		return nil, nil, err
	}
	if small := readSmall(fd); small != nil {
		unix.Close(fd) // read only: nothing can be lost
		return nil, small, nil
	}
	return newFile(dir, fd, name), nil, nil
}

// readSmall reads a small regular file. It returns nil for all else, also where it cannot
// be read: whoever reads the file from its beginning, where it is left, finds out.
func readSmall(fd int) *Small {
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT != unix.S_IFREG || s.Size >= smallFile {
		return nil
	}
	buf := smallBuffers.Get().(*[smallFile]byte)
	for n := 0; n < len(buf); {
		got, err := unix.Pread(fd, buf[n:], int64(n))
		if err != nil {
			break
		}
		if n += got; got == 0 || int64(n) == s.Size { // less than asked for, and all that it says it has
			return &Small{Size: s.Size, Modified: time.Unix(s.Mtim.Unix()), buf: buf, content: buf[:n]}
		}
	}
	smallBuffers.Put(buf)
	return nil
}
