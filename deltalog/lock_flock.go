//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package deltalog

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often a lock that is taken is tried again.
const lockPoll = 5 * time.Millisecond

// lock waits until no other Apply, in this process or another, works on the
// folder. Closing what it returns unlocks it, and so does the end of the
// process. The lock is on the folder itself, so nothing is left in it. A file
// system that knows no locks does without.
func lock(ctx context.Context, root *os.Root) (io.Closer, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	conn, err := dir.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		var lockErr error
		err := conn.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
		switch {
		case err != nil:
			return nil, errors.Join(err, dir.Close())
		case lockErr == nil, errors.Is(lockErr, errors.ErrUnsupported), errors.Is(lockErr, syscall.ENOLCK):
			return dir, nil
		case !errors.Is(lockErr, syscall.EWOULDBLOCK) && !errors.Is(lockErr, syscall.EINTR):
			return nil, errors.Join(os.NewSyscallError("flock", lockErr), dir.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), dir.Close())
		case <-tick.C:
		}
	}
}
