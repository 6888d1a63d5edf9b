//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package deltalog

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// tryLock locks the folder, or returns errLocked. Closing what it returns
// unlocks it, and so does the end of the process. The lock is on the folder
// itself, so nothing is left in it. A file system that knows no locks does
// without.
func tryLock(root *atomicfile.Root) (io.Closer, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	conn, err := dir.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	switch {
	case err != nil:
		return nil, errors.Join(err, dir.Close())
	case lockErr == nil, errors.Is(lockErr, errors.ErrUnsupported), errors.Is(lockErr, syscall.ENOLCK):
		return dir, nil
	case errors.Is(lockErr, syscall.EWOULDBLOCK), errors.Is(lockErr, syscall.EINTR):
		return nil, errors.Join(errLocked, dir.Close())
	}
	return nil, errors.Join(os.NewSyscallError("flock", lockErr), dir.Close())
}
