package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// position says where a store is.
type position struct {
	identity  *identity // nil: nothing was ever pushed
	some      bool      // there is at least one version, and what follows is its newest
	last      deltalog.Version
	commit    bundle.Digest    // sha256 of the commit of last
	time      int64            // of last, as Delta counts it, milliseconds
	tag       string           // of the head object, for a conditional Put
	newer     deltalog.Version // that the head with this tag has, where another pusher has come further
	leads     deltalog.Version // up to where a bundle leads that was met, be it beyond last
	base      sinceBase
	runs      runHints
	gap       *gapAt // that comes next; nil: the version after last, if there is any
	mend      bool   // the head object does not say this
	found     time.Time
	unsound   error            // what a listing found wrong below last, which no push may go on from
	floor     deltalog.Version // below which nothing is promised, where the store was listed
	lostFirst bool             // the version is missing with which the history begins, but not those above it
}

// isBehind reports whether more is known to be in the store than up to last. A head that says less
// would mislead: in a run it would free the names of what the run has.
func (p *position) isBehind() bool { return p.last < max(p.newer, p.leads) }

// next is the version that the store wants, or the one after a gap that the
// source has.
func (p *position) next() deltalog.Version {
	switch {
	case p.gap != nil:
		return p.gap.version
	case p.some:
		return p.last + 1
	case p.identity != nil:
		return max(p.identity.First, p.floor)
	}
	return 0
}

// end is the newest version in the store, or, if there is none, the one below those that are
// promised: -1 without a floor.
func (p *position) end() deltalog.Version {
	if p.some {
		return p.last
	}
	return max(0, p.floor) - 1
}

// hints are what is known of the bundles.
func (p *position) hints() runHints {
	h := p.runs
	h.to = p.end()
	return h
}

// locate finds out where the store is: by its head, or where that does not
// serve by listing once.
func (s *session) locate(ctx context.Context) (*position, error) {
	h, tag, err := s.readHead(ctx)
	if err != nil {
		return nil, err
	}
	id, err := s.readIdentity(ctx)
	if err != nil {
		return nil, err
	}
	if h == nil || id == nil || h.Lineage != id.Lineage {
		p, err := s.locateByList(ctx, id)
		if err != nil {
			return nil, err
		}
		p.tag, s.endIsSure = tag, true
		return p, nil
	}
	return &position{identity: id, some: true, last: h.Version, commit: h.Commit, time: h.Timestamp, base: h.SinceBase, runs: h.Bundles, tag: tag}, nil
}

// identityBeside returns the identity of a store that has bundles, of which the first
// pusher may have created all since id was read: the identity comes before them.
func (s *session) identityBeside(ctx context.Context, l listing, id *identity) (*identity, error) {
	if id != nil {
		return id, nil
	}
	id, err := s.readIdentity(ctx)
	if err == nil && id == nil {
		err = &Error{Key: identityKey, Err: fmt.Errorf("%w: it is missing, but there are bundles or what tells of them", ErrCorrupt)}
	}
	return id, err
}

// locateByList finds the end of the history.
func (s *session) locateByList(ctx context.Context, id *identity) (*position, error) {
	l, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	if id == nil && l.isEmpty(nil) {
		return &position{}, nil
	}
	if id, err = s.identityBeside(ctx, l, id); err != nil {
		return nil, err
	}
	p := &position{identity: id, mend: true, floor: l.floor()}
	segments, err := s.history(ctx, l, l.start(id), onlyTo(-1))
	s.noteAbove(l, segments)
	if err != nil || len(segments) == 0 {
		p.lostFirst = l.promisedBy(nil) >= 0 || len(l.floors) > 0
		return p, err
	}
	seg := segments[len(segments)-1]
	// Two pushers whose histories part upload ahead of the version at which they do, until
	// they notice: what lies below the end may be a mixture even where the end is ours. Below
	// that, the chain was whole when whoever pushed on found it so. A head needs no such
	// look, since only what was pushed or settled one by one moves it.
	t, err := s.trailTo(ctx, l, seg.last, runAhead)
	if err != nil {
		return nil, err
	}
	newest, err := t.version(storage.ErrNotFound)
	if err != nil {
		return nil, err
	}
	p.unsound = firstOf(t.lost, t.mixed())
	p.some, p.last, p.commit, p.time = true, seg.last, newest.Commit.SHA256, newest.Timestamp
	p.base, p.runs = sinceBaseOf(l, seg.last), runHints{From: seg.last + 1}
	return p, nil
}
