package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Pull applies every version of the store that the replica lacks, in order;
// a version that a failure interrupts is not visible, and the next Pull goes on
// from there. It wraps ErrNoTable if there is no replica yet (init first),
// ErrDiverged if the replica is not on the history of the store, ErrGap if a
// version in between is missing there.
func (r *Replicator) Pull(ctx context.Context) (Report, error) {
	return r.do(ctx, "pull", (*session).pull)
}

func (s *session) pull(ctx context.Context) error {
	table, err := s.applier()
	if err != nil {
		return err
	}
	if err = s.pullInto(ctx, table); err != nil {
		s.discard(ctx, table)
	}
	return err
}

func (s *session) pullInto(ctx context.Context, table LogApplier) error {
	if err := table.Discard(ctx); err != nil { // left by a pull that was killed
		return err
	}
	h, _, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	tip, err := s.replicaTip(ctx, table, h)
	if errors.Is(err, ErrUnsupported) && s.opts.AcrossGap {
		tip, err = s.finishJump(ctx, table, err)
	}
	if err != nil {
		return err
	}
	if h == nil {
		return s.pullListed(ctx, table, tip)
	}
	if err := s.checkHead(ctx, table, tip, h); err != nil {
		return err
	}
	if h.Version > tip.version {
		if tip, err = s.pullTo(ctx, table, tip, h); err != nil {
			return err
		}
	}
	return s.pullBeyond(ctx, table, tip, h)
}

// replicaTip reads where the replica is. h, which may be nil, is where it
// probably is.
func (s *session) replicaTip(ctx context.Context, table LogApplier, h *head) (*tipState, error) {
	tip := table.Tip
	if h != nil {
		tip = func(ctx context.Context) (deltalog.Version, error) { return table.TipFrom(ctx, h.Version) }
	}
	v, err := tip(ctx)
	if err != nil {
		return nil, err
	}
	commit, err := hashLocal(ctx, table, v)
	return &tipState{v, commit}, err
}

// finishJump takes the base again that a pull across a gap was about to take when
// it was stopped: the log has its checkpoint already and not yet its commit. That
// it is the same base is settled by the bytes of that checkpoint. Retention may have taken
// that base: then it goes on from a newer one, if the checkpoint is of the store's table.
func (s *session) finishJump(ctx context.Context, table LogApplier, cause error) (*tipState, error) {
	reader, ok := table.(StateReader)
	if !ok {
		return nil, cause
	}
	found, err := reader.Checkpoints(ctx, 0)
	if err != nil || len(found) == 0 {
		return nil, errors.Join(cause, err)
	}
	begun := found[len(found)-1].Version
	tip, err := s.restoreBase(ctx, table, begun, true, nil)
	if !errors.Is(err, storage.ErrNotFound) {
		return tip, err
	}
	later, exists, err := s.baseAbove(ctx, begun)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, cause
	}
	of, err := s.readIdentity(ctx)
	if err != nil || of == nil {
		return nil, errors.Join(cause, err)
	}
	id, err := s.stateID(ctx, reader, begun)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	if err := of.checkReplicaID(begun, id); err != nil {
		return nil, err
	}
	return s.restoreBase(ctx, table, later, true, nil)
}

// checkReplica makes sure that a replica whose newest version the store does not have any
// more is of the store's table, by the id of that: its log is about to go. Within a history
// the id may change, so that which the replica had at the beginning will do, too.
func (s *session) checkReplica(ctx context.Context, tip deltalog.Version) error {
	of, err := s.readIdentity(ctx)
	if err != nil || of == nil {
		return err
	}
	id, err := s.tableID(ctx, tip)
	if err == nil && id != of.TableID {
		first, ferr := s.tableID(ctx, of.First)
		if !errors.Is(ferr, fs.ErrNotExist) {
			id, err = first, ferr
		}
	}
	if err != nil {
		return at(tip, "", err)
	}
	return of.checkReplicaID(tip, id)
}

func (of *identity) checkReplicaID(v deltalog.Version, id string) error {
	if id == of.TableID {
		return nil
	}
	return at(v, "", fmt.Errorf("%w: the store does not have this version any more, and its table has the id %q, the replica %q: restore it into an empty folder", ErrDiverged, of.TableID, id))
}

// checkHead compares with the head where the replica has come that far, so
// that a replica on another history does not hear that nothing is new.
func (s *session) checkHead(ctx context.Context, table LogApplier, tip *tipState, h *head) error {
	if h.Version > tip.version {
		return nil // the chain will tell
	}
	common, there := h.Version, h.Commit
	here, err := hashLocal(ctx, table, common)
	if errors.Is(err, fs.ErrNotExist) { // the head lags below where the replica begins
		v, err := s.storedVersion(ctx, tip.version, h.Bundles)
		if errors.Is(err, storage.ErrNotFound) {
			err = at(tip.version, "", fmt.Errorf("%w: the replica's log begins with or above it, and the store ends below", ErrGap))
		}
		if err != nil {
			return err
		}
		common, here, there = tip.version, tip.commit, v.Commit.SHA256
	} else if err != nil {
		return err
	}
	if here != there {
		return diverged(common, here, there)
	}
	s.came(tipState{common, here})
	return nil
}

