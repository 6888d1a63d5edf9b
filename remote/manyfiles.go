package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

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

// tooManyFiles: a version names more files than a manifest lists, and this call has not
// decided yet where they are listed.
type tooManyFiles struct{ version deltalog.Version }

func (e *tooManyFiles) Error() string {
	return fmt.Sprintf("version %d names more files than a manifest lists", int64(e.version))
}

// manyFiles is where the files of a version are listed that names too many.
type manyFiles struct {
	version deltalog.Version
	inBase  bool // else in the manifest, all the same
}

// errOtherBase: the base that is there does not have what its version brings.
var errOtherBase = fmt.Errorf("%w: it was not taken for that", ErrDiverged)

// settleMany decides where the files of version v are listed, which comes next and names too
// many: in its base, if there can be one that has them all. The store may turn out to have
// come further; then there is nothing to decide.
func (s *session) settleMany(ctx context.Context, pos *position, v, tip deltalog.Version) error {
	if !s.endIsSure { // what the base records as absent it does for good
		if err := s.makeSure(ctx, pos, tip); err != nil {
			return err
		}
	}
	if pos.next() != v {
		return nil
	}
	err := s.takeBase(ctx, pos, v, tip)
	switch {
	case err == nil:
		s.many = &manyFiles{v, true}
	case canDoWithoutBase(err):
		s.log.Warn("the manifest lists all files, which takes memory", logVersion, v, logError, err)
		s.many = &manyFiles{v, false}
	default:
		return err
	}
	return nil
}

// canDoWithoutBase reports whether a base cannot be had for a reason that need not keep a
// manifest from listing the files: the state of the table cannot be told, or the base that is
// there is damaged, or was taken for something else.
func canDoWithoutBase(err error) bool {
	return errors.Is(err, ErrUnsupported) || errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOtherBase)
}

// planMany goes by that decision. Beyond a gap none is needed: the base has all that is live,
// and the bundle only what is change data.
func (s *session) planMany(ctx context.Context, p *versionPlan, c *localCommit) (err error) {
	v := deltalog.Version(p.Version.Version)
	switch {
	case p.Gap != nil:
		listed := *c.Commit
		listed.Files, err = s.changeData(ctx, v)
		c.Commit, c.sizes = &listed, nil
	case s.many == nil || s.many.version != v:
		return &tooManyFiles{v}
	case s.many.inBase:
		p.FilesInBase = true
	default:
		*c, err = s.scanLocalUpTo(ctx, v, 0)
	}
	return err
}

// changeData returns what version v names as change data.
func (s *session) changeData(ctx context.Context, v deltalog.Version) (files []deltalog.File, err error) {
	sorted, err := s.sortFiles(ctx, v)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sorted.Close()) }()
	for f, err := range sorted.All() {
		if err != nil {
			return nil, err
		}
		if f.Kind == deltalog.KindChangeData {
			files = append(files, f)
		}
	}
	return files, nil
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

// checkBrought makes sure that a base which is there has all that its version brings: listed
// are the paths of what its index says of the version itself. What it records as absent must
// be gone here, too; it counts as the push's. It wraps errOtherBase if not.
func (s *session) checkBrought(ctx context.Context, b bundle.Base, listed *extsort.Sorter) (err error) {
	v := deltalog.Version(b.Version)
	files, err := s.sortFiles(ctx, v)
	if err != nil {
		return err
	}
	brought := s.sorter()
	defer func() { err = errors.Join(err, files.Close(), brought.Close()) }()
	absent, err := addBrought(files, brought, b)
	if err != nil {
		return err
	}
	for _, path := range absent {
		if _, found, err := s.fileSize(ctx, path); err != nil {
			return err
		} else if found {
			return fmt.Errorf("%w: it says %s is absent", errOtherBase, path)
		}
	}
	for path, err := range without(brought, listed) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: it does not list %s", errOtherBase, path)
	}
	s.mu.Lock()
	s.report.Absent += len(absent)
	s.mu.Unlock()
	return nil
}

// addBrought adds the paths of what a version brings, but for what its base says is absent:
// these it returns.
func addBrought(files *deltalog.SortedFiles, to *extsort.Sorter, b bundle.Base) (absent []string, err error) {
	gone := slices.Sorted(slices.Values(b.Absent))
	for f, err := range files.All() {
		if err != nil {
			return nil, err
		}
		if f.Kept {
			continue
		}
		if _, is := slices.BinarySearch(gone, f.Path); is {
			absent = append(absent, f.Path)
		} else if err := to.Add(f.Path, nil); err != nil {
			return nil, err
		}
	}
	return absent, nil
}

// applyFromBase applies a version after tip whose files its base lists: those of them that
// the replica lacks come first.
func (s *session) applyFromBase(ctx context.Context, table LogApplier, tip *tipState, v bundle.Version) (*tipState, error) {
	n := deltalog.Version(v.Version)
	moved, err := s.useBase(ctx, table, baseUse{version: n, follows: &v.Commit.SHA256})
	if errors.Is(err, storage.ErrNotFound) {
		lost := at(n, baseKey(n), fmt.Errorf("%w: it lists the files of that version: %s", ErrCorrupt, bare(err)))
		return tip, s.ifPruned(ctx, tip, lost)
	}
	if err != nil {
		return tip, err
	}
	s.checkpointIfDue(ctx, table, n)
	return moved, nil
}
