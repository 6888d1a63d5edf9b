package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Push copies every version of the table that the store lacks into the store,
// each as one immutable bundle. It is made for a post-commit hook: an error of
// it says nothing about the commit, and the next Push goes on from where this
// one came. It wraps ErrDiverged if the store holds another history,
// ErrNoTable if there is nothing to push, ErrUnsupported if the log begins above
// version 0 or needs a reader feature that is not known, ErrCorrupt if a
// file that is live at the newest version is missing.
func (r *Replicator) Push(ctx context.Context) (Report, error) {
	return r.do(ctx, "push", (*session).push)
}

func (s *session) push(ctx context.Context) error {
	if s.store.creator == nil {
		return fmt.Errorf("%w: the store cannot be written", ErrReadOnly)
	}
	pos, err := s.position(ctx)
	if err != nil {
		return err
	}
	tip, err := s.localTip(ctx, pos)
	if err != nil {
		return err
	}
	if err := s.checkHistory(ctx, pos, tip); err != nil {
		return err
	}
	if err := s.begin(ctx, pos); err != nil {
		return err
	}
	err = s.pushVersions(ctx, pos, tip)
	if herr := s.updateHead(ctx, pos); err == nil {
		err = herr
	}
	if err == nil {
		s.remember(pos)
	}
	return err
}

// position returns where the store is, from memory after the first call. The
// caller owns the result until it hands it to remember.
func (s *session) position(ctx context.Context) (*position, error) {
	s.Replicator.mu.Lock()
	seen := s.seen
	s.seen = nil // unless this call ends well, the next one asks the store again
	s.Replicator.mu.Unlock()
	if seen != nil {
		return seen, nil
	}
	return s.locate(ctx)
}

func (s *session) remember(p *position) {
	s.Replicator.mu.Lock()
	defer s.Replicator.mu.Unlock()
	s.seen = p
}

func (s *session) localTip(ctx context.Context, pos *position) (deltalog.Version, error) {
	if pos.some {
		return s.table.TipFrom(ctx, pos.last)
	}
	return s.table.Tip(ctx)
}

// checkHistory makes sure that table and store share their newest common
// version. The chain of hashes does the rest.
func (s *session) checkHistory(ctx context.Context, pos *position, tip deltalog.Version) error {
	if !pos.some {
		return nil
	}
	common, there := pos.last, pos.commit
	if tip < pos.last {
		m, err := s.readManifest(ctx, tip)
		if err != nil {
			return err
		}
		common, there = tip, m.Commit.SHA256
	}
	here, err := hashLocal(ctx, s.table, common)
	if err != nil {
		return err
	}
	if here != there {
		return diverged(common, here, there)
	}
	return nil
}

// begin creates the identity of a new store, after proving that the service
// keeps its word on create-if-absent, and checks that of an old one.
func (s *session) begin(ctx context.Context, pos *position) error {
	if pos.identity == nil {
		id, err := s.createIdentity(ctx)
		if err != nil {
			return err
		}
		pos.identity = id
	}
	if hook := s.opts.Extra != nil; hook != pos.identity.Extra {
		return fmt.Errorf("%w: store has extra files: %t, this pusher names them: %t", ErrExtraHook, pos.identity.Extra, hook)
	}
	if pos.some {
		return nil
	}
	first, err := s.scanLocal(ctx, pos.identity.First)
	if err != nil {
		return at(pos.identity.First, "", err)
	}
	if id := tableID(first.Commit); id != pos.identity.TableID {
		return at(pos.identity.First, "", fmt.Errorf("%w: the store was begun for table id %q, this is %q", ErrDiverged, pos.identity.TableID, id))
	}
	return nil
}

// pushVersions uploads what is missing, several versions at once, and moves pos
// to the end of the run that is free of gaps.
func (s *session) pushVersions(ctx context.Context, pos *position, tip deltalog.Version) error {
	if tip < pos.next() {
		return nil
	}
	last := tip
	if n := s.opts.MaxVersions; n > 0 && tip-pos.next() >= deltalog.Version(n) {
		last = pos.next() + deltalog.Version(n) - 1
	}
	s.report.Remaining = int(tip - last)
	s.expect(int(last - pos.next() + 1))

	// The first goes alone: if another pusher was ahead of a head that lags,
	// one listing finds out how far, instead of a refused upload per version.
	present, err := s.pushOne(ctx, pos, tip)
	if err != nil {
		return err
	}
	if present && pos.last < last {
		if err := s.skipPresent(ctx, pos, tip); err != nil {
			return err
		}
	}
	return s.pushRange(ctx, pos, last, tip)
}

// skipPresent moves pos to the end of what the store has already.
func (s *session) skipPresent(ctx context.Context, pos *position, tip deltalog.Version) error {
	found, err := s.locateByList(ctx, pos.identity)
	if err != nil {
		return err
	}
	if err := s.checkHistory(ctx, found, tip); err != nil {
		return err
	}
	if !found.some || found.last <= pos.last {
		return nil
	}
	skipped := int(min(found.last, tip) - pos.last)
	s.report.Present += skipped
	s.progress(0, skipped, 0)
	tag := pos.tag
	*pos = *found
	pos.tag, pos.mend = tag, true
	return nil
}

// pushOne plans and uploads the next version.
func (s *session) pushOne(ctx context.Context, pos *position, tip deltalog.Version) (present bool, err error) {
	p, err := s.plan(ctx, pos, tip)
	if err != nil {
		return false, err
	}
	present, err = s.upload(ctx, p)
	if err == nil {
		pos.advance(p)
	}
	return present, err
}

// advance moves the position past an uploaded version.
func (p *position) advance(done *plan) {
	p.some, p.mend = true, true
	p.last, p.commit, p.time = done.version, done.commit, done.manifest.Versions[0].Timestamp
}

// pushRange uploads from pos.next() to last in parallel. A version counts
// only once all below it are there.
func (s *session) pushRange(ctx context.Context, pos *position, last, tip deltalog.Version) error {
	up := newUploads(ctx, s.opts.Concurrency, pos.advance)
	planned := *pos
	for planned.next() <= last {
		p, err := s.plan(up.ctx, &planned, tip)
		if err == nil {
			err = up.start(p, func(ctx context.Context) error {
				_, err := s.upload(ctx, p)
				return err
			})
		}
		if err != nil {
			return up.wait(err)
		}
		planned.advance(p)
	}
	return up.wait(nil)
}

// createIdentity writes sluice.json, or reads that of a pusher who was first.
func (s *session) createIdentity(ctx context.Context) (*identity, error) {
	first, err := s.scanLocal(ctx, 0)
	if err != nil {
		return nil, at(0, "", err)
	}
	if err := storage.Probe(ctx, s.store.creator, probeKey); err != nil {
		return nil, fmt.Errorf("probe %s: %w", probeKey, err)
	}
	id := newIdentity(tableID(first.Commit), s.opts.Extra != nil, s.opts.Clock(), s.opts.Writer)
	err = s.createSmall(ctx, identityKey, id)
	if errors.Is(err, storage.ErrExists) {
		if id, err = s.readIdentity(ctx); err == nil && id == nil {
			err = storage.ErrNotFound
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", identityKey, err)
	}
	return id, nil
}

func tableID(c *deltalog.Commit) string {
	if c.Metadata == nil {
		return ""
	}
	return c.Metadata.ID
}
