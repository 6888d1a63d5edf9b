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

// commits are the digests of commits by version, as the bundles of one history say.
//
// A pusher of another history may leave bundles at names that are free within a run of
// ours: one that went ahead of what it lost, or one that records a gap there. A bundle
// counts if it follows what those before it say.
type commits map[deltalog.Version]bundle.Digest

// fit reports whether m, which is not below them, is of the same history, as far as they
// can tell: it follows what is known, and agrees where both have a version.
func (c commits) fit(m bundle.Manifest) bool {
	first := m.Versions[0]
	before, known := c[deltalog.Version(first.Version-1)]
	if known && first.Gap == nil && first.Previous != nil && *first.Previous != before {
		return false
	}
	return !slices.ContainsFunc(m.Versions, func(v bundle.Version) bool {
		is, known := c[deltalog.Version(v.Version)]
		return known && is != v.Commit.SHA256
	})
}

func (c commits) add(m bundle.Manifest) {
	for _, v := range m.Versions {
		c[deltalog.Version(v.Version)] = v.Commit.SHA256
	}
}

// trail is what bundles, ascending by key, say of a version as one history.
type trail struct {
	commits
	of      deltalog.Version
	found   *bundle.Version // what they say of it
	stray   *bundle.Version // what one says of it that does not fit
	mixed   error           // one does not fit, and goes beyond those before
	damaged error           // one cannot be read
}

func (t *trail) take(m bundle.Manifest) {
	of := &t.found
	if t.fit(m) {
		t.add(m)
	} else {
		of = &t.stray
		first, last := deltalog.Version(m.Versions[0].Version), deltalog.Version(m.Versions[len(m.Versions)-1].Version)
		if _, there := t.commits[last]; !there && t.mixed == nil {
			t.mixed = at(first, bundleKey(first), fmt.Errorf("%w: the store mixes two histories: the bundle does not fit those before, and goes beyond them", ErrDiverged))
		}
	}
	if n := int64(t.of) - m.Versions[0].Version; n < int64(len(m.Versions)) {
		*of = &m.Versions[n]
	}
}

// version returns what is known of the version. missing is the error if that is nothing.
func (t *trail) version(missing error) (bundle.Version, error) {
	switch {
	case t.found != nil:
		return *t.found, nil
	case t.stray != nil:
		return *t.stray, nil
	case t.damaged != nil:
		return bundle.Version{}, t.damaged
	}
	return bundle.Version{}, missing
}

// trailTo reads the manifests of the newest of bundles, up to version v, far enough back to
// tell what another history left among them.
func (s *session) trailTo(ctx context.Context, bundles []object, v deltalog.Version) (*trail, error) {
	t := &trail{commits: commits{}, of: v}
	to, _ := search(bundles, v+1)
	from, _ := search(bundles, v+1-maxRun)
	for p := range s.peekEach(ctx, bundles[max(from, to-runAhead):to]) {
		switch {
		case p.err == nil:
			t.take(p.Manifest)
		case errors.Is(p.err, ErrCorrupt):
			t.damaged = p.err
		case !isBroken(p.err):
			return nil, p.err
		}
	}
	return t, nil
}

// historyVersion returns what the history says of version v, in a listing: by the bundle of
// which the head knows that it carries v, else by what fits the bundles before. missing is
// the error if there is none.
func (s *session) historyVersion(ctx context.Context, l listing, v deltalog.Version, missing error) (bundle.Version, error) {
	if key, _, known := l.hints.bundleOf(v); known {
		if o, there := find(l.bundles, key); there {
			m, err := s.peek(ctx, o)
			if n := int(v - key); err == nil && n < len(m.Versions) {
				return m.Versions[n], nil
			}
			if err != nil && !isBroken(err) {
				return bundle.Version{}, err
			}
		}
	}
	t, err := s.trailTo(ctx, l.bundles, v)
	if err != nil {
		return bundle.Version{}, err
	}
	return t.version(missing)
}

// isBroken reports whether err says that a bundle is damaged or gone.
func isBroken(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound)
}
