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

// Push copies every version of the table that the store lacks into the store: a
// single one as one immutable bundle, a backlog of small ones as few of them. It is made for a post-commit hook: an error of
// it says nothing about the commit, and the next Push goes on from where this
// one came. It wraps ErrDiverged if the store holds another history,
// ErrNoTable if there is nothing to push, ErrUnsupported if the log begins above
// version 0 and the table is no StateReader, or needs a reader feature that is not known, ErrCorrupt if a
// file that is live at the newest version is missing.
func (r *Replicator) Push(ctx context.Context) (Report, error) {
	return r.do(ctx, "push", (*session).push)
}

func (s *session) push(ctx context.Context) error {
	if s.store.creator == nil {
		return fmt.Errorf("%w: the store cannot be written", ErrReadOnly)
	}
	if s.group != nil {
		defer s.group.begin()()
	}
	ctx, release := s.hold(ctx)
	defer release()
	pos, err := s.position(ctx)
	if err != nil {
		return err
	}
	tip, err := s.localTip(ctx, pos)
	if err != nil {
		return err
	}
	tip, unsettled, err := s.settled(ctx, pos, tip)
	if s.report.Remaining = unsettled; err != nil || tip < 0 {
		return err
	}
	if pos.isBehind() && tip > pos.last { // as it was remembered
		s.catalog = nil
		if pos, err = s.locate(ctx); err != nil {
			return err
		}
	}
	if err := s.findGap(ctx, pos, tip); err != nil {
		return err
	}
	if pos.gap != nil && pos.some {
		if err := s.confirmGap(ctx, pos, tip); err != nil {
			return err
		}
	}
	if err := s.checkHistory(ctx, pos, tip); err != nil {
		return err
	}
	if pos.unsound != nil {
		return pos.unsound
	}
	if err := s.begin(ctx, pos); err != nil {
		return err
	}
	err = s.pushVersions(ctx, pos, tip)
	if err == nil {
		s.baseIfDue(ctx, pos, tip)
	}
	if herr := s.updateHead(ctx, pos); err == nil {
		err = herr
	}
	if err == nil {
		s.remember(pos)
	}
	return err
}

// hold lets all that is read of the table with ctx be of the one that is there now.
func (s *session) hold(ctx context.Context) (held context.Context, release func()) {
	if table, ok := s.table.(Holder); ok {
		return table.Hold(ctx)
	}
	return ctx, func() {}
}

// position returns where the store is, from memory after the first call. The
// caller owns the result until it hands it to remember.
func (s *session) position(ctx context.Context) (*position, error) {
	s.Replicator.mu.Lock()
	seen := s.seen
	s.seen = nil // unless this call ends well, the next one asks the store again
	s.Replicator.mu.Unlock()
	if seen != nil && s.opts.Clock().Sub(seen.found) < seenFor {
		return seen, nil
	}
	s.catalog = nil
	return s.locate(ctx)
}

// seenFor is for how long this process takes its own word for where the store is:
// much less than the grace period of Prune, so that a pusher that slept does not
// fill a name which retention has freed.
const seenFor = time.Hour

func (s *session) remember(p *position) {
	s.Replicator.mu.Lock()
	defer s.Replicator.mu.Unlock()
	p.found = s.start
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
	if !pos.some || pos.gap != nil {
		return nil
	}
	common, there := pos.last, pos.commit
	if tip < pos.last {
		v, err := s.storedVersion(ctx, tip, pos.hints())
		if errors.Is(err, storage.ErrNotFound) {
			err = s.notStored(ctx, tip)
		}
		if err != nil {
			return err
		}
		common, there = tip, v.Commit.SHA256
	}
	here, err := hashLocal(ctx, s.table, common)
	if errors.Is(err, fs.ErrNotExist) {
		err = at(common, "", fmt.Errorf("%w: the table's log does not go back to it: %w", ErrGap, bare(err)))
	}
	if err != nil {
		return err
	}
	if here != there {
		return diverged(common, here, there)
	}
	s.came(tipState{common, here})
	return nil
}

// notStored says why a store that has come further lacks version v.
func (s *session) notStored(ctx context.Context, v deltalog.Version) error {
	l, err := s.list(ctx)
	if err != nil {
		return err
	}
	if floor := l.floor(); v < floor {
		return at(v, "", &gapAt{version: floor, from: v, pruned: true})
	}
	return at(v, "", fmt.Errorf("%w: the table ends with it, the store has later ones", ErrGap))
}

