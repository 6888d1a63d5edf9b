package remote

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// position says where a store is.
type position struct {
	identity *identity // nil: nothing was ever pushed
	some     bool      // there is at least one version, and what follows is its newest
	last     deltalog.Version
	commit   bundle.Digest  // sha256 of the commit of last
	time     int64          // of last, as Delta counts it, milliseconds
	tag      string         // of the head object, for a conditional Put
	mend     bool           // the head object does not say this
	listed   bool           // found by listing, not by the head
	previous *bundle.Digest // as the bundle of last states it; only if listed
}

// next is the version that the store wants.
func (p *position) next() deltalog.Version {
	if p.some {
		return p.last + 1
	}
	return 0
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
		p.tag = tag
		return p, nil
	}
	return &position{identity: id, some: true, last: h.Version, commit: h.Commit, time: h.Timestamp, tag: tag}, nil
}

// locateByList finds the end of the gap-free run of bundles.
func (s *session) locateByList(ctx context.Context, id *identity) (*position, error) {
	versions, err := listVersions(ctx, s.store)
	if err != nil {
		return nil, err
	}
	if id == nil {
		if len(versions) > 0 {
			return nil, fmt.Errorf("%w: %s is missing, but there are bundles, the first of version %d", ErrCorrupt, identityKey, int64(versions[0].Version))
		}
		return &position{}, nil
	}
	p := &position{identity: id, mend: true}
	end, found := gapFreeEnd(versions, id.First)
	if !found {
		return p, nil
	}
	m, err := s.readManifest(ctx, end)
	if err != nil {
		return nil, err
	}
	p.some, p.last, p.commit, p.time = true, end, m.Commit.SHA256, m.Timestamp
	p.listed, p.previous = true, m.Previous
	return p, nil
}

// gapFreeEnd returns the last version of the run that begins at first. What
// lies above a gap is not there yet: uploads may finish out of order.
func gapFreeEnd(versions []VersionInfo, first deltalog.Version) (end deltalog.Version, found bool) {
	next := first
	for _, v := range versions {
		if v.Version == next {
			end, found = next, true
			next++
		} else if v.Version > next {
			break
		}
	}
	return end, found
}

// listVersions lists the bundles in ascending order of their versions, which
// is not that of their keys. It holds a few bytes for each.
func listVersions(ctx context.Context, store storage.Reader) ([]VersionInfo, error) {
	var all []VersionInfo
	for info, err := range store.List(ctx, versionPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", versionPrefix, err)
		}
		if v, ok := parseBundleKey(info.Key); ok {
			all = append(all, VersionInfo{Version: v, Size: info.Size, Stored: info.ModTime})
		}
	}
	slices.SortFunc(all, func(a, b VersionInfo) int { return cmp.Compare(a.Version, b.Version) })
	return all, nil
}

// readManifest reads and checks the whole bundle of a version and returns its
// manifest.
func (s *session) readManifest(ctx context.Context, v deltalog.Version) (bundle.Version, error) {
	return s.decode(ctx, v, func(_ context.Context, _ bundle.Member, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// decode streams the bundle of version v through the codec.
func (s *session) decode(ctx context.Context, v deltalog.Version, put bundle.PutFunc) (bundle.Version, error) {
	key := bundleKey(v)
	r, err := s.store.Open(ctx, key, 0, -1)
	if err != nil {
		return bundle.Version{}, at(v, key, err)
	}
	m, err := s.opts.Codec.Decode(ctx, r, put)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(m.Versions) != 1 {
		err = fmt.Errorf("%w: a run of %d versions in one bundle", ErrUnsupported, len(m.Versions))
	}
	if err == nil && m.Versions[0].Version != int64(v) {
		err = fmt.Errorf("%w: the manifest is that of version %d", ErrCorrupt, m.Versions[0].Version)
	}
	if err != nil {
		return bundle.Version{}, at(v, key, err)
	}
	return m.Versions[0], nil
}
