package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/internal/tempfile"
)

// keptBase is what is read of a base again: its index and its checkpoint.
type keptBase struct {
	index *tempfile.File
	log   *baseLog
}

func newKeptBase() (*keptBase, error) {
	index, err := tempfile.Create("", "sluice-index-")
	if err != nil {
		return nil, err
	}
	log, err := newBaseLog()
	if err != nil {
		return nil, errors.Join(err, index.Close())
	}
	return &keptBase{index, log}, nil
}

// put keeps the index and the checkpoint, and hands to next what is not the index.
func (k *keptBase) put(v deltalog.Version, next bundle.PutFunc) bundle.PutFunc {
	next = k.log.put(next)
	return func(ctx context.Context, m bundle.Member, r io.Reader) error {
		if m.Path != bundle.IndexPath(int64(v)) {
			return next(ctx, m, r)
		}
		_, err := io.Copy(k.index, r)
		return err
	}
}

// entries yields the index and adds its paths to paths on the way.
func (k *keptBase) entries(paths *extsort.Sorter) iter.Seq2[bundle.IndexEntry, error] {
	return func(yield func(bundle.IndexEntry, error) bool) {
		for e, err := range bundle.ReadIndex(io.NewSectionReader(k.index, 0, math.MaxInt64)) {
			if err == nil {
				err = paths.Add(e.Path, nil)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (k *keptBase) close() error { return errors.Join(k.index.Close(), k.log.Close()) }

// restoreKept is restoreLive, and makes sure that the index lists what the checkpoint calls
// live, which is read meanwhile: no engine could read the table without. It wraps ErrCorrupt
// if it does not.
func (s *session) restoreKept(ctx context.Context, own *staging, b bundle.Base, kept *keptBase, follows bool) (err error) {
	memory := s.keptMemory()
	live, listed := extsort.New(memory/4, ""), extsort.New(memory/4, "")
	defer func() { err = errors.Join(err, live.Close(), listed.Close()) }()
	v := deltalog.Version(b.Version)
	both, bctx := errgroup.WithContext(ctx)
	both.Go(func() error { return s.restoreLive(bctx, own, b, kept.entries(listed), follows) })
	both.Go(func() error { return at(v, baseKey(v), kept.log.addLive(bctx, live, b, memory/2)) })
	if err := both.Wait(); err != nil {
		return err
	}
	return at(v, baseKey(v), checkAllListed(b, live, listed))
}

// checkAllListed wraps ErrCorrupt if the index of a base lacks what is live.
func checkAllListed(b bundle.Base, live, index *extsort.Sorter) error {
	first, n := "", 0
	for path, err := range unlisted(b, live, index) {
		if err != nil {
			return err
		}
		if n++; n == 1 {
			first = path
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: %s; so it is with %d in all", ErrCorrupt, first, unlistedFile, n)
}