// begin creates the identity of a new store, after proving that the service
// keeps its word on create-if-absent, and checks that of an old one.
func (s *session) begin(ctx context.Context, pos *position) error {
	if pos.identity == nil {
		id, err := s.createIdentity(ctx, pos.next())
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
	return s.checkTableID(ctx, pos, pos.next())
}

// pushVersions uploads what is missing, several versions at once, and moves pos
// to the end of the run that is free of gaps.
func (s *session) pushVersions(ctx context.Context, pos *position, tip deltalog.Version) error {
	if tip < pos.next() {
		return nil
	}
	if pos.gap != nil {
		if err := s.checkAfterGap(ctx, pos); err != nil {
			return err
		}
		if err := s.takeBase(ctx, pos, pos.gap.version, tip); err != nil {
			return err
		}
	}
	last := tip
	if n := s.opts.MaxVersions; n > 0 && tip-pos.next() >= deltalog.Version(n) {
		last = pos.next() + deltalog.Version(n) - 1
	}
	unsettled := s.report.Remaining
	s.report.Remaining += int(tip - last)
	s.expect(int(last - pos.next() + 1))

	for pos.next() <= last {
		err := s.pushRange(ctx, pos, last, tip)
		var many *tooManyFiles
		if errors.As(err, &many) {
			if err = s.settleMany(ctx, pos, many.version, tip); err == nil {
				continue
			}
		}
		if errors.Is(err, errUnsureEnd) {
			err = s.makeSure(ctx, pos, tip)
		}
		if err != nil {
			return err
		}
		if more := min(pos.leads, tip); more > last { // to where a head may be written
			last = more
		}
		if pos.last < last {
			if err := s.updateHead(ctx, pos); err != nil {
				return err
			}
		}
	}
	s.report.Remaining = unsettled + max(0, int(tip-pos.last))
	return nil
}

// errUnsureEnd stops a push that is about to record a file as absent, for good, while
// it goes by the head, by memory, or by what another call found. That may lag behind
// a pusher who still had the file; a bundle without it must not come beside his. Likewise
// where what it meets shows that this lags.
var errUnsureEnd = errors.New("the end of the store is to be looked up")

// makeSure finds the end of the store once more, by listing.
func (s *session) makeSure(ctx context.Context, pos *position, tip deltalog.Version) error {
	s.endIsSure = true
	found, err := s.locateByList(ctx, pos.identity)
	if err != nil || !found.some || pos.some && found.last <= pos.last {
		return err
	}
	found.tag = pos.tag
	*pos = *found
	if err := s.checkHistory(ctx, pos, tip); err != nil {
		return err
	}
	return pos.unsound
}

// headEvery is how many bundles of a long backlog go up before the head is
// written, so that a push that is cut off leaves no more than these to be
// settled one by one.
const headEvery = 1000

// advance moves the position past a version.
func (p *position) advance(v *versionPlan) {
	p.some, p.mend, p.gap = true, true, nil
	p.last, p.commit, p.time = deltalog.Version(v.Version.Version), v.digest, v.Timestamp
}

// advanceBy moves the position past a bundle.
func (p *position) advanceBy(done *plan) {
	p.advance(done.versions[len(done.versions)-1])
	p.base.Pushed += done.packed
	p.leads = max(p.leads, done.leads)
	if done.stored == nil {
		p.runs = runHints{From: p.last + 1}
	} else {
		p.runs = p.runs.with(done.first(), done.last())
	}
}

// pushRange uploads from pos.next() to last, or as much of it as goes into
// headEvery bundles, in parallel. A version counts only once all below it are
// there.
func (s *session) pushRange(ctx context.Context, pos *position, last, tip deltalog.Version) error {
	up := newUploads(ctx, s.opts.Concurrency, s.opts.Memory, func(done *plan) {
		pos.advanceBy(done)
		s.recordPlan(done)
		s.came(tipState{done.last(), done.versions[len(done.versions)-1].digest})
		s.rememberFiles(done)
	})
	bundles := planner{s: s, ahead: s.readAhead(up.ctx, pos.next(), last), at: *pos, last: last, tip: tip}
	defer bundles.ahead.close()
	for range headEvery {
		p, err := bundles.next(up.ctx)
		if err != nil || p == nil {
			return up.wait(err)
		}
		p.portion = s.portion(p.size)
		s.foresee(p.size, p.last() == last)
		if err := up.start(p, s.uploadMemory(p), func(ctx context.Context) error { return s.upload(ctx, p, tip) }); err != nil {
			return up.wait(err)
		}
	}
	return up.wait(nil)
}

// createIdentity writes sluice.json, or reads that of a pusher who was first.
func (s *session) createIdentity(ctx context.Context, first deltalog.Version) (*identity, error) {
	tableID, err := s.tableID(ctx, first)
	if err != nil {
		return nil, at(first, "", err)
	}
	if err := storage.Probe(ctx, s.store.creator, probeKey); err != nil {
		return nil, fmt.Errorf("probe %s: %w", probeKey, err)
	}
	id := newIdentity(tableID, first, s.opts.Extra != nil, s.opts.Clock(), s.opts.Writer)
	if s.group != nil {
		if id.Lineage, err = s.group.lineage.choose(ctx, s.group.members, id.Lineage); err != nil {
			return nil, err
		}
	}
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
