package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// catalog remembers which bundle has which file, for the versions from first to
// last that this process pushed, so that the next base need not read their
// manifests.
type catalog struct {
	first, last deltalog.Version
	files       map[string]bundle.IndexEntry // by path; of several the newest
}

// maxCatalog bounds how many files are remembered; beyond it the manifests are
// read.
const maxCatalog = 100_000

// remember notes a version that has just come into the store.
func (s *session) rememberFiles(p *plan) {
	if p.stored == nil { // another pusher's bundle, laid out we do not know how
		s.catalog = nil
		return
	}
	if s.catalog == nil || s.catalog.last+1 != p.version || len(s.catalog.files) > maxCatalog {
		s.catalog = &catalog{first: p.version, files: map[string]bundle.IndexEntry{}}
	}
	s.catalog.last = p.version
	for _, f := range p.stored.Files {
		if f.Kind != bundle.KindCheckpoint {
			s.catalog.files[f.Path] = bundle.IndexEntry{File: f, Version: int64(p.version)}
		}
	}
}

// addStored adds to sorted, by path, where every file lies that may be in the
// store up to version upto: what the newest base lists, then, overruling it,
// what the bundles after it carry.
func (s *session) addStored(ctx context.Context, sorted *extsort.Sorter, upto deltalog.Version) error {
	l, err := list(ctx, s.store)
	if err != nil {
		return err
	}
	after := deltalog.Version(-1)
	for _, b := range l.bases {
		if b.Version <= upto {
			after = b.Version
		}
	}
	if after >= 0 {
		if err := s.addIndex(ctx, sorted, after); err != nil {
			return at(after, baseKey(after), err)
		}
	}
	known := s.catalog
	var unknown []VersionInfo
	for _, info := range l.bundles {
		inCatalog := known != nil && known.first <= info.Version && info.Version <= known.last
		if after < info.Version && info.Version <= upto && !inCatalog {
			unknown = append(unknown, info)
		}
	}
	if err := s.addManifests(ctx, sorted, unknown); err != nil {
		return err
	}
	if known == nil || known.last > upto {
		return nil
	}
	for _, e := range known.files {
		if err := addEntry(sorted, e); err != nil {
			return err
		}
	}
	return nil
}

func addEntry(sorted *extsort.Sorter, e bundle.IndexEntry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return sorted.Add(e.Path, b)
}

// addIndex adds what the index of a base lists.
func (s *session) addIndex(ctx context.Context, sorted *extsort.Sorter, v deltalog.Version) (err error) {
	r, err := s.store.Open(ctx, baseKey(v), 0, -1)
	if err != nil {
		return err
	}
	index := extsort.New(s.opts.Memory/4, "") // keeps it until its digest is known to be right
	defer func() { err = errors.Join(err, index.Close()) }()
	_, err = s.opts.Codec.DecodeBase(ctx, r, putIndex(index, v))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	for record, err := range index.Sorted() {
		if err != nil {
			return err
		}
		if err := sorted.Add(record.Key, record.Value); err != nil {
			return err
		}
	}
	return nil
}

// manifestsAhead is how many manifests are read at once.
const manifestsAhead = 16

// addManifests adds what the bundles carry, in their order.
func (s *session) addManifests(ctx context.Context, sorted *extsort.Sorter, bundles []VersionInfo) error {
	for len(bundles) > 0 {
		n := min(len(bundles), manifestsAhead)
		read := make([]bundle.Version, n)
		group, gctx := errgroup.WithContext(ctx)
		for i, info := range bundles[:n] {
			group.Go(func() (err error) {
				read[i], err = s.peek(gctx, info)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, v := range read {
			for _, f := range v.Files {
				if f.Kind == bundle.KindCheckpoint {
					continue
				}
				if err := addEntry(sorted, bundle.IndexEntry{File: f, Version: int64(bundles[i].Version)}); err != nil {
					return err
				}
			}
		}
		bundles = bundles[n:]
	}
	return nil
}

func decodeEntry(b []byte) (bundle.IndexEntry, error) {
	var e bundle.IndexEntry
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("index entry of our own: %w", err)
	}
	return e, nil
}

// putIndex collects the index out of the members of a base.
func putIndex(index *extsort.Sorter, v deltalog.Version) bundle.PutFunc {
	return func(_ context.Context, m bundle.Member, r io.Reader) error {
		if m.Path != bundle.IndexPath(int64(v)) {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		for e, err := range bundle.ReadIndex(r) {
			if err != nil {
				return err
			}
			if err := addEntry(index, e); err != nil {
				return err
			}
		}
		return nil
	}
}
