package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// settleMixed compares what this pusher would store of a version with what is stored, where
// one of them lists the files in the base and the other in a manifest. listing is that of the
// manifest, isOurs says whose it is.
func (s *session) settleMixed(ctx context.Context, listing bundle.Version, isOurs bool) error {
	v := deltalog.Version(listing.Version)
	rest, err := s.notInBase(ctx, listing)
	if errors.Is(err, storage.ErrNotFound) && !s.endIsSure { // retention took it: the head is far behind
		return errUnsureEnd
	}
	if err != nil {
		return at(v, baseKey(v), err)
	}
	if !isOurs {
		return at(v, "", s.checkManifest(ctx, listing))
	}
	for path, f := range rest {
		if f.Kind != bundle.KindCheckpoint {
			return at(v, baseKey(v), storedLacks(path))
		}
	}
	return nil
}

func storedLacks(path string) error {
	return fmt.Errorf("%w: what is stored has the same commit but not %s as it is here", ErrDiverged, path)
}

// notInBase returns which of the files that a manifest lists the base of the version has not.
// It wraps ErrDiverged if one has other bytes there.
func (s *session) notInBase(ctx context.Context, listing bundle.Version) (rest map[string]bundle.File, err error) {
	rest = make(map[string]bundle.File, len(listing.Files))
	for _, f := range listing.Files {
		rest[f.Path] = f
	}
	index := s.sorter()
	defer func() { err = errors.Join(err, index.Close()) }()
	if _, err := s.addIndex(ctx, index, deltalog.Version(listing.Version), nil); err != nil {
		return nil, err
	}
	for record, err := range index.Sorted() {
		if err != nil {
			return nil, err
		}
		e, err := decodeEntry(record.Value)
		if err != nil {
			return nil, err
		}
		if f, both := rest[e.Path]; both && !f.Same(e.File) {
			return nil, storedLacks(e.Path)
		}
		delete(rest, e.Path)
	}
	return rest, nil
}

// checkManifest wraps ErrDiverged if a manifest lacks a file that the version brings and the
// table has.
func (s *session) checkManifest(ctx context.Context, listing bundle.Version) error {
	listed := make(map[string]bool, len(listing.Files))
	for _, f := range listing.Files {
		listed[f.Path] = true
	}
	for f, err := range s.filesOf(ctx, deltalog.Version(listing.Version), &deltalog.Commit{Omitted: true}) {
		if err != nil {
			return err
		}
		if f.Kept || listed[f.Path] {
			continue
		}
		if _, found, err := s.fileSize(ctx, f.Path); err != nil || found {
			return firstOf(err, storedLacks(f.Path))
		}
	}
	return nil
}
