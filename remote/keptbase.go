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

// keptBase is what is read of a base again: its index, its checkpoint and its commit.
type keptBase struct {
	index  *tempfile.File
	commit *tempfile.File
	log    *baseLog

	absent []string // of what its version brings, once that was looked at
}

func newKeptBase() (_ *keptBase, err error) {
	k := &keptBase{}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if k.index, err = tempfile.Create("", "sluice-index-"); err != nil {
		return nil, err
	}
	if k.commit, err = tempfile.Create("", "sluice-commit-"); err != nil {
		return nil, err
	}
	k.log, err = newBaseLog()
	return k, err
}

// put keeps what is read again, and hands to next what is not the index.
func (k *keptBase) put(v deltalog.Version, next bundle.PutFunc) bundle.PutFunc {
	next = k.log.put(next)
	return func(ctx context.Context, m bundle.Member, r io.Reader) error {
		switch m.Path {
		case bundle.IndexPath(int64(v)):
			_, err := io.Copy(k.index, r)
			return err
		case v.CommitPath():
			n, err := io.Copy(k.commit, r)
			if err != nil {
				return err
			}
			r = io.NewSectionReader(k.commit, 0, n)
		}
		return next(ctx, m, r)
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

func (k *keptBase) close() error {
	var all []error
	if k.log != nil {
		all = append(all, k.log.Close())
	}
	for _, f := range []*tempfile.File{k.index, k.commit} {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	return errors.Join(all...)
}

// restoreKept is restoreLive, and makes sure that the index lists what the checkpoint calls
// live, which is read meanwhile: no engine could read the table without. follows: the replica
// is at the version before, and the index must list what the version brings, too. It wraps
// ErrCorrupt if the index does not. What it returns has something in its way, which is for
// Apply to settle.
func (s *session) restoreKept(ctx context.Context, own *staging, b bundle.Base, kept *keptBase, follows bool) (inTheWay []deltalog.Staged, err error) {
	memory := s.keptMemory()
	live, listed := extsort.New(memory/4, ""), extsort.New(memory/4, "")
	defer func() { err = errors.Join(err, live.Close(), listed.Close()) }()
	v := deltalog.Version(b.Version)
	place := &placer{table: own.table, version: v, own: own, of: s.portion(b.Live.Bytes), follows: follows}
	both, bctx := errgroup.WithContext(ctx)
	both.Go(func() error { return s.restoreLive(bctx, place, b, kept.entries(listed)) })
	both.Go(func() error { return at(v, baseKey(v), kept.log.addLive(bctx, live, b, memory/2)) })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	if follows {
		if kept.absent, err = kept.addBrought(live, b, memory/4); err != nil {
			return nil, at(v, baseKey(v), err)
		}
	}
	return place.inTheWay, at(v, baseKey(v), checkAllListed(b, live, listed))
}

// addBrought adds what the commit of the base brings, and returns what of it is absent.
func (k *keptBase) addBrought(to *extsort.Sorter, b bundle.Base, memory int64) (absent []string, err error) {
	files, err := deltalog.SortFiles(io.NewSectionReader(k.commit, 0, math.MaxInt64), memory)
	if err != nil {
		return nil, err
	}
	absent, err = addBrought(files, to, b)
	return absent, errors.Join(err, files.Close())
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