// pullTo applies up to the version of the head, all of which should be in the
// store.
func (s *session) pullTo(ctx context.Context, table LogApplier, tip *tipState, h *head) (*tipState, error) {
	if bundles, known := h.Bundles.bundles(nextOf(tip), h.Version); known {
		return s.pullBundles(ctx, table, tip, h.Version, bundles)
	}
	return s.pullOver(ctx, table, tip, h.Version, storage.ErrNotFound) // the replica is far behind
}

// pullBundles applies up to last, which these bundles should carry.
func (s *session) pullBundles(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, bundles []object) (*tipState, error) {
	s.expect(int(last - tip.version))
	s.foreseeObjects(bundles, true)
	tip, err := s.replay(ctx, table, tip, last, bundles)
	var gap *gapAt
	switch {
	case errors.As(err, &gap):
		return s.pullAcross(ctx, table, tip, gap, last)
	case errors.Is(err, storage.ErrNotFound):
		return s.pullOver(ctx, table, tip, last, err)
	case err == nil && tip.version < last:
		return s.pullOver(ctx, table, tip, last, storage.ErrNotFound)
	}
	return tip, err
}

// pullAcross goes on from the base after a gap, if it may. The log up to tip goes,
// so a replica with a commit of its own there must not pass for one of this
// history.
func (s *session) pullAcross(ctx context.Context, table LogApplier, tip *tipState, gap *gapAt, last deltalog.Version) (*tipState, error) {
	there, err := s.storedVersion(ctx, tip.version, onlyTo(-1))
	missing := errors.Is(err, storage.ErrNotFound) // it is in the gap itself
	switch {
	case err != nil && !missing:
		return tip, err
	case !missing && there.Commit.SHA256 != tip.commit:
		return tip, diverged(tip.version, tip.commit, there.Commit.SHA256)
	case !s.opts.AcrossGap:
		return tip, at(nextOf(tip), "", gap)
	case missing:
		if err := s.checkReplica(ctx, tip.version); err != nil {
			return tip, err
		}
	}
	if tip, err = s.restoreAfterGap(ctx, table, gap.version, true, nil); err != nil {
		return nil, err
	}
	if tip.version >= last {
		return tip, nil
	}
	return s.pullOver(ctx, table, tip, last, storage.ErrNotFound)
}

// restoreAfterGap restores the base of the version after a gap. Retention may have taken it and
// left the bundle that records the gap, which has live files: then that of the floor. Where it was
// lost, a later one, with Options.AcrossGap; it wraps ErrCorrupt if there is none. g is that of an
// init, else nil; jump is as of baseUse.
func (s *session) restoreAfterGap(ctx context.Context, table LogApplier, after deltalog.Version, jump bool, g *goal) (*tipState, error) {
	tip, err := s.restoreBase(ctx, table, after, jump, g)
	if !errors.Is(err, storage.ErrNotFound) && !errors.As(err, new(brokenBase)) {
		return tip, err
	}
	later, found, lerr := s.baseAbove(ctx, after)
	if lerr != nil {
		return nil, errors.Join(err, lerr)
	}
	if found = found && (g == nil || later <= g.target); !found && !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	if !found {
		return nil, at(after, baseKey(after), fmt.Errorf("%w: the history goes on with it after the gap: %s", ErrCorrupt, bare(err)))
	}
	return s.restoreBase(ctx, table, later, jump, g)
}

// pullOver looks where the version after tip is, which was not where it was
// thought to be: in another bundle, behind a recorded gap, which it takes if it
// may, or nowhere.
func (s *session) pullOver(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, cause error) (*tipState, error) {
	missing := nextOf(tip)
	l, err := s.list(ctx)
	if err != nil {
		return tip, err
	}
	seg, found, err := s.gapFreeEnd(ctx, l, missing, onlyTo(last))
	if err != nil {
		return tip, err
	}
	if found {
		return s.pullFound(ctx, table, tip, last, seg)
	}
	after, found, err := s.bridge(ctx, l, tip.version)
	if err == nil && !found && s.opts.AcrossGap {
		var there bool
		if there, err = s.has(ctx, bundleKey(missing)); err == nil && !there { // else the listing lags
			after, found, err = s.beyondLoss(ctx, l, tip.version)
		}
	}
	switch {
	case err != nil:
		return tip, err
	case found:
		return s.pullAcross(ctx, table, tip, &gapAt{after, missing, after == l.floor()}, last)
	}
	if i, _ := search(l.bundles, missing+1); i < len(l.bundles) {
		return tip, at(missing, "", fmt.Errorf("%w: versions %d to %d", ErrGap, int64(missing), int64(l.bundles[i].version-1)))
	}
	return tip, at(missing, "", fmt.Errorf("%w: version %d and all above: %w", ErrGap, int64(missing), bare(cause)))
}

