package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// PruneOptions say what retention keeps. Without any of KeepVersions and KeepAge
// nothing new is given up; what was given up before is removed all the same.
type PruneOptions struct {
	// KeepVersions is how many of the newest versions stay restorable. 0: no limit
	// by number.
	KeepVersions int64
	// KeepAge is for how long a version stays restorable, by its time as Delta
	// counts it. 0: no limit by age. Of both limits the one that keeps more counts.
	KeepAge time.Duration
	// Grace is how long after versions were given up their objects stay, for those
	// who read them at the moment and for pushers that slept. Default: 24 hours;
	// negative: none.
	Grace time.Duration
	// Delete makes Prune do it. Default: it only tells what it would do.
	Delete bool
}

const defaultGrace = 24 * time.Hour

// Pruned says what Prune did, or would do.
type Pruned struct {
	// Floor is the oldest version that is promised from now on; nil if that is all.
	Floor *deltalog.Version `json:"floor,omitempty"`
	// NewFloor says that the floor was raised by this call; its objects are removed
	// by one that comes later than the grace period.
	NewFloor bool `json:"new_floor"`
	// Keys are the objects that were removed, or would be; Bytes is their size.
	Keys  []string `json:"keys"`
	Bytes int64    `json:"bytes"`
	// Waiting counts the objects that nobody needs any more and that are kept until
	// the grace period is over.
	Waiting  int      `json:"waiting"`
	Requests Requests `json:"requests"`
}

// Prune is retention. Where something is lost that the bases which it keeps, or pinned versions,
// need it removes nothing, since what is to go may be all that they can be had from: it wraps
// ErrGap. Else it settles on a floor, a version with a base that is not
// above what the options keep, and records it in an object of its own; then, a
// grace period later, so mostly by another call, it removes what no retained version
// needs: decided from what the indexes of the retained bases refer to, never from
// names or clocks alone. Bundles that packs took over go likewise, and packs that a
// Consolidate left which was cut off, once others have what is in them or it was given up.
// Pinned versions stay, with the base and the bundles that it takes to restore them, and so
// does what lies above the version that the head tells of, until the head has moved on.
//
// As long as nothing was removed a floor is taken back by removing its object,
// backups/floor-<version>.json.
//
// It needs the right to delete, which nothing else here needs, and wraps
// ErrReadOnly without it. It may be cut off at any point: what it removes nobody
// promises any more. A restore of a version below the floor that is not pinned
// is ErrGap. A pull to a replica that is below the floor goes on as long as what it takes
// is there, for a pin or in a pack, say; else it is ErrGap, and is offered the base
// (Options.AcrossGap).
func (r *Replicator) Prune(ctx context.Context, opts PruneOptions) (Pruned, error) {
	s := r.newSession("prune")
	done, err := s.prune(ctx, opts)
	done.Requests = s.store.meter.requests()
	return done, opError("prune", err)
}

func (s *session) prune(ctx context.Context, opts PruneOptions) (done Pruned, err error) {
	if opts.KeepVersions < 0 || opts.KeepAge < 0 {
		return done, errors.New("negative KeepVersions or KeepAge")
	}
	if opts.Grace == 0 {
		opts.Grace = defaultGrace
	}
	if opts.Delete && (s.store.deleter == nil || s.store.creator == nil) {
		return done, fmt.Errorf("%w: objects of the store cannot be deleted", ErrReadOnly)
	}
	id, l, segments, err := s.wholeHistory(ctx)
	if err != nil {
		return done, err
	}
	h, err := s.headOf(ctx, id)
	if err == nil { // so that what is beyond a loss can be made the beginning
		segments, err = s.acrossLosses(ctx, l, segments, l.start(id), l.promisedBy(h))
	}
	if err != nil {
		return done, err
	}
	l.hints, l.exact = onlyTo(-1), true // the head may be wrong, and what is removed is gone
	if err := s.raiseFloor(ctx, id, &l, segments, opts, &done); err != nil {
		return done, err
	}
	if floor := l.floor(); floor > id.First {
		done.Floor = &floor
	}
	garbage, err := s.garbage(ctx, id, l, true)
	if err != nil {
		return done, err
	}
	due, err := s.due(ctx, id, l, garbage, opts.Grace)
	if err != nil {
		return done, err
	}
	done.Waiting = len(garbage) - len(due)
	s.foreseeObjects(due, true)
	for _, o := range due {
		if opts.Delete {
			if err := s.store.deleter.Delete(ctx, o.Key); err != nil {
				return done, err
			}
			s.log.Info("removed", logKey, o.Key)
		}
		s.portion(o.Size).finish()
		done.Keys = append(done.Keys, o.Key)
		done.Bytes += o.Size
	}
	return done, nil
}

