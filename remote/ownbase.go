package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// A pusher of another history that was cut off over a gap leaves a base above the end. When
// the history has come to its version, by other commits, it lies there still: so a base is
// taken for one of the history only if it has the commit that the bundle has.

// isOwnBase reports whether a base can be read and is of the history, as far as a bundle has its
// version.
func (s *session) isOwnBase(ctx context.Context, l listing, o object) (bool, error) {
	b, err := s.peekBase(ctx, o)
	if isBroken(err) {
		s.log.Warn("a base that cannot be read is passed over", logKey, o.Key, logError, err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = s.checkOwnBase(ctx, l, b)
	if errors.Is(err, errForeignBase) {
		s.log.Warn("a base of another history is passed over", logKey, o.Key)
		return false, nil
	}
	return err == nil, err
}

var errForeignBase = fmt.Errorf("%w: the base is of another history", ErrDiverged)

// checkOwnBase makes sure of that. It wraps errForeignBase if the base is not of the history.
func (s *session) checkOwnBase(ctx context.Context, l listing, b bundle.Base) error {
	stored, err := s.commitBeside(ctx, l, deltalog.Version(b.Version))
	if err != nil {
		return err
	}
	return ownBase(b, stored)
}

// commitBeside returns what a bundle says of the commit of version v, nil if none does.
func (s *session) commitBeside(ctx context.Context, l listing, v deltalog.Version) (*bundle.Digest, error) {
	stored, err := s.historyVersion(ctx, l, v, storage.ErrNotFound)
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil, nil
	}
	return &stored.Commit.SHA256, err
}

func ownBase(b bundle.Base, stored *bundle.Digest) error {
	if stored == nil || *stored == b.Commit.SHA256 {
		return nil
	}
	v := deltalog.Version(b.Version)
	return at(v, baseKey(v), fmt.Errorf("%w: it has a commit with sha256 %s, the bundle %s; repair removes it", errForeignBase, b.Commit.SHA256, *stored))
}

// peekBase reads what a base says of itself and, if it can, nothing else of it.
func (s *session) peekBase(ctx context.Context, o object) (bundle.Base, error) {
	b, err := s.opts.Codec.ReadBase(ctx, o.Size, s.ranges(o))
	if errors.Is(err, bundle.ErrNoPlace) {
		b, err = s.readWholeBase(ctx, o)
	}
	return b, at(o.version, o.Key, err)
}

// newestOwnBase returns the newest base of the history in the segment up to target.
func (s *session) newestOwnBase(ctx context.Context, l listing, in segment, target deltalog.Version) (object, bool, error) {
	for {
		o, found := l.newestBase(in, target)
		if !found {
			return o, false, nil
		}
		own, err := s.isOwnBase(ctx, l, o)
		if own || err != nil {
			return o, own, err
		}
		target = o.version - 1
	}
}
