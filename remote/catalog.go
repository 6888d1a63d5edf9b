package remote

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// catalog remembers which bundle has which file, for the versions from first to
// last that this process pushed, so that the next base need not read their
// manifests. It goes with the position: one that was looked up anew may be that of a store
// which was begun anew.
type catalog struct {
	first, last deltalog.Version
	files       map[string]bundle.IndexEntry // by path; of several the newest
}

// maxCatalog bounds how many files are remembered; beyond it the manifests are
// read.
const maxCatalog = 100_000

// rememberFiles notes a bundle that has just come into the store.
func (s *session) rememberFiles(p *plan) {
	if p.stored == nil { // another pusher's, laid out we do not know how
		s.catalog = nil
		return
	}
	if s.catalog == nil || s.catalog.last+1 != p.first() || len(s.catalog.files) > maxCatalog {
		s.catalog = &catalog{first: p.first(), files: map[string]bundle.IndexEntry{}}
	}
	s.catalog.last = p.last()
	for _, e := range entriesOf(*p.stored) {
		s.catalog.files[e.Path] = e
	}
}

// entriesOf returns where the files of a bundle lie, as an index has it.
func entriesOf(m bundle.Manifest) []bundle.IndexEntry {
	var entries []bundle.IndexEntry
	for _, v := range m.Versions {
		for _, f := range v.Files {
			if f.Kind != bundle.KindCheckpoint {
				entries = append(entries, bundle.IndexEntry{File: f, Version: m.Versions[0].Version})
			}
		}
	}
	return entries
}

// addStored adds to sorted, by path, where every file lies that may be in the
// store up to where pos is: what the newest base lists, then, overruling it,
// what the bundles after it carry. It returns the newest version that a base belongs to which
// is missing, negative if there is none: then they need not have all that is live.
func (s *session) addStored(ctx context.Context, sorted *extsort.Sorter, pos *position) (lost deltalog.Version, err error) {
	l, err := s.list(ctx)
	if err != nil {
		return -1, err
	}
	l.hints = pos.hints()
	upto, chain := pos.last, commits{}
	after, err := s.addNewestBase(ctx, sorted, l, upto, chain)
	if err != nil {
		return -1, err
	}
	known := s.catalogFor(after, upto)
	unknown, err := s.runBeyond(ctx, l, after, upto)
	if err != nil {
		return -1, err
	}
	for _, o := range l.bundles {
		inCatalog := known != nil && known.first <= o.version
		if after < o.version && o.version <= upto && !inCatalog {
			unknown = append(unknown, o)
		}
	}
	holder := newHolder(s, l, object{})
	add := func(e bundle.IndexEntry) error { // what was pushed, or seen, may be lost by now
		if there, err := holder.holds(ctx, e); !there || err != nil {
			return err
		}
		return addEntry(sorted, e)
	}
	lost, err = s.addManifests(ctx, add, unknown, after, chain)
	if err != nil || known == nil {
		return lost, err
	}
	for _, e := range known.files {
		if err := add(e); err != nil {
			return -1, err
		}
	}
	return lost, nil
}

// addNewestBase adds what the index of the newest base lists that can be read, and its commit to
// the chain. It returns its version, negative if there is none.
func (s *session) addNewestBase(ctx context.Context, sorted *extsort.Sorter, l listing, upto deltalog.Version, chain commits) (deltalog.Version, error) {
	for target := upto; ; {
		o, found, err := s.newestOwnBase(ctx, l, segment{last: upto}, target)
		if err != nil || !found {
			return -1, err
		}
		b, err := s.addIndex(ctx, sorted, o.version, newHolder(s, l, o).holds)
		if isBroken(err) {
			s.log.Warn("a base that cannot be read is passed over", logKey, o.Key, logError, err)
			target = o.version - 1
			continue
		}
		if err != nil {
			return -1, at(o.version, o.Key, err)
		}
		chain[o.version] = b.Commit.SHA256
		return o.version, nil
	}
}

// catalogFor returns what this process remembers, if that is all that came after the base of
// version after: what it knows of older versions others have overruled.
func (s *session) catalogFor(after, upto deltalog.Version) *catalog {
	if c := s.catalog; c == nil || c.last != upto || c.first <= after {
		s.catalog = nil
	}
	return s.catalog
}

// runBeyond returns the run of the history within which the base of version after lies, if it
// leads beyond it, up to upto at most.
func (s *session) runBeyond(ctx context.Context, l listing, after, upto deltalog.Version) ([]object, error) {
	inCatalog := s.catalog != nil && s.catalog.first <= after+1
	if after < 0 || after >= upto || inCatalog {
		return nil, nil
	}
	t, err := s.carrierOf(ctx, l, after+1)
	if err != nil || t.found == nil || t.found.version > after {
		return nil, err
	}
	return []object{t.found.object}, nil
}

// keepFunc reports whether an entry of an index counts.
type keepFunc func(ctx context.Context, e bundle.IndexEntry) (bool, error)

// addIndex adds what the index of a base lists, as far as keep says so of the entries in their
// order; nil: all.
func (s *session) addIndex(ctx context.Context, sorted *extsort.Sorter, v deltalog.Version, keep keepFunc) (b bundle.Base, err error) {
	r, err := s.store.Open(ctx, baseKey(v), 0, -1)
	if err != nil {
		return b, err
	}
	index := s.sorter() // keeps it until its digest is known to be right
	defer func() { err = errors.Join(err, index.Close()) }()
	b, err = s.opts.Codec.DecodeBase(ctx, r, putIndex(index, v, keep))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return b, err
	}
	for record, err := range index.Sorted() {
		if err != nil {
			return b, err
		}
		if err := sorted.Add(record.Key, record.Value); err != nil {
			return b, err
		}
	}
	return b, nil
}

// addManifests adds what the bundles carry, in their order, but for those that do not fit
// the commits before them, which another history left behind. It returns the newest version
// above base that follows a gap or has its files in a base, negative if there is none.
func (s *session) addManifests(ctx context.Context, add func(bundle.IndexEntry) error, bundles []object, base deltalog.Version, chain commits) (gap deltalog.Version, err error) {
	gap = -1
	for some := range slices.Chunk(bundles, peeksAhead) {
		read, err := s.peekAll(ctx, some)
		if err != nil {
			return gap, err
		}
		for _, m := range read {
			if !chain.fit(m) {
				continue
			}
			chain.add(m)
			first := m.Versions[0]
			if (first.Gap != nil || first.FilesInBase) && deltalog.Version(first.Version) > base {
				gap = deltalog.Version(first.Version)
			}
			for _, e := range entriesOf(m) {
				if err := add(e); err != nil {
					return gap, err
				}
			}
		}
	}
	return gap, nil
}

// putIndex collects the index out of the members of a base, as far as keep says so; nil: all.
func putIndex(index *extsort.Sorter, v deltalog.Version, keep keepFunc) bundle.PutFunc {
	return func(ctx context.Context, m bundle.Member, r io.Reader) error {
		if m.Path != bundle.IndexPath(int64(v)) {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		for e, err := range bundle.ReadIndex(r) {
			wanted := true
			if err == nil && keep != nil {
				wanted, err = keep(ctx, e)
			}
			if err != nil {
				return err
			}
			if !wanted {
				continue
			}
			if err := addEntry(index, e); err != nil {
				return err
			}
		}
		return nil
	}
}