// due returns what of the garbage nobody has needed for the grace period: also not the
// versions that a floor gave up which is younger, nor what a pin kept until then.
func (s *session) due(ctx context.Context, id *identity, l listing, garbage []object, grace time.Duration) ([]object, error) {
	young := func(o object) bool { return s.opts.Clock().Sub(o.ModTime) < grace }
	before := l
	before.floors = slices.DeleteFunc(slices.Clone(l.floors), young)
	before.pins = slices.Clone(l.pins)
	for _, o := range l.unpins {
		if young(o) {
			before.pins = append(before.pins, o.version)
		}
	}
	changed := len(before.floors) < len(l.floors) || len(before.pins) > len(l.pins)
	was := map[string]bool{} // garbage before what is young
	if changed {
		old, err := s.garbage(ctx, id, before, false)
		if err != nil {
			return nil, err
		}
		for _, o := range old {
			was[o.Key] = true
		}
	}
	var due []object
	for _, o := range garbage {
		if !young(o) && (!changed || was[o.Key]) {
			due = append(due, o)
		}
	}
	return due, nil
}

// raiseFloor gives up the versions that the options do not keep.
func (s *session) raiseFloor(ctx context.Context, id *identity, l *listing, segments []segment, opts PruneOptions, done *Pruned) error {
	if len(segments) == 0 || opts.KeepVersions == 0 && opts.KeepAge == 0 {
		return nil
	}
	keep, err := s.oldestKept(ctx, *l, segments, opts)
	if err != nil {
		return err
	}
	for _, seg := range slices.Backward(segments) {
		b, found, err := s.newestWholeBase(ctx, *l, seg, keep)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if b.version <= l.start(id) {
			break
		}
		floor := object{version: b.version, Info: storage.Info{Key: floorKey(b.version), ModTime: s.opts.Clock()}}
		if opts.Delete {
			err := s.createSmall(ctx, floor.Key, floorRecord{storeFormat, id.Lineage, b.version, s.opts.Clock().UTC().Truncate(time.Millisecond)})
			if err != nil && !errors.Is(err, storage.ErrExists) {
				return fmt.Errorf("%s: %w", floor.Key, err)
			}
		}
		l.floors = append(l.floors, floor)
		done.NewFloor = true
		break
	}
	return nil
}

// floorRecord is backups/floor-<version>.json: nothing below the version is promised
// any more.
type floorRecord struct {
	Format    int              `json:"format"`
	Lineage   string           `json:"lineage"`
	Version   deltalog.Version `json:"version"`
	CreatedAt time.Time        `json:"created_at"`
}

// oldestKept returns the oldest version that the options keep.
func (s *session) oldestKept(ctx context.Context, l listing, segments []segment, opts PruneOptions) (deltalog.Version, error) {
	newest := segments[len(segments)-1].last
	keep := newest
	if opts.KeepVersions > 0 {
		keep = max(0, newest-deltalog.Version(opts.KeepVersions)+1)
	}
	if opts.KeepAge > 0 {
		// A version stays as long as the one after it is younger: until then it was
		// the newest.
		v, err := s.versionAt(ctx, l, segments, s.opts.Clock().Add(-opts.KeepAge))
		if errors.Is(err, ErrGap) {
			v, err = 0, nil // all are younger
		}
		if err != nil {
			return 0, err
		}
		if opts.KeepVersions == 0 {
			return v, nil
		}
		keep = min(keep, v)
	}
	return keep, nil
}

