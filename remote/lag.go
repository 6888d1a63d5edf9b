package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Lag says how far one side is behind the other.
type Lag struct {
	// Versions counts those that are to be moved.
	Versions int64 `json:"versions"`
	// Bytes are to be moved: of table files and commits before compression where
	// the store lacks them, of bundles where the table does.
	Bytes int64 `json:"bytes"`
	// Oldest is when the oldest of these versions was committed, as Delta counts
	// it; nil if there is none.
	Oldest *time.Time `json:"oldest,omitempty"`
	// Age is how long ago that was by this machine's clock, in JSON in nanoseconds;
	// 0 if there is none.
	Age time.Duration `json:"age_ns"`
}

// Lag returns how far the store is behind the table, as far as this process
// knows: it asks the store only if no call before it did, so it also tells
// while the store cannot be reached. It reads the commits that are not in the
// store yet. What a replica lacks only Status tells.
func (r *Replicator) Lag(ctx context.Context) (Lag, error) {
	lag, err := r.newSession("lag").lag(ctx)
	return lag, opError("lag", err)
}

func (s *session) lag(ctx context.Context) (Lag, error) {
	at := s.sync.now().at
	if at == nil {
		st, _, err := s.status(ctx)
		if err != nil || st.Ahead == 0 {
			return Lag{}, err
		}
		return st.Lag, nil
	}
	tip, err := s.table.TipFrom(ctx, at.version)
	if err != nil {
		return Lag{}, err
	}
	return s.lagOfStore(ctx, at.version+1, tip)
}

// lagOfStore is the lag of a store that lacks the versions from next to tip.
func (s *session) lagOfStore(ctx context.Context, next, tip deltalog.Version) (Lag, error) {
	lag := Lag{Versions: max(0, int64(tip-next+1))}
	for v := next; v <= tip; v++ {
		f, err := s.table.OpenCommit(ctx, v)
		if errors.Is(err, fs.ErrNotExist) {
			continue // cleaned up before it was pushed
		}
		if err != nil {
			return lag, at(v, "", err)
		}
		c, err := deltalog.ScanCommitUpTo(f, s.maxListed)
		if err = errors.Join(err, f.Close()); err != nil {
			return lag, at(v, "", err)
		}
		s.begins(&lag, deltalog.CommitTimestamp(c, f.Modified))
		lag.Bytes += c.Size
		for file, err := range s.filesOf(ctx, v, c) {
			if err != nil {
				return lag, at(v, "", err)
			}
			if !file.Kept {
				lag.Bytes += file.Size
			}
		}
	}
	return lag, nil
}

// begins notes the time of the oldest version, in milliseconds since 1970.
func (s *session) begins(lag *Lag, ms int64) {
	if lag.Oldest != nil {
		return
	}
	oldest := time.UnixMilli(ms).UTC()
	lag.Oldest, lag.Age = &oldest, max(0, s.opts.Clock().Sub(oldest))
}

// lagOfTable is the lag of a table that lacks the versions of the store from next on.
func (s *session) lagOfTable(ctx context.Context, pos *position, next deltalog.Version) (Lag, error) {
	lag := Lag{Versions: int64(pos.last - next + 1)}
	l, err := s.list(ctx)
	if err != nil {
		return lag, err
	}
	l.hints = pos.hints()
	from, there := search(l.bundles, next)
	oldest, err := s.historyVersion(ctx, l, next, storage.ErrNotFound)
	switch {
	case errors.Is(err, storage.ErrNotFound) && from < len(l.bundles): // it lies in a gap
		m, err := s.peek(ctx, l.bundles[from])
		if err != nil {
			return lag, err
		}
		oldest = m.Versions[0]
	case err != nil:
		return lag, at(next, "", fmt.Errorf("%w: %w", ErrGap, err))
	case !there: // a run that begins below carries it
		lag.Bytes += l.bundles[from-1].Size
	}
	s.begins(&lag, oldest.Timestamp)
	for _, o := range l.bundles[from:] {
		if o.version <= pos.last {
			lag.Bytes += o.Size
		}
	}
	return lag, nil
}
