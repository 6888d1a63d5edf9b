package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// listing is what the keys of a store say. It takes a few bytes for each.
type listing struct {
	bundles []object // ascending by version; of a version in its key one
	parts   []object // ascending by version of their bundle
	bases   []object // ascending by version
	packs   []object // ascending by their first version, also those without an index
	indexes []object // of packs, by the first version
	floors  []object // ascending by version
	pins    []deltalog.Version
	unpins  []object                  // of pins that were removed, when they were
	hints   runHints                  // of whoever knows the head
	named   map[deltalog.Version]bool // bases that indexes of packs name
	lost    []object                  // indexes whose pack is lost
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
	stale := false
	if err == nil && len(l.indexes) > 0 {
		stale, err = s.readPacks(ctx, &l, skipped)
	}
	if err == nil && stale && skipped { // what it is said to have was not listed
		if l, _, err = s.listKeys(ctx, true); err == nil {
			_, err = s.readPacks(ctx, &l, false)
		}
	}
	l.hints = onlyTo(-1)
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
	l.dropLostPacks()
	for _, all := range []*[]object{&l.bundles, &l.parts, &l.bases, &l.packs, &l.indexes, &l.floors} {
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
			l.dropLostPacks()
			if skip := l.packedUpTo() - maxRun; skip >= 0 && skip <= maxSkip {
				return strings.TrimSuffix(bundleKey(skip), bundleName), nil
			}
			every = true
		}
		l.take(info)
	}
	return "", nil
}

// dropLostPacks leaves out the indexes whose pack is not there: what they say leads nowhere, and
// hides the bundles, which may be there yet. They prove that their versions were there once. All
// keys of packs were listed by then.
func (l *listing) dropLostPacks() {
	packs := map[string]bool{}
	for _, o := range l.packs {
		packs[o.Key] = true
	}
	l.indexes = slices.DeleteFunc(l.indexes, func(x object) bool {
		lost := !packs[packKey(x.version, x.last)]
		if lost {
			l.lost = append(l.lost, x)
		}
		return lost
	})
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
	} else if first, last, ok := parsePackKey(info.Key); ok {
		l.packs = append(l.packs, object{version: first, last: last, Info: info})
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

// isEmpty reports whether nothing was ever pushed, as far as one can tell.
func (l *listing) isEmpty(h *head) bool { return len(l.bundles) == 0 && l.promisedBy(h) < 0 }

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
// skipped: what the packs know of was not listed. An index is stale, and does not count, if there
// is a pack of another size.
func (s *session) readPacks(ctx context.Context, l *listing, skipped bool) (stale bool, err error) {
	packs := map[deltalog.Version]object{}
	bases := map[deltalog.Version]object{}
	l.named = map[deltalog.Version]bool{}
	for _, o := range l.indexes {
		x, err := s.readIndex(ctx, o.Key)
		if err != nil {
			return stale, err
		}
		if i := slices.IndexFunc(l.packs, func(p object) bool { return p.Key == x.Pack }); i < 0 || l.packs[i].Size != x.Size {
			s.log.Warn("the index of a pack is that of another one", logKey, o.Key)
			stale, l.lost = true, append(l.lost, o)
			continue
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
	return stale, nil
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