// pullFound applies what a listing found, and what is behind it.
func (s *session) pullFound(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, seg segment) (*tipState, error) {
	s.foreseeObjects(seg.bundles, true)
	moved, err := s.replay(ctx, table, tip, seg.last, seg.bundles)
	if err == nil && moved == tip {
		err = at(seg.first, "", fmt.Errorf("%w: no bundle has version %d, though one seemed to", ErrCorrupt, int64(seg.first)))
	}
	var gap *gapAt
	switch {
	case errors.As(err, &gap):
		return s.pullAcross(ctx, table, moved, gap, last)
	case err == nil && moved.version < last:
		return s.pullOver(ctx, table, moved, last, storage.ErrNotFound)
	}
	return moved, err
}

// pullBeyond looks for bundles that the head does not know of yet. Where there is
// none and the replica is further than the head, a listing tells whether what it
// has beyond is what the store has: it may be commits of its own.
func (s *session) pullBeyond(ctx context.Context, table LogApplier, tip *tipState, h *head) error {
	for proven := h.Version >= tip.version; ; proven = true {
		next := nextOf(tip)
		moved, err := s.replay(ctx, table, tip, next+maxRun, []object{s.bundle(next)})
		if errors.Is(err, storage.ErrNotFound) && moved == tip {
			if proven {
				return nil
			}
			l, err := s.list(ctx)
			if err != nil {
				return err
			}
			return s.checkListed(ctx, table, tip, l.upTo(tip.version))
		}
		var gap *gapAt
		if errors.As(err, &gap) || errors.Is(err, ErrCorrupt) && moved != tip {
			return s.pullListed(ctx, table, moved)
		}
		if err != nil {
			return err
		}
		tip = moved
	}
}

// pullListed pulls from a store without a usable head: one listing says what
// is there.
func (s *session) pullListed(ctx context.Context, table LogApplier, tip *tipState) error {
	l, err := s.list(ctx)
	if err != nil {
		return err
	}
	if l.isEmpty(nil) {
		return ErrEmptyStore
	}
	seg, found, err := s.gapFreeEnd(ctx, l, nextOf(tip), onlyTo(-1))
	if err != nil {
		return err
	}
	if found {
		_, err = s.pullBundles(ctx, table, tip, seg.last, seg.bundles)
		return err
	}
	promised := l.promisedBy(nil)
	newest := promised
	if n := len(l.bundles); n > 0 {
		newest = max(newest, l.bundles[n-1].version)
	}
	below := l.upTo(tip.version)
	// Above a hole that was never filled, as far as one can tell, uploads are under way.
	if wasFilled := promised > tip.version; newest > tip.version && (wasFilled || len(below.bundles) == 0) {
		_, err = s.pullOver(ctx, table, tip, newest, storage.ErrNotFound)
		return err
	}
	return s.checkListed(ctx, table, tip, below)
}

// checkListed makes sure that a replica which has all versions of the store is of
// its history, by the newest of the bundles.
func (s *session) checkListed(ctx context.Context, table LogApplier, tip *tipState, l listing) error {
	if len(l.bundles) == 0 {
		return nil
	}
	v, err := s.historyVersion(ctx, l, tip.version, storage.ErrNotFound)
	if errors.Is(err, storage.ErrNotFound) { // the store ends below
		var m bundle.Manifest
		if m, err = s.peek(ctx, l.bundles[len(l.bundles)-1]); err == nil {
			v = m.Versions[len(m.Versions)-1]
		}
	}
	if err != nil {
		return err
	}
	here, err := hashLocal(ctx, table, deltalog.Version(v.Version))
	if errors.Is(err, fs.ErrNotExist) {
		err = at(deltalog.Version(v.Version), "", fmt.Errorf("%w: the replica's log begins above it, and the store ends with it", ErrGap))
	}
	if err != nil {
		return err
	}
	if here == v.Commit.SHA256 {
		s.came(tipState{deltalog.Version(v.Version), here})
		return nil
	}
	around, found, err := s.runAround(ctx, &tipState{deltalog.Version(v.Version), here}, nil)
	if err != nil {
		return err
	}
	if found { // in which a leftover lies
		_, err = s.replayBundles(ctx, table, tip, nextOf(tip)+maxRun, []object{around})
		return err
	}
	return diverged(deltalog.Version(v.Version), here, v.Commit.SHA256)
}
