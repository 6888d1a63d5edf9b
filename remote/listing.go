package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// listing is what the keys of a store say. It takes a few bytes for each.
type listing struct {
	bundles []object // ascending by version; of a version in its key one
	parts   []object // ascending by version of their bundle
	bases   []object // ascending by version
	indexes []object // of packs, by the first version
	floors  []object // ascending by version
	pins    []deltalog.Version
	unpins  []object                  // of pins that were removed, when they were
	hints   runHints                  // of whoever knows the head
	named   map[deltalog.Version]bool // bases that indexes of packs name
	exact   bool                      // nothing of it may be gone, since objects are removed by what it says
}

// passes reports whether a bundle that cannot be read is passed over: one that Prune has
// removed since it was listed leads nowhere. It may lie in a pack by now, though.
func (l listing) passes(err error) bool { return errors.Is(err, storage.ErrNotFound) && !l.exact }

// object is a bundle or a base, or another object that belongs to a version.
type object struct {
	version      deltalog.Version // in its key
	last         deltalog.Version // that a bundle carries, if that is known, else 0
	off          int64            // where a bundle begins in the object Key
	pack         bool             // Key is that of a pack
	storage.Info                  // Size is that of the bundle; negative: not known
}

// end is the last version that the object is known to carry.
func (o object) end() deltalog.Version { return max(o.version, o.last) }

// bundleAt is a bundle that was not listed.
func bundleAt(v deltalog.Version) object {
	return object{version: v, Info: storage.Info{Key: bundleKey(v), Size: -1}}
}

// maxSkip is up to which version the keys of bundles that packs have need not be
// listed: below, all keys of later versions sort behind it.
const maxSkip = 99_999

// list lists the store once; what packs have is not listed one by one, and bases that
// retention does not leave alone are not there. The order of keys is not that of versions.
func (s *session) list(ctx context.Context) (listing, error) {
	l, skipped, err := s.listKeys(ctx, false)
	l.hints = onlyTo(-1)
	if err == nil && len(l.indexes) > 0 {
		err = s.readPacks(ctx, &l, skipped)
	}
	l.bases = keptBases(l.bases, l.floor(), l.pins)
	return l, err
}

// listKeys lists the store without looking into packs. With every it goes through
// all keys; else skipped tells whether it did.
func (s *session) listKeys(ctx context.Context, every bool) (l listing, skipped bool, err error) {
	after, err := s.listInto(ctx, &l, backups, "", every)
	if err == nil && after != "" {
		_, err = s.listInto(ctx, &l, versionPrefix, after, true)
	}
	for _, all := range []*[]object{&l.bundles, &l.parts, &l.bases, &l.indexes, &l.floors} {
		slices.SortFunc(*all, byVersion)
	}
	return l, after != "", err
}

func byVersion(a, b object) int { return cmp.Compare(a.version, b.version) }

// listInto takes in the keys with a prefix. Where packs have all versions up to some
// version it stops before the first bundle, unless every is set, and returns a key
// behind which all lie that lead further: a pusher that lagged may have used a name
// within a run that a pack has, for a run that ends above all packs.
func (s *session) listInto(ctx context.Context, l *listing, prefix, after string, every bool) (skip string, err error) {
	for info, err := range s.store.List(ctx, prefix, after) {
		if err != nil {
			return "", fmt.Errorf("list %s: %w", prefix, err)
		}
		if !every && strings.HasPrefix(info.Key, versionPrefix) {
			if skip := l.packedUpTo() - maxRun; skip >= 0 && skip <= maxSkip {
				return strings.TrimSuffix(bundleKey(skip), bundleName), nil
			}
			every = true
		}
		l.take(info)
	}
	return "", nil
}

func (l *listing) take(info storage.Info) {
	if v, ok := parseKey(info.Key, bundleName); ok {
		l.bundles = append(l.bundles, object{version: v, Info: info})
	} else if v, _, ok := parsePartKey(info.Key); ok {
		l.parts = append(l.parts, object{version: v, Info: info})
	} else if v, ok := parseKey(info.Key, baseName); ok {
		l.bases = append(l.bases, object{version: v, Info: info})
	} else if first, last, ok := parsePackIndexKey(info.Key); ok {
		l.indexes = append(l.indexes, object{version: first, last: last, Info: info})
	} else if v, ok := parseFloorKey(info.Key); ok {
		l.floors = append(l.floors, object{version: v, Info: info})
	} else if v, _, ok := parseNamedKey(pinPrefix, info.Key); ok {
		l.pins = append(l.pins, v)
	} else if v, _, ok := parseNamedKey(unpinPrefix, info.Key); ok {
		l.unpins = append(l.unpins, object{version: v, Info: info})
	}
}

