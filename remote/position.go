package remote

import (
	"context"
	"fmt"
	"io"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// position says where a store is.
type position struct {
	identity *identity // nil: nothing was ever pushed
	some     bool      // there is at least one version, and what follows is its newest
	last     deltalog.Version
	commit   bundle.Digest // sha256 of the commit of last
	time     int64         // of last, as Delta counts it, milliseconds
	tag      string        // of the head object, for a conditional Put
	base     sinceBase
	gap      *gapAt           // that comes next; nil: the version after last, if there is any
	mend     bool             // the head object does not say this
	listed   bool             // found by listing, not by the head; then also:
	run      deltalog.Version // where the versions without a gap up to last begin
	previous *bundle.Digest   // as the bundle of last states it
	lastGap  *bundle.Gap      // likewise
}

// next is the version that the store wants, or the one after a gap that the
// source has.
func (p *position) next() deltalog.Version {
	switch {
	case p.gap != nil:
		return p.gap.version
	case p.some:
		return p.last + 1
	case p.identity != nil:
		return p.identity.First
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
	return &position{identity: id, some: true, last: h.Version, commit: h.Commit, time: h.Timestamp, base: h.SinceBase, tag: tag}, nil
}

// locateByList finds the end of the history.
func (s *session) locateByList(ctx context.Context, id *identity) (*position, error) {
	l, err := list(ctx, s.store)
	if err != nil {
		return nil, err
	}
	if id == nil {
		if len(l.bundles) > 0 {
			return nil, fmt.Errorf("%w: %s is missing, but there are bundles, the first of version %d", ErrCorrupt, identityKey, int64(l.bundles[0].Version))
		}
		return &position{}, nil
	}
	p := &position{identity: id, mend: true}
	runs, err := s.history(ctx, l, id.First)
	if err != nil || len(runs) == 0 {
		return p, err
	}
	run := runs[len(runs)-1]
	m, err := s.readManifest(ctx, run.last)
	if err != nil {
		return nil, err
	}
	p.some, p.last, p.commit, p.time = true, run.last, m.Commit.SHA256, m.Timestamp
	p.base = sinceBaseOf(l, run.last)
	p.listed, p.run, p.previous, p.lastGap = true, run.first, m.Previous, m.Gap
	return p, nil
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
	if err != nil {
		return bundle.Version{}, at(v, key, err)
	}
	return s.only(m, v)
}

// only returns the one version that the bundle under the key of v must have.
func (s *session) only(m bundle.Manifest, v deltalog.Version) (bundle.Version, error) {
	var err error
	switch {
	case len(m.Versions) != 1:
		err = fmt.Errorf("%w: a run of %d versions in one bundle", ErrUnsupported, len(m.Versions))
	case m.Versions[0].Version != int64(v):
		err = fmt.Errorf("%w: the manifest is that of version %d", ErrCorrupt, m.Versions[0].Version)
	default:
		return m.Versions[0], nil
	}
	return bundle.Version{}, at(v, bundleKey(v), err)
}
