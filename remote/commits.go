package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// add takes in what m says. It remembers as far back as a bundle may reach.
func (c commits) add(m bundle.Manifest) {
	for _, v := range m.Versions {
		c[deltalog.Version(v.Version)] = v.Commit.SHA256
	}
	if len(c) > 4*maxRun {
		end := endOf(m)
		maps.DeleteFunc(c, func(v deltalog.Version, _ bundle.Digest) bool { return v < end-2*maxRun })
	}
}

func beginOf(m bundle.Manifest) deltalog.Version { return deltalog.Version(m.Versions[0].Version) }

func endOf(m bundle.Manifest) deltalog.Version {
	return deltalog.Version(m.Versions[len(m.Versions)-1].Version)
}

// trail is what bundles, ascending by key, say of a version as one history.
type trail struct {
	commits
	of      deltalog.Version
	found   *carrier          // the bundle by which they say it
	stray   *bundle.Version   // what one says of it that does not fit
	strays  []bundle.Manifest // those that do not fit
	newest  bundle.Version    // of those that fit
	damaged error             // one cannot be read
	lost    error             // one cannot be read, and no other is known to have the version with which it begins
}

// carrier is a bundle of the history, and what it says of a version that it carries.
type carrier struct {
	object
	bundle.Version
}

// take takes in the next bundle.
func (t *trail) take(p peeked) {
	var says *bundle.Version
	if n := int64(t.of) - p.Versions[0].Version; n < int64(len(p.Versions)) {
		says = &p.Versions[n]
	}
	if !t.fit(p.Manifest) {
		t.strays = append(t.strays, p.Manifest)
		if says != nil {
			t.stray = says
		}
		return
	}
	t.add(p.Manifest)
	if last := p.Versions[len(p.Versions)-1]; last.Version >= t.newest.Version {
		t.newest = last
	}
	if says != nil {
		t.found = &carrier{p.object, *says}
	}
}

// leftBehind reports whether the bundle of that version does not fit those before it.
func (t *trail) leftBehind(v deltalog.Version) bool {
	return slices.ContainsFunc(t.strays, func(m bundle.Manifest) bool { return beginOf(m) == v })
}

// mixed is the error if a bundle does not fit those before it, and goes beyond them all.
func (t *trail) mixed() error {
	for _, m := range t.strays {
		if _, there := t.commits[endOf(m)]; !there {
			return at(beginOf(m), bundleKey(beginOf(m)), fmt.Errorf("%w: the store mixes two histories: the bundle does not fit those before, and goes beyond them", ErrDiverged))
		}
	}
	return nil
}

// version returns what is known of the version. missing is the error if that is nothing.
func (t *trail) version(missing error) (bundle.Version, error) {
	switch {
	case t.found != nil:
		return t.found.Version, nil
	case t.stray != nil:
		return *t.stray, nil
	case t.damaged != nil:
		return bundle.Version{}, t.damaged
	}
	return bundle.Version{}, missing
}

// trailTo reads the manifests of the newest bundles up to version v, so many of them, to
// tell what another history left among them. The first may be such a leftover, which those
// after it contradict: where some do not fit it looks at those before, too, for the run
// within which a leftover lies.
func (s *session) trailTo(ctx context.Context, l listing, v deltalog.Version, bundles int) (*trail, error) {
	to, _ := search(l.bundles, v+1)
	from, _ := search(l.bundles, v+1-maxRun)
	from = max(from, to-bundles)
	t, err := s.readTrail(ctx, l.bundles[from:to], v, 0)
	if err != nil || len(t.strays) == 0 || from == 0 {
		return t, err
	}
	before := max(0, from-runAhead)
	return s.readTrail(ctx, l.bundles[before:to], v, from-before)
}

// readTrail takes in these bundles. Of the first ones, which have nothing before them to be
// judged by, it does not say that they do not fit.
func (s *session) readTrail(ctx context.Context, bundles []object, v deltalog.Version, unjudged int) (*trail, error) {
	t := &trail{commits: commits{}, of: v}
	n := 0
	for p := range s.peekEach(ctx, bundles) {
		if errors.Is(p.err, ErrCorrupt) { // as it came
			p.Manifest, p.err = s.peek(ctx, p.object)
		}
		switch {
		case p.err == nil:
			t.take(p)
		case errors.Is(p.err, ErrCorrupt):
			t.damaged = inTheWay(p.object, p.err)
			if _, elsewhere := t.commits[p.version]; !elsewhere {
				t.lost = t.damaged
			}
		case !isBroken(p.err):
			return nil, p.err
		}
		if n++; n == unjudged {
			t.strays = nil
		}
	}
	return t, nil
}

// carrierOf looks among the bundles for the one by which the history has version v. Where no
// run is known to have it, it takes reading what may lie around it.
func (s *session) carrierOf(ctx context.Context, l listing, v deltalog.Version) (*trail, error) {
	if key, _, known := l.hints.bundleOf(v); known {
		if o, there := find(l.bundles, key); there {
			m, err := s.peek(ctx, o)
			if n := int(v - key); err == nil && n < len(m.Versions) {
				return &trail{of: v, found: &carrier{o, m.Versions[n]}}, nil
			}
			if err != nil && !isBroken(err) {
				return nil, err
			}
		}
	}
	return s.trailTo(ctx, l, v, runAhead)
}

// historyVersion returns what the history says of version v, in a listing: by the bundle of
// which the head knows that it carries v, else by what fits the bundles before. missing is
// the error if there is none.
func (s *session) historyVersion(ctx context.Context, l listing, v deltalog.Version, missing error) (bundle.Version, error) {
	t, err := s.carrierOf(ctx, l, v)
	if err != nil {
		return bundle.Version{}, err
	}
	return t.version(missing)
}

// reaching returns the bundles that begin below version v and carry it or what comes after
// it. Above one of another history at v itself they may be what the history has of it.
func (s *session) reaching(ctx context.Context, l listing, v deltalog.Version) ([]object, error) {
	to, _ := search(l.bundles, v)
	from, _ := search(l.bundles, v+1-maxRun)
	var found []object
	for p := range s.peekEach(ctx, l.bundles[min(max(from, to-runAhead), to):to]) {
		if p.err != nil && !l.passes(p.err) && !errors.Is(p.err, ErrCorrupt) {
			return nil, p.err
		}
		if p.err == nil && endOf(p.Manifest) >= v {
			found = append(found, p.object)
		}
	}
	return found, nil
}

// isBroken reports whether err says that a bundle is damaged or gone.
func isBroken(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound)
}
