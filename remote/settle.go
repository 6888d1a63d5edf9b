package remote

import (
	"context"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// sighting is how the newest commit looked when it was first seen so.
type sighting struct {
	version  deltalog.Version
	size     int64
	modified time.Time
	seen     time.Time
}

// settled returns the newest version whose commit nobody is still writing, as
// far as Options.Settle can tell, negative if there is none, and how many it
// left out: 0 or 1, since who writes a commit has read all before it. What is in the store
// already is not looked at.
//
// A commit is still if it is old by the clock or was seen long enough ago; the
// latter because the clock of the table's storage may be ahead of ours.
func (s *session) settled(ctx context.Context, pos *position, tip deltalog.Version) (deltalog.Version, int, error) {
	if s.opts.Settle == 0 || tip < pos.next() {
		return tip, 0, nil
	}
	f, err := s.table.OpenCommit(ctx, tip)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return 0, 0, at(tip, "", err)
	}
	now := s.opts.Clock()
	if last := s.newest; last.version != tip || last.size != f.Size || !last.modified.Equal(f.Modified) {
		s.newest = sighting{tip, f.Size, f.Modified, now}
	}
	if now.Sub(f.Modified) >= s.opts.Settle || now.Sub(s.newest.seen) >= s.opts.Settle {
		return tip, 0, nil
	}
	return tip - 1, 1, nil
}
