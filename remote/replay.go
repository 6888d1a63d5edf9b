package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// tipState is the newest version of a replica.
type tipState struct {
	version deltalog.Version
	commit  bundle.Digest
}

// nextOf returns the version after tip, and the first one if there is none.
func nextOf(tip *tipState) deltalog.Version {
	if tip == nil {
		return 0
	}
	return tip.version + 1
}

// replay brings the versions after tip up to last into the table, as far as the
// bundles carry them. It returns how far it came; wraps
// storage.ErrNotFound if a version in between is in none of the bundles.
func (s *session) replay(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, bundles []object) (*tipState, error) {
	tip, err := s.replayBundles(ctx, table, tip, last, bundles)
	if errors.Is(err, errPartGone) {
		err = s.ifPruned(ctx, tip, err)
	}
	switch {
	case tip != nil && errors.Is(err, ErrDiverged):
		return s.replayAside(ctx, table, tip, last, bundles, err)
	case tip != nil && errors.Is(err, ErrCorrupt):
		return s.replayPast(ctx, table, tip, last, bundles, err)
	}
	return tip, err
}

// replayAside goes on where a bundle does not follow tip. It may be what a pusher who lost left
// behind, inside a run of our history.
func (s *session) replayAside(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, bundles []object, cause error) (*tipState, error) {
	around, found, err := s.runAround(ctx, tip, nil)
	if err != nil {
		return tip, err // what was met may be no other history
	}
	if !found {
		return tip, cause
	}
	moved, err := s.replayBundles(ctx, table, tip, last, []object{around})
	switch {
	case err != nil && !errors.Is(err, ErrDiverged):
		return moved, err
	case err != nil || moved == tip:
		return moved, cause
	}
	return s.replay(ctx, table, moved, last, beginningAt(bundles, nextOf(moved)))
}

// replayPast goes on past a damaged bundle as far as others have what it should have: those that
// follow, and runs around it. Where they do not come to last the damage is why.
func (s *session) replayPast(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, bundles []object, cause error) (*tipState, error) {
	bad := map[deltalog.Version]bool{} // bundles that are of no use
	for err := cause; ; {
		if v, known := damagedAt(err); known && !bad[v] {
			s.log.Warn("a damaged bundle is passed over, if others have its versions", logVersion, v, logError, err)
			bad[v], bundles, cause = true, beginningAt(bundles, v+1), err
		}
		tip, err = s.replayBundles(ctx, table, tip, last, bundles)
		if errors.Is(err, errPartGone) {
			err = s.ifPruned(ctx, tip, err)
		}
		switch v, known := damagedAt(err); {
		case err == nil && nextOf(tip) > last:
			return tip, nil
		case known && !bad[v]:
			continue
		case err != nil && !known && !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, ErrDiverged):
			return tip, err
		}
		around, found, lerr := s.runAround(ctx, tip, bad)
		if lerr != nil {
			return tip, lerr
		}
		if !found {
			return tip, cause
		}
		bad[around.version] = true // it is read once
		if tip, err = s.replayBundles(ctx, table, tip, last, []object{around}); err != nil && !errors.Is(err, ErrCorrupt) || nextOf(tip) > last {
			return tip, err
		}
	}
}

// damagedAt returns the version with which a bundle begins that is damaged.
func damagedAt(err error) (deltalog.Version, bool) {
	var e *Error
	if !errors.Is(err, ErrCorrupt) || !errors.As(err, &e) || e.Version == nil {
		return 0, false
	}
	return *e.Version, true
}

// beginningAt returns the bundles that begin with version v or above.
func beginningAt(bundles []object, v deltalog.Version) []object {
	i, _ := search(bundles, v)
	return bundles[i:]
}

// runAround looks for a run that carries the version after tip and begins below
// it, and is not among those that are known to be of no use.
func (s *session) runAround(ctx context.Context, tip *tipState, useless map[deltalog.Version]bool) (around object, found bool, err error) {
	l, err := s.list(ctx)
	if err != nil {
		return object{}, false, err
	}
	i, _ := search(l.bundles, nextOf(tip))
	below := slices.Clone(l.bundles[max(0, i-runAhead):i])
	slices.Reverse(below)
	for p := range s.peekEach(ctx, below) {
		if useless[p.version] || isBroken(p.err) {
			continue
		}
		if p.err != nil {
			return object{}, false, p.err
		}
		n := int(nextOf(tip) - p.version)
		if n < len(p.Versions) && p.Versions[n].Previous != nil && *p.Versions[n].Previous == tip.commit {
			return p.object, true, nil
		}
	}
	return object{}, false, ctx.Err()
}

