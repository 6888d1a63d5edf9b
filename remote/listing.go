package remote

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// listing is what the keys of a store say. It takes a few bytes for each.
type listing struct {
	bundles []object // ascending by version
	bases   []object // ascending by version
}

// object is a bundle or a base: the version in its key, its size in bytes.
type object struct {
	version deltalog.Version
	storage.Info
}

// list lists the store once. The order of keys is not that of versions.
func list(ctx context.Context, store storage.Reader) (listing, error) {
	var l listing
	for info, err := range store.List(ctx, versionPrefix, "") {
		if err != nil {
			return listing{}, fmt.Errorf("list %s: %w", versionPrefix, err)
		}
		if v, ok := parseKey(info.Key, bundleName); ok {
			l.bundles = append(l.bundles, object{v, info})
		} else if v, ok := parseKey(info.Key, baseName); ok {
			l.bases = append(l.bases, object{v, info})
		}
	}
	byVersion := func(a, b object) int { return cmp.Compare(a.version, b.version) }
	slices.SortFunc(l.bundles, byVersion)
	slices.SortFunc(l.bases, byVersion)
	return l, nil
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

// newestBase returns the newest base in the segment up to target, if there is one.
func (l listing) newestBase(in segment, target deltalog.Version) (object, bool) {
	for _, b := range slices.Backward(l.bases) {
		if in.first <= b.version && b.version <= target {
			return b, true
		}
	}
	return object{}, false
}

// segment is a stretch of versions without a gap, both ends inclusive. If it does
// not begin at version 0, there is a base at its beginning.
type segment struct {
	first, last deltalog.Version
	newest      *bundle.Version    // what a bundle says of last; nil if it was not asked
	keys        []deltalog.Version // of the bundles that carry them, ascending by what each adds
}

// upTo returns the keys of the bundles that it takes to get to v.
func (seg segment) upTo(v deltalog.Version) []deltalog.Version {
	n := 0
	for n < len(seg.keys) && seg.keys[n] <= v {
		n++
	}
	return seg.keys[:n]
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
		i, _ := search(l.bundles, seg.last+1)
		for ; i < len(l.bundles) && l.bundles[i].version == seg.last+1; i++ {
			seg.last, seg.newest = l.bundles[i].version, nil
			seg.keys = append(seg.keys, seg.last)
		}
		run, err := s.endOfRun(ctx, l, seg.last, hints)
		if err != nil {
			return segment{}, false, err
		}
		if run.newest != nil {
			seg.newest = run.newest
		}
		if run.last <= seg.last {
			return seg, seg.last >= first, nil
		}
		seg.last = run.last
		if n := len(seg.keys); n == 0 || seg.keys[n-1] != run.key {
			seg.keys = append(seg.keys, run.key)
		}
	}
}

// run is what endOfRun found: the key of a bundle and the last version it carries.
type run struct {
	key, last deltalog.Version
	newest    *bundle.Version // what its manifest says of last; nil if it was not read
}

// endOfRun looks for a bundle that carries version v and more, where the key of
// the version after v is missing. Without one the last version is v.
func (s *session) endOfRun(ctx context.Context, l listing, v deltalog.Version, hints runHints) (run, error) {
	found := run{last: v}
	i, _ := search(l.bundles, v+1)
	if i == 0 {
		return found, nil
	}
	if key, last, known := hints.bundleOf(v); known {
		return run{key: key, last: last}, nil
	}
	candidates := []object{l.bundles[i-1]}
	if i < len(l.bundles) || hints.to > v {
		// There is more. The run that leads there may begin further below, where
		// two pushers were at work at once.
		from, _ := search(l.bundles, v+1-maxRun)
		below := l.bundles[max(from, i-runAhead) : i-1]
		candidates = slices.AppendSeq(candidates, valuesBackward(below))
	}
	for _, o := range candidates {
		m, err := s.peek(ctx, o)
		if err != nil {
			return run{}, err
		}
		if newest := m.Versions[len(m.Versions)-1]; newest.Version >= int64(found.last) {
			found = run{o.version, deltalog.Version(newest.Version), &newest}
		}
		if found.last > v {
			break
		}
	}
	return found, nil
}

func valuesBackward(objects []object) iter.Seq[object] {
	return func(yield func(object) bool) {
		for _, o := range slices.Backward(objects) {
			if !yield(o) {
				return
			}
		}
	}
}

// history returns the segments that make up the history which begins at first:
// one, and another for each gap that a bundle records. A hole that none records is
// not bridged, and what lies above it not there yet.
func (s *session) history(ctx context.Context, l listing, first deltalog.Version, hints runHints) ([]segment, error) {
	var segments []segment
	for next := first; ; {
		seg, found, err := s.gapFreeEnd(ctx, l, next, hints)
		if err != nil || !found {
			return segments, err
		}
		segments = append(segments, seg)
		if next, found, err = s.bridge(ctx, l, seg.last); err != nil || !found {
			return segments, err
		}
	}
}

// bridge looks for the bundle that records the gap which begins after end. It
// stands where a segment begins, beside a base.
func (s *session) bridge(ctx context.Context, l listing, end deltalog.Version) (deltalog.Version, bool, error) {
	for _, b := range l.bases {
		o, there := find(l.bundles, b.version)
		if _, follows := find(l.bundles, b.version-1); b.version <= end || !there || follows {
			continue
		}
		m, err := s.peek(ctx, o)
		if err != nil {
			return 0, false, err
		}
		if gap := m.Versions[0].Gap; gap != nil && deltalog.Version(gap.From) == end+1 {
			return b.version, true, nil
		}
	}
	return 0, false, nil
}
