package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// listing is what the keys of a store say. It takes a few bytes for each.
type listing struct {
	bundles []VersionInfo // ascending by version
	bases   []VersionInfo // ascending by version
}

// list lists the store once. The order of keys is not that of versions.
func list(ctx context.Context, store storage.Reader) (listing, error) {
	var l listing
	for info, err := range store.List(ctx, versionPrefix, "") {
		if err != nil {
			return listing{}, fmt.Errorf("list %s: %w", versionPrefix, err)
		}
		if v, ok := parseKey(info.Key, bundleName); ok {
			l.bundles = append(l.bundles, VersionInfo{Version: v, Size: info.Size, Stored: info.ModTime})
		} else if v, ok := parseKey(info.Key, baseName); ok {
			l.bases = append(l.bases, VersionInfo{Version: v, Size: info.Size, Stored: info.ModTime})
		}
	}
	byVersion := func(a, b VersionInfo) int { return cmp.Compare(a.Version, b.Version) }
	slices.SortFunc(l.bundles, byVersion)
	slices.SortFunc(l.bases, byVersion)
	return l, nil
}

// find returns the entry of version v.
func find(all []VersionInfo, v deltalog.Version) (VersionInfo, bool) {
	i, found := slices.BinarySearchFunc(all, v, func(a VersionInfo, v deltalog.Version) int { return cmp.Compare(a.Version, v) })
	if !found {
		return VersionInfo{}, false
	}
	return all[i], true
}

// newestBase returns the newest base in the run up to target, if there is one.
func (l listing) newestBase(run segment, target deltalog.Version) (VersionInfo, bool) {
	for _, b := range slices.Backward(l.bases) {
		if run.first <= b.Version && b.Version <= target {
			return b, true
		}
	}
	return VersionInfo{}, false
}

// segment is a run of versions without a gap, both ends inclusive. If it does
// not begin at version 0, there is a base at its beginning.
type segment struct{ first, last deltalog.Version }

// gapFreeEnd returns the last version of the run that begins at first. What
// lies above a gap is not there yet: uploads may finish out of order.
func gapFreeEnd(bundles []VersionInfo, first deltalog.Version) (end deltalog.Version, found bool) {
	i, found := slices.BinarySearchFunc(bundles, first, func(a VersionInfo, v deltalog.Version) int { return cmp.Compare(a.Version, v) })
	if !found {
		return 0, false
	}
	for end = first; i+1 < len(bundles) && bundles[i+1].Version == end+1; i++ {
		end++
	}
	return end, true
}

// history returns the runs of versions that make up the history which begins
// at first: one, and another for each gap that a bundle records. A hole that
// none records is not bridged, and what lies above it not there yet.
func (s *session) history(ctx context.Context, l listing, first deltalog.Version) ([]segment, error) {
	var runs []segment
	for next := first; ; {
		end, found := gapFreeEnd(l.bundles, next)
		if !found {
			return runs, nil
		}
		runs = append(runs, segment{next, end})
		var err error
		if next, found, err = s.bridge(ctx, l, end); err != nil || !found {
			return runs, err
		}
	}
}

// bridge looks for the bundle that records the gap which begins after end. It
// stands where a run begins, beside a base.
func (s *session) bridge(ctx context.Context, l listing, end deltalog.Version) (deltalog.Version, bool, error) {
	for _, b := range l.bases {
		info, there := find(l.bundles, b.Version)
		if _, follows := find(l.bundles, b.Version-1); b.Version <= end || !there || follows {
			continue
		}
		m, err := s.peek(ctx, info)
		if err != nil {
			return 0, false, err
		}
		if m.Gap != nil && deltalog.Version(m.Gap.From) == end+1 {
			return b.Version, true, nil
		}
	}
	return 0, false, nil
}

// peek reads the manifest of a bundle and, if it can, nothing else of it.
func (s *session) peek(ctx context.Context, info VersionInfo) (bundle.Version, error) {
	key := bundleKey(info.Version)
	m, err := s.opts.Codec.ReadManifest(ctx, info.Size, s.ranges(key))
	if errors.Is(err, bundle.ErrNoPlace) {
		return s.readManifest(ctx, info.Version)
	}
	if err != nil {
		return bundle.Version{}, at(info.Version, key, err)
	}
	return s.only(m, info.Version)
}

// ranges opens parts of an object.
func (s *session) ranges(key string) bundle.RangeFunc {
	return func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		return s.store.Open(ctx, key, off, n)
	}
}
