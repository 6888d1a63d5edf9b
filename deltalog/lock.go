package deltalog

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// errLocked: another process, or another part of this one, has the lock.
var errLocked = errors.New("locked")

// lockPoll is how often a lock that is taken is tried again.
const lockPoll = 5 * time.Millisecond

// lock waits until no other Apply, in this process or another, works on the
// folder. Closing what it returns unlocks it.
func lock(ctx context.Context, root *atomicfile.Root) (io.Closer, error) {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		c, err := tryLock(root)
		if !errors.Is(err, errLocked) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