// packedUpTo returns the last version of the packs that follow each other from the
// beginning of what is needed, negative if there is none. Where that is not known to
// be version 0 or the floor, bundles that no pack has may lie below.
func (l *listing) packedUpTo() deltalog.Version {
	needed := deltalog.Version(0)
	if len(l.pins) == 0 && len(l.unpins) == 0 {
		needed = l.floor()
	}
	last := needed - 1
	for _, x := range l.indexes {
		if x.version <= last+1 {
			last = max(last, x.last)
		}
	}
	if last < needed {
		return -1
	}
	return last
}

// floor returns the version below which nothing is promised, 0 if all is.
func (l *listing) floor() deltalog.Version {
	if n := len(l.floors); n > 0 {
		return l.floors[n-1].version
	}
	return 0
}

// start returns the version with which the history begins that is promised.
func (l *listing) start(id *identity) deltalog.Version { return max(id.First, l.floor()) }

// startOf returns the version from which on a target is restored: that of the
// history's beginning, or for a pinned version below the floor that of its base.
func (l *listing) startOf(id *identity, target deltalog.Version) deltalog.Version {
	if target >= l.floor() || !slices.Contains(l.pins, target) {
		return l.start(id)
	}
	start := id.First
	for _, b := range l.bases {
		if b.version <= target {
			start = max(start, b.version)
		}
	}
	return start
}

