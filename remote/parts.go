package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/storage"
)

// A part is an object beside a bundle or a base that holds some of its files
// (bundle/FORMAT.md, "Parts"). They say which, so nobody looks for parts but who makes
// them and who cleans up.

// partAt is a part beside version v.
func partAt(v deltalog.Version, p bundle.PartRef) object {
	return object{version: v, Info: storage.Info{Key: partKey(v, p.Name), Size: p.Size}}
}

// decodePart streams a part through the codec, and makes sure that it is the one
// which was asked for. What is read counts as of, which may be nil.
func (s *session) decodePart(ctx context.Context, v deltalog.Version, p bundle.PartRef, of *portion, put bundle.PutFunc) (is bundle.Part, err error) {
	o := partAt(v, p)
	r, err := s.open(ctx, o.Key, 0, o.Size)
	if err != nil {
		return is, at(v, o.Key, err)
	}
	is, err = s.opts.Codec.DecodePart(ctx, counted{r, of}, put)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = checkPart(is, v, p.Name)
	}
	return is, at(v, o.Key, err)
}

// partPeeksAhead is how many descriptions of parts are read at once: each may have 20,000
// names.
const partPeeksAhead = 2

// peekPart reads what a part says of itself and, if it can, nothing else of it.
func (s *session) peekPart(ctx context.Context, o object, name string) (bundle.Part, error) {
	is, err := s.opts.Codec.ReadPart(ctx, o.Size, s.ranges(o))
	if errors.Is(err, bundle.ErrNoPlace) {
		return s.decodePart(ctx, o.version, bundle.PartRef{Name: name, Size: o.Size}, nil, discarded)
	}
	if err == nil {
		err = checkPart(is, o.version, name)
	}
	return is, at(o.version, o.Key, err)
}

// storedPart is a part in the store, and what it says of itself.
type storedPart struct {
	object
	is bundle.Part
}

// partsOf lists the parts beside version v.
func (s *session) partsOf(ctx context.Context, v deltalog.Version) ([]object, error) {
	var found []object
	for info, err := range s.store.List(ctx, partPrefix(v), "") {
		if err != nil {
			return nil, fmt.Errorf("list parts of version %d: %w", int64(v), err)
		}
		if _, _, ok := parsePartKey(info.Key); ok {
			found = append(found, object{version: v, Info: info})
		}
	}
	return found, nil
}

// usable yields those parts that can be used, whoever made them.
func (s *session) usable(ctx context.Context, parts []object) iter.Seq2[storedPart, error] {
	return func(yield func(storedPart, error) bool) {
		for _, o := range parts {
			_, name, _ := parsePartKey(o.Key)
			is, err := s.peekPart(ctx, o, name)
			if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) {
				s.log.Warn("a part that cannot be used", logKey, o.Key, logError, err)
				continue
			}
			if !yield(storedPart{o, is}, err) || err != nil {
				return
			}
		}
	}
}

// findPart asks for the size of a part. Wraps storage.ErrNotFound if it is not there.
func (s *session) findPart(ctx context.Context, v deltalog.Version, name string) (bundle.PartRef, error) {
	key := partKey(v, name)
	for info, err := range s.store.List(ctx, key, "") {
		if err != nil {
			return bundle.PartRef{}, err
		}
		if info.Key == key {
			return bundle.PartRef{Name: name, Size: info.Size}, nil
		}
	}
	return bundle.PartRef{}, fmt.Errorf("%w: %s", storage.ErrNotFound, key)
}

// checkNeeds makes sure that what a base needs above the end of the history is there, given
// by the keys: parts, which can be read as far as their descriptions. A bundle above the end
// may be there and does not count.
func (s *session) checkNeeds(ctx context.Context, keys map[string]bool) error {
	if len(keys) == 0 {
		return nil
	}
	l, err := s.list(ctx)
	if err != nil {
		return err
	}
	there := map[string]object{}
	for _, o := range l.parts {
		there[o.Key] = o
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partPeeksAhead)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		o, found := there[key]
		if !found {
			return firstOf(group.Wait(), partGone(fmt.Errorf("%w: %s", storage.ErrNotFound, key)))
		}
		group.Go(func() error {
			_, name, _ := parsePartKey(key)
			_, err := s.peekPart(ctx, o, name)
			return partGone(err)
		})
	}
	return group.Wait()
}