// replayBundles fetches the bundles ahead in parallel and applies their versions
// strictly in order, as far as they are good. Whatever it staged beyond that is
// removed.
func (s *session) replayBundles(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version, bundles []object) (*tipState, error) {
	f := newFetcher(ctx, s, table, nextOf(tip), last)
	b := &batch{s: s, table: table, fetcher: f, tip: tip, visible: tip}
	err := f.each(bundles, func(next func() fetched, ready bool) error {
		if !ready { // what is here need not wait for what is not
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
		return b.addAll(ctx, next())
	})
	// What is good below the first version that is not is applied all the same.
	if ferr := b.flush(ctx); ferr != nil {
		err = ferr
	}
	f.stop()
	s.discard(ctx, table)
	if b.visible != tip && ctx.Err() == nil {
		s.checkpointIfDue(ctx, table, b.visible.version)
	}
	if err == nil && nextOf(b.visible) <= last {
		err = ctx.Err() // the bundles may not reach as far, but ctx is another reason
	}
	return b.visible, err
}

// discard removes what is staged, also when ctx has ended.
func (s *session) discard(ctx context.Context, table LogApplier) {
	if err := table.Discard(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("staged files not removed", logError, err)
	}
}

// Bounds of a batch. All its versions become durable together, so a larger one
// costs less a version, and one that is cut off is done again.
const (
	batchVersions = 1024
	batchBytes    = 256 << 20
)

// batch gathers versions that are ready to be applied one after the other.
type batch struct {
	s       *session
	table   LogApplier
	fetcher *fetcher
	tip     *tipState // the last that was gathered
	visible *tipState // the last that was applied

	ready []readyVersion
	bytes int64
	paths map[string]bool // that the versions gathered bring
}

// addAll gathers the versions of a bundle that come next.
func (b *batch) addAll(ctx context.Context, f fetched) error {
	for _, r := range f.versions {
		v := deltalog.Version(r.version.Version)
		if v < nextOf(b.tip) {
			continue // an earlier bundle had it, too
		}
		if v > nextOf(b.tip) && r.version.Gap == nil {
			next := nextOf(b.tip)
			return at(next, "", fmt.Errorf("%w: the bundle before version %d ends below version %d", storage.ErrNotFound, int64(v), int64(next)))
		}
		if err := b.add(ctx, v, r); err != nil {
			return err
		}
	}
	return f.err
}

func (b *batch) add(ctx context.Context, v deltalog.Version, r readyVersion) error {
	if err := checkChain(b.tip, r.version); err != nil {
		return err
	}
	if r.version.FilesInBase {
		return b.addFromBase(ctx, r.version)
	}
	if err := b.checkComplete(ctx, r); err != nil {
		return at(v, "", err)
	}
	if b.paths == nil {
		b.paths = map[string]bool{}
	}
	for _, f := range r.change.Files {
		b.paths[f.Path] = true
		b.bytes += f.Size
	}
	b.ready = append(b.ready, r)
	b.tip = &tipState{v, r.version.Commit.SHA256}
	if len(b.ready) >= batchVersions || b.bytes >= batchBytes || v%checkpointEvery == 0 {
		return b.flush(ctx)
	}
	return nil
}

// addFromBase applies a version whose files its base lists, and what was gathered before. No
// bundle is fetched meanwhile.
func (b *batch) addFromBase(ctx context.Context, v bundle.Version) error {
	if err := b.flush(ctx); err != nil {
		return err
	}
	b.fetcher.fetching.Lock()
	defer b.fetcher.fetching.Unlock()
	moved, err := b.s.applyFromBase(ctx, b.table, b.tip, v)
	b.tip, b.visible = moved, moved
	return err
}

// checkChain makes sure that version v follows the replica's newest one.
func checkChain(tip *tipState, v bundle.Version) error {
	switch {
	case v.Gap != nil: // only its base can be begun with
		return at(deltalog.Version(v.Version), "", &gapAt{version: deltalog.Version(v.Version), from: deltalog.Version(v.Gap.From)})
	case tip == nil: // version 0; the codec lets nothing else go without
		return nil
	case *v.Previous != tip.commit:
		return diverged(tip.version, tip.commit, *v.Previous)
	}
	return nil
}

// checkComplete makes sure that every file the commit needs is carried by its
// bundle, recorded absent, or there already.
func (b *batch) checkComplete(ctx context.Context, r readyVersion) error {
	settled := make(map[string]bool, len(r.change.Files)+len(r.version.Absent))
	for _, f := range r.change.Files {
		settled[f.Path] = true
	}
	for _, path := range r.version.Absent {
		settled[path] = true
	}
	for _, need := range r.commit.Files {
		if settled[need.Path] || b.paths[need.Path] {
			continue
		}
		_, found, err := b.s.fileSize(ctx, need.Path)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: neither the bundle nor the replica has %s", errLostHere, need.Path)
		}
	}
	return nil
}

// flush applies what was gathered.
func (b *batch) flush(ctx context.Context) error {
	if len(b.ready) == 0 {
		return nil
	}
	changes := make([]deltalog.Change, len(b.ready))
	for i, r := range b.ready {
		changes[i] = r.change
	}
	n, err := b.table.Apply(ctx, deltalog.Batch{Changes: changes, Relaxed: b.s.relaxed()})
	for _, r := range b.ready[:n] {
		b.s.record(r.version)
		b.s.stepped()
		b.visible = &tipState{deltalog.Version(r.version.Version), r.version.Commit.SHA256}
		b.s.log.Info("applied", logVersion, r.version.Version)
		b.s.came(*b.visible)
	}
	if err != nil {
		err = at(deltalog.Version(b.ready[min(n, len(b.ready)-1)].version.Version), "", err)
	}
	b.ready, b.bytes, b.paths = b.ready[:0], 0, nil
	if err == nil && b.visible.version%checkpointEvery == 0 {
		b.s.checkpointIfDue(ctx, b.table, b.visible.version)
	}
	return err
}