// readPacks makes the bundles of packs take the place of the same ones alone.
// skipped: what the packs know of was not listed.
func (s *session) readPacks(ctx context.Context, l *listing, skipped bool) error {
	packs := map[deltalog.Version]object{}
	bases := map[deltalog.Version]object{}
	l.named = map[deltalog.Version]bool{}
	for _, o := range l.indexes {
		x, err := s.readIndex(ctx, o.Key)
		if err != nil {
			return err
		}
		for _, b := range x.objects(o.Info) {
			packs[b.version] = b
		}
		for _, b := range x.Bases {
			v := deltalog.Version(b[0])
			l.named[v] = true
			bases[v] = object{version: v, Info: storage.Info{Key: baseKey(v), Size: b[1]}}
		}
	}
	all := slices.Collect(maps.Values(packs))
	for _, o := range l.bundles {
		if _, taken := packs[o.version]; !taken {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, byVersion)
	l.bundles, s.packs = all, packs
	if skipped {
		for _, o := range l.bases {
			bases[o.version] = o
		}
		l.bases = slices.SortedFunc(maps.Values(bases), byVersion)
	}
	return nil
}

// keptBases returns the bases that retention leaves alone: those from the floor on,
// and for each pin the newest one that is not above it.
func keptBases(bases []object, floor deltalog.Version, pins []deltalog.Version) []object {
	return slices.DeleteFunc(slices.Clone(bases), func(b object) bool {
		if b.version >= floor {
			return false
		}
		i, _ := search(bases, b.version+1)
		return !slices.ContainsFunc(pins, func(pin deltalog.Version) bool {
			return b.version <= pin && (i == len(bases) || pin < bases[i].version)
		})
	})
}

// bundle returns where the bundle that begins with version v lies, as far as this
// call knows.
func (s *session) bundle(v deltalog.Version) object {
	if o, found := s.packs[v]; found {
		return o
	}
	return bundleAt(v)
}

// upTo returns the listing without the bundles that begin above v.
func (l listing) upTo(v deltalog.Version) listing {
	i, _ := search(l.bundles, v+1)
	l.bundles = l.bundles[:i]
	return l
}

// search returns the index of the first object from version v on; found says
// that it is of v itself.
func search(all []object, v deltalog.Version) (i int, found bool) {
	return slices.BinarySearchFunc(all, v, func(o object, v deltalog.Version) int { return cmp.Compare(o.version, v) })
}

// find returns the object of version v.
func find(all []object, v deltalog.Version) (object, bool) {
	i, found := search(all, v)
	if !found {
		return object{}, false
	}
	return all[i], true
}

// newestBase returns the newest base in the segment up to target, if there is one. One
// beyond the segment may be what is left of a push over a gap that was cut off.
func (l listing) newestBase(in segment, target deltalog.Version) (object, bool) {
	for _, b := range slices.Backward(l.bases) {
		if in.first <= b.version && b.version <= min(target, in.last) {
			return b, true
		}
	}
	return object{}, false
}

// segment is a stretch of versions without a gap, both ends inclusive. If it does
// not begin at version 0, there is a base at its beginning.
type segment struct {
	first, last deltalog.Version
	bundles     []object // that carry them, ascending
}

// upTo returns the bundles that it takes to get to v.
func (seg segment) upTo(v deltalog.Version) []object {
	n := 0
	for n < len(seg.bundles) && seg.bundles[n].version <= v {
		n++
	}
	return seg.bundles[:n]
}

// maxRun is how many versions a bundle carries at most.
const maxRun = bundle.MaxVersions

// gapFreeEnd returns the versions without a gap from first on. A version is there
// if some bundle carries it; what lies above a gap is not there yet, since uploads
// may finish out of order. found is false if first itself is not there.
//
// Most bundles carry one version, and a key says nothing of how many: only where
// the next key is missing it takes the hints of the head or a look into the
// manifest.
func (s *session) gapFreeEnd(ctx context.Context, l listing, first deltalog.Version, hints runHints) (seg segment, found bool, err error) {
	seg = segment{first: first, last: first - 1}
	for {
		if o, there := find(l.bundles, seg.last+1); there {
			seg.last = o.end()
			seg.bundles = append(seg.bundles, o)
			continue
		}
		run, err := s.endOfRun(ctx, l, seg.last, hints)
		if err != nil {
			return segment{}, false, err
		}
		if run.last <= seg.last {
			return seg, seg.last >= first, nil
		}
		seg.last = run.last
		n, _ := search(seg.bundles, run.version)
		seg.bundles = append(seg.bundles[:n], run.object) // the run carries what those after it do
	}
}

// run is what endOfRun found: a bundle and the last version it carries.
type run struct {
	object
	last deltalog.Version
}

// endOfRun looks for a bundle that carries version v and more, where the key of
// the version after v is missing. Without one the last version is v.
func (s *session) endOfRun(ctx context.Context, l listing, v deltalog.Version, hints runHints) (run, error) {
	found := run{last: v}
	i, _ := search(l.bundles, v+1)
	if i == 0 {
		return found, nil
	}
	key, last, known := hints.bundleOf(v)
	if beside := last == v && l.bundles[i-1].version > key; known && !beside { // one that the head knows nothing of may lead further
		if o, listed := find(l.bundles, key); listed && (last > v || v == hints.to) {
			return run{o, last}, nil
		}
	}
	if err := s.longer(ctx, &found, l, i-1, i); err != nil || found.last > v {
		return found, err
	}
	if i == len(l.bundles) && hints.to == v { // as the head says
		return found, nil
	}
	// A run that leads further may begin further below, where two pushers were at
	// work at once.
	from, _ := search(l.bundles, v+1-maxRun)
	from = min(max(from, i-runAhead, 0), i-1)
	err := s.longer(ctx, &found, l, from, i-1)
	return found, err
}

// longer replaces found by that of the bundles from one index to another that carries most
// beyond it, if one does.
func (s *session) longer(ctx context.Context, found *run, l listing, from, to int) error {
	v := found.last
	for p := range s.peekEach(ctx, l.bundles[from:to]) {
		if l.passes(p.err) || s.lenient && errors.Is(p.err, ErrCorrupt) {
			continue
		}
		if p.err != nil {
			return p.err
		}
		if last := deltalog.Version(p.Versions[len(p.Versions)-1].Version); last > v && last >= found.last {
			*found = run{p.object, last}
		}
	}
	return nil
}

// history returns the segments that make up the history which begins at first:
// one, and another for each gap that a bundle records, also one at the very beginning.
// A hole that none records is not bridged, and what lies above it not there yet.
func (s *session) history(ctx context.Context, l listing, first deltalog.Version, hints runHints) ([]segment, error) {
	s.learnEnds(ctx, l, first, hints)
	var segments []segment
	for next := first; ; {
		seg, found, err := s.gapFreeEnd(ctx, l, next, hints)
		if err != nil || !found && next > first {
			return segments, err
		}
		if found {
			segments = append(segments, seg)
		}
		if next, found, err = s.bridge(ctx, l, seg.last); err != nil || !found {
			return segments, err
		}
	}
}

// bridge looks for the bundle that records the gap after end. It stands beside a
// base. Below it there may be leftovers of an upload that was cut off before the
// source lost what they follow; and what the gap counts as missing may have been
// pushed later. What retention took is a gap, too.
func (s *session) bridge(ctx context.Context, l listing, end deltalog.Version) (deltalog.Version, bool, error) {
	if floor := l.floor(); floor > end+1 {
		_, found := find(l.bases, floor)
		return floor, found, nil
	}
	for _, b := range l.bases {
		o, there := find(l.bundles, b.version)
		if b.version <= end || !there {
			continue
		}
		m, err := s.peek(ctx, o)
		if s.lenient && isBroken(err) {
			continue
		}
		if err != nil {
			return 0, false, err
		}
		if gap := m.Versions[0].Gap; gap != nil && deltalog.Version(gap.From) <= end+1 {
			return b.version, true, nil
		}
	}
	return 0, false, nil
}
