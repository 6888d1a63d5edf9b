package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/inorder"
	"github.com/pondworks/sluice/storage"
)

// peek reads the manifest of a bundle and, if it can, nothing else of it.
func (s *session) peek(ctx context.Context, o object) (bundle.Manifest, error) {
	if o.Size < 0 {
		return s.readManifest(ctx, o)
	}
	m, err := s.opts.Codec.ReadManifest(ctx, o.Size, s.ranges(o))
	if errors.Is(err, bundle.ErrNoPlace) {
		return s.readManifest(ctx, o)
	}
	if err != nil {
		return bundle.Manifest{}, at(o.version, o.Key, err)
	}
	return m, checkKey(m, o.version)
}

// peeksAhead is how many manifests are read at once.
const peeksAhead = 16

// peeked is a bundle and what came of reading its manifest.
type peeked struct {
	object
	bundle.Manifest
	err error
}

// peekEach yields the bundles with their manifests, which are read several at once.
func (s *session) peekEach(ctx context.Context, objects []object) iter.Seq[peeked] {
	return inorder.Seq(ctx, peeksAhead, slices.Values(objects), func(ctx context.Context, o object) (p peeked) {
		p.object = o
		p.Manifest, p.err = s.peek(ctx, o)
		return p
	})
}

// peekAll reads the manifests of several bundles.
func (s *session) peekAll(ctx context.Context, objects []object) ([]bundle.Manifest, error) {
	var read []bundle.Manifest
	for p := range s.peekEach(ctx, objects) {
		if p.err != nil {
			return nil, p.err
		}
		read = append(read, p.Manifest)
	}
	return read, nil
}

// ranges opens parts of a bundle or a base.
func (s *session) ranges(o object) bundle.RangeFunc {
	return func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		return s.store.Open(ctx, o.Key, o.off+off, n)
	}
}

// readManifest reads and checks a whole bundle and returns its manifest.
func (s *session) readManifest(ctx context.Context, o object) (bundle.Manifest, error) {
	return s.decode(ctx, o, nil, discarded)
}

// decode streams a bundle through the codec. What is read counts as of, which may be
// nil.
func (s *session) decode(ctx context.Context, o object, of *portion, put bundle.PutFunc) (bundle.Manifest, error) {
	r, err := s.open(ctx, o.Key, o.off, o.Size)
	if err != nil {
		return bundle.Manifest{}, at(o.version, o.Key, err)
	}
	m, err := s.decodeFrom(ctx, counted{r, of}, o, put)
	if cerr := r.Close(); err == nil {
		err = at(o.version, o.Key, cerr)
	}
	return m, err
}

// decodeFrom does that for a stream that begins with the bundle and ends with it.
func (s *session) decodeFrom(ctx context.Context, r io.Reader, o object, put bundle.PutFunc) (bundle.Manifest, error) {
	m, err := s.opts.Codec.Decode(ctx, r, put)
	if err != nil {
		return bundle.Manifest{}, at(o.version, o.Key, err)
	}
	return m, checkKey(m, o.version)
}

// checkKey makes sure that a bundle lies where it belongs.
func checkKey(m bundle.Manifest, v deltalog.Version) error {
	if is := m.Versions[0].Version; is != int64(v) {
		return at(v, bundleKey(v), fmt.Errorf("%w: the manifest is that of version %d", ErrCorrupt, is))
	}
	return nil
}

// storedVersion is historyVersion with a listing of its own, which it does without where
// the hints know the bundle. Wraps storage.ErrNotFound if none has the version.
func (s *session) storedVersion(ctx context.Context, v deltalog.Version, hints runHints) (bundle.Version, error) {
	if key, _, known := hints.bundleOf(v); known {
		m, err := s.readManifest(ctx, s.bundle(key))
		if n := int(v - key); err == nil && n < len(m.Versions) {
			return m.Versions[n], nil
		}
		if err != nil && !isBroken(err) {
			return bundle.Version{}, err
		}
	}
	l, err := s.list(ctx)
	if err != nil {
		return bundle.Version{}, err
	}
	return s.historyVersion(ctx, l, v, storage.ErrNotFound)
}