// garbage returns the objects that no promised version needs. Their ModTime is when
// they became so. With whole all that they do need must be there.
func (s *session) garbage(ctx context.Context, id *identity, l listing, whole bool) ([]object, error) {
	every, _, err := s.listKeys(ctx, true)
	if err != nil {
		return nil, err
	}
	l.bases = every.bases // a listing that looks into packs has only those that the newest floor keeps
	n, err := s.needed(ctx, id, l)
	if err != nil {
		return nil, err
	}
	if whole {
		err = s.checkNeeded(ctx, id, every, l, n)
	}
	if err != nil {
		return nil, err
	}
	h, err := s.headOf(ctx, id)
	if err != nil {
		return nil, err
	}
	floor := l.floor()
	var found []object
	add := func(since time.Time, all ...object) {
		for _, o := range all {
			o.ModTime = later(o.ModTime, since)
			found = append(found, o)
		}
	}
	var below []object
	for _, o := range every.bundles {
		if h != nil && o.version > h.Version {
			continue // a pusher that goes by this head would fill the name again
		}
		if packed, inPack := s.packs[o.version]; inPack {
			if packed.Size == o.Size { // else it is another one
				add(packed.ModTime, o)
			}
		} else if o.version < floor && !n.bundles[o.version] {
			below = append(below, o)
		}
	}
	below, err = s.endingBy(ctx, below, n.end)
	if err != nil {
		return nil, err
	}
	for _, o := range below {
		add(l.givenUp(o.version), o)
	}
	for _, o := range every.bases {
		if o.version < floor && !n.bases[o.version] {
			add(l.givenUp(o.version), o)
		}
	}
	for _, x := range l.indexes {
		if x.last < floor && !n.anyIn(x) {
			pack := x
			pack.Key, pack.Size = packKey(x.version, x.last), 0
			add(l.givenUp(x.last), x, pack) // in this order: an index without its pack would mislead
		}
	}
	for _, x := range every.lost {
		if x.last < floor {
			add(l.givenUp(x.last), x)
		}
	}
	for _, o := range every.leftPacks(l) {
		add(o.ModTime, o)
	}
	add(time.Time{}, every.unpins...)
	for _, o := range every.parts {
		since, is, err := s.partIsGarbage(ctx, o, every, l, n)
		if err != nil {
			return nil, err
		}
		if is {
			add(since, o) // behind its bundle, which would mislead without it
		}
	}
	return found, nil
}

// endingBy returns the bundles that lead no further than to version end. A pusher that
// lagged may have stored a run far below the end which leads beyond it and of which
// nothing tells as long as no head does: that is not garbage, whatever its name. One
// that is damaged, or that another call has removed, leads nowhere.
func (s *session) endingBy(ctx context.Context, bundles []object, end deltalog.Version) ([]object, error) {
	near, _ := search(bundles, end-maxRun+1)
	done := slices.Clone(bundles[:near])
	for p := range s.peekEach(ctx, bundles[near:]) {
		switch {
		case p.err != nil && !isBroken(p.err):
			return nil, p.err
		case p.err != nil || p.Versions[len(p.Versions)-1].Version <= int64(end):
			done = append(done, p.object)
		}
	}
	return done, nil
}

// partIsGarbage reports whether a part is of no use any more, and since when. One above
// the end, whose bundle or base may still come, is what a push goes on with.
func (s *session) partIsGarbage(ctx context.Context, o object, every, l listing, n *needed) (since time.Time, is bool, err error) {
	if n.parts[o.Key] || o.version > n.end {
		return since, false, nil
	}
	if o.version < l.floor() && !n.bundles[o.version] {
		return l.givenUp(o.version), true, nil
	}
	of, found := s.packs[o.version]
	if !found {
		of, found = find(every.bundles, o.version)
	}
	if !found { // the history went over it with the bundle that follows, or a run
		if i, _ := search(every.bundles, o.version+1); len(every.bundles) > 0 {
			since = every.bundles[min(i, len(every.bundles)-1)].ModTime
		}
		return since, true, nil
	}
	m, err := s.peek(ctx, of)
	if err != nil {
		return since, false, err
	}
	if _, has := find(every.bases, o.version); !has && (m.Versions[0].Gap != nil || m.Versions[0].FilesInBase) {
		return since, false, nil // they are what is left of a base that was lost
	}
	_, name, _ := parsePartKey(o.Key)
	named := slices.ContainsFunc(m.Parts, func(p bundle.PartRef) bool { return p.Name == name })
	return of.ModTime, !named, nil
}

// givenUp returns when the first floor above v was created.
func (l *listing) givenUp(v deltalog.Version) time.Time {
	i := sort.Search(len(l.floors)-1, func(i int) bool { return l.floors[i].version > v })
	return l.floors[i].ModTime
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
