package remote

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/storage"
)

// defaultMaxListed is how many files, needed ones and removed ones, a commit names at most
// whose files a manifest lists, and which is held in memory by who pushes it or applies it,
// some KiB each. A base is written and read in bounded memory, however many files it lists. So a
// commit that names more goes up as a base of its version, and a bundle which says so
// (bundle/FORMAT.md, M11).
const defaultMaxListed = 40_000

// tooManyFiles: a version names more files than a manifest lists, and no base of this call
// has them.
type tooManyFiles struct{ version deltalog.Version }

func (e *tooManyFiles) Error() string {
	return fmt.Sprintf("version %d names more files than a manifest lists", int64(e.version))
}

// listInBase takes the base of version v, which comes next and names too many files. The
// store may turn out to have come further; then there is nothing to take.
func (s *session) listInBase(ctx context.Context, pos *position, v, tip deltalog.Version) error {
	if _, ok := s.table.(StateReader); !ok {
		return at(v, "", fmt.Errorf("%w: it names more than %d files, which takes a table that can tell its state", ErrTooLarge, s.maxListed))
	}
	if !s.endIsSure { // what the base records as absent it does for good
		if err := s.makeSure(ctx, pos, tip); err != nil {
			return err
		}
	}
	if pos.next() != v {
		return nil
	}
	if err := s.takeBase(ctx, pos, v, tip); err != nil {
		return err
	}
	s.listed = &v
	return nil
}

// sortFiles returns the files that the commit of version v needs, however many.
func (s *session) sortFiles(ctx context.Context, v deltalog.Version) (*deltalog.SortedFiles, error) {
	f, err := s.table.OpenCommit(ctx, v)
	if err != nil {
		return nil, err
	}
	files, err := deltalog.SortFiles(f, s.opts.Memory/8)
	if cerr := f.Close(); err == nil && cerr != nil {
		return nil, errors.Join(cerr, files.Close())
	}
	return files, err
}

// filesOf yields the files that a commit needs, of version v, also if they are omitted in it.
func (s *session) filesOf(ctx context.Context, v deltalog.Version, c *deltalog.Commit) iter.Seq2[deltalog.File, error] {
	return func(yield func(deltalog.File, error) bool) {
		if !c.Omitted {
			for _, f := range c.Files {
				if !yield(f, nil) {
					return
				}
			}
			return
		}
		sorted, err := s.sortFiles(ctx, v)
		if err != nil {
			yield(deltalog.File{}, err)
			return
		}
		defer func() {
			if err := sorted.Close(); err != nil {
				s.log.Warn("temporary files not removed", logError, err)
			}
		}()
		for f, err := range sorted.All() {
			if !yield(f, err) {
				return
			}
		}
	}
}

// brings reports of ascending paths whether they are among the files that a version brings,
// which are not those that the version before had. stop must be called.
func brings(files *deltalog.SortedFiles) (is func(path string) (bool, error), stop func()) {
	if files == nil {
		return func(string) (bool, error) { return false, nil }, func() {}
	}
	next, stop := iter.Pull2(files.All())
	f, err, more := next()
	return func(path string) (bool, error) {
		for err == nil && more && f.Path < path {
			f, err, more = next()
		}
		return err == nil && more && f.Path == path && !f.Kept, err
	}, stop
}

// checkBrought makes sure that a base which is there lists, or records as absent, all that its
// version brings. One that was taken by a push over a gap need not have change data.
func (s *session) checkBrought(ctx context.Context, b bundle.Base, listed *extsort.Sorter) (err error) {
	v := deltalog.Version(b.Version)
	files, err := s.sortFiles(ctx, v)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	brought := s.sorter()
	defer func() { err = errors.Join(err, brought.Close()) }()
	for f, err := range files.All() {
		if err == nil && !f.Kept {
			err = brought.Add(f.Path, nil)
		}
		if err != nil {
			return err
		}
	}
	for path, err := range unlisted(b, brought, listed) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: the base that is there does not list %s, which the commit names; remove it and push again", ErrDiverged, path)
	}
	return nil
}

// inBase is met where a version comes next whose files a base lists.
type inBase struct{ version bundle.Version }

func (e *inBase) Error() string {
	return fmt.Sprintf("the files of version %d are listed in its base", e.version.Version)
}

// applyFromBase applies a version after tip whose files its base lists: those of them that
// the replica lacks come first.
func (s *session) applyFromBase(ctx context.Context, table LogApplier, tip *tipState, v bundle.Version) (*tipState, error) {
	n := deltalog.Version(v.Version)
	moved, err := s.restart(ctx, table, restart{version: n, follows: &v.Commit.SHA256})
	if errors.Is(err, storage.ErrNotFound) {
		lost := at(n, baseKey(n), fmt.Errorf("%w: it lists the files of that version: %s", ErrCorrupt, bare(err)))
		return tip, s.ifPruned(ctx, tip, lost)
	}
	if err != nil {
		return tip, err
	}
	return moved, nil
}
