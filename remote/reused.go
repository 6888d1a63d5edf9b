package remote

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// Where versions are missing, nothing says whether one of them brought a file under a path
// that the store has from before. The protocol forbids to use a path again; who does it all
// the same would get the old bytes back. So what may have been written since is compared by
// its content.

// clockSlack is how far the clocks may be apart of those who write files and commits,
// milliseconds.
const clockSlack = int64(24 * time.Hour / time.Millisecond)

// noTime bounds what writers state as a time that know none: before 2000, milliseconds since
// the epoch, there was no such file.
const noTime = 946_684_800_000

// never is later than all times.
const never = math.MaxInt64

// sinceWhen is from when on a file may have come with a version that is missing, milliseconds
// since the epoch: one of the gap that comes next, or of one whose base, lost, is missing too.
func sinceWhen(pos *position, lost deltalog.Version) int64 {
	switch {
	case lost >= 0:
		return math.MinInt64
	case pos.gap != nil && pos.some:
		return pos.time - clockSlack
	}
	return never
}

// isFromBefore reports whether the log says that a file was made before then.
func isFromBefore(a deltalog.Add, then int64) bool {
	return then == never || noTime < a.Modified && a.Modified < then
}

// isOther reports whether what the store has under the path of a live file may be another file of
// that name: one that the version itself brings, or one that a missing version brought.
func (x *indexer) isOther(ctx context.Context, file liveFile, isBrought func(string) (bool, error)) (bool, error) {
	brought, err := isBrought(file.path)
	if err != nil || brought || x.since == never {
		return brought, err
	}
	size, found, err := x.fileSize(ctx, file.path)
	if err != nil || !found || size != file.stored.Size || file.fromBefore {
		return found && size != file.stored.Size, err
	}
	here, err := x.measure(ctx, file.stored.File)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !here.Same(file.stored.File), err
}

// liveValue is what is sorted of a live file, by its path.
func liveValue(kind bundle.Kind, fromBefore bool) []byte {
	if fromBefore {
		return append([]byte{1}, kind...)
	}
	return append([]byte{0}, kind...)
}

func decodeLive(value []byte) (kind bundle.Kind, fromBefore bool) {
	return bundle.Kind(value[1:]), value[0] == 1
}