// addParts adds what parts hold of the table to sorted, by path. A push has left them
// that was cut off, whoever it was, of whichever table. One that has other bytes under a
// path of the table is not used at all: who unpacks parts with tar would take them for
// the table's.
func (s *session) addParts(ctx context.Context, sorted *extsort.Sorter, parts []object) error {
	for part, err := range s.usable(ctx, parts) {
		if err != nil {
			return err
		}
		here, err := s.filesHere(ctx, part.is.Files)
		if err != nil {
			return err
		}
		for _, f := range here {
			f.Part = bundle.PartName(part.is.Files)
			if err := addEntry(sorted, bundle.IndexEntry{File: f, Version: int64(part.version)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// filesHere returns those of the files that the table has, none if it has one of them
// with other bytes.
func (s *session) filesHere(ctx context.Context, files []bundle.File) (here []bundle.File, err error) {
	for _, f := range files {
		size, found, err := s.fileSize(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if size != f.Size {
			return nil, nil
		}
		is, err := s.measure(ctx, f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !is.Same(f) {
			return nil, nil
		}
		here = append(here, f)
	}
	return here, nil
}

// checkPart makes sure that a part lies where it belongs.
func checkPart(is bundle.Part, v deltalog.Version, name string) error {
	if got := bundle.PartName(is.Files); is.Version != int64(v) || got != name {
		return fmt.Errorf("%w: it is part %s of version %d", ErrCorrupt, got, is.Version)
	}
	return nil
}

// errPartGone: a part which is named is not there.
var errPartGone = errors.New("it is named, but it is not there")

// partGone says that a part which is named is not there. That is damage,
// and must not be taken for a version that is not there.
func partGone(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: %w: %s", ErrCorrupt, errPartGone, err)
	}
	return err
}

// ifPruned returns what the loss of a part of the version after tip comes to: below the
// floor retention may have removed it, though a pack still has the bundle.
func (s *session) ifPruned(ctx context.Context, tip *tipState, lost error) error {
	l, err := s.list(ctx)
	if err != nil {
		return err
	}
	next, floor := nextOf(tip), l.floor()
	promised := func(pin deltalog.Version) bool { return next <= pin && pin < floor }
	if next >= floor || slices.ContainsFunc(l.pins, promised) {
		return lost
	}
	return at(next, "", &gapAt{version: floor, from: next, pruned: true})
}

// parts takes in the files of a bundle that are wanted and lie in its parts,
// several parts at once: as many as Options.Concurrency says of all bundles together.
func (b *incoming) parts(m bundle.Manifest) error {
	group, ctx := errgroup.WithContext(b.ctx)
	running := b.s.transfers.parts
	for _, p := range m.Parts {
		wanted, err := b.wantedOf(ctx, m, p.Name)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		of := b.s.portion(p.Size)
		if len(wanted) == 0 {
			of.finish()
			continue
		}
		select {
		case running <- struct{}{}:
		case <-ctx.Done():
			return firstOf(group.Wait(), ctx.Err())
		}
		group.Go(func() error {
			defer func() { <-running }()
			_, err := b.s.decodePart(ctx, deltalog.Version(m.Versions[0].Version), p, of, only(wanted, b.staged.put))
			return partGone(err)
		})
	}
	return group.Wait()
}

// wantedOf returns the paths of the files that are wanted of a part.
func (b *incoming) wantedOf(ctx context.Context, m bundle.Manifest, part string) (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, v := range m.Versions {
		for _, f := range v.Files {
			if f.Part != part {
				continue
			}
			is, err := b.wants(ctx, deltalog.Version(v.Version), f.Path)
			if err != nil {
				return nil, err
			}
			if is {
				wanted[f.Path] = true
			}
		}
	}
	return wanted, nil
}

// discarded reads over a member, which checks it.
func discarded(_ context.Context, _ bundle.Member, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// only passes on what is wanted, and reads over the rest.
func only(wanted map[string]bool, put bundle.PutFunc) bundle.PutFunc {
	return func(ctx context.Context, m bundle.Member, r io.Reader) error {
		if !wanted[m.Path] {
			return discarded(ctx, m, r)
		}
		return put(ctx, m, r)
	}
}
