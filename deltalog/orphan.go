package deltalog

import (
	"context"
	"fmt"
	"path"
	"slices"
)

// replaceOrphans replaces files that are in the way with other bytes, if they
// are only the rest of something that never became a version: this commit
// names them and no commit of the table does. Otherwise nothing is replaced and
// the error wraps ErrConflict. A file that no commit names at all is the
// host's own, immutable by its name, and is never replaced.
func (a *application) replaceOrphans(ctx context.Context, c *Change, files []Staged) error {
	own, err := namedBy(c, files)
	if err != nil {
		return err
	}
	taken, err := a.dir.namedInLog(ctx, files)
	if err != nil {
		return err
	}
	for _, f := range files {
		exact, err := a.spelledSo(f.Path)
		if err != nil {
			return err
		}
		if !own[f.Path] || taken[f.Path] || !exact {
			return a.conflictAt(f)
		}
	}
	for _, f := range files {
		if err := a.replace(ctx, c, f); err != nil {
			return fmt.Errorf("replace %s: %w", f.Path, err)
		}
	}
	return nil
}

func (a *application) conflictAt(f Staged) error {
	got, err := hashFile(a.root, f.Path)
	if err != nil {
		return err
	}
	return conflict(f, got)
}

// replace removes the orphan first, so that its Hadoop checksums go as well.
func (a *application) replace(ctx context.Context, c *Change, f Staged) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.root.Remove(f.Path); err != nil {
		return err
	}
	if err := a.removeChecksum(c, f.Path); err != nil {
		return err
	}
	folder, err := a.folder(path.Dir(f.Path))
	if err != nil {
		return err
	}
	return f.at.MoveNew(f.at.name, folder, path.Base(f.Path))
}

// namedBy returns which of the files the commit to be applied needs.
func namedBy(of *Change, files []Staged) (map[string]bool, error) {
	f, err := of.Commit.at.open()
	if err != nil {
		return nil, err
	}
	named := make(map[string]bool, len(files)) // false: looked for
	for _, f := range files {
		named[f.Path] = false
	}
	err = eachMention(f, func(m mention) error {
		if _, wanted := named[m.path]; wanted && m.is != isRemoved && m.is != isRemovedVector {
			named[m.path] = true
		}
		return nil
	})
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return named, err
}

// namedInLog returns which of the files some commit of the table names, as
// needed or as removed. Where commits are missing in the log, for which a checkpoint makes
// up that may name any file, all count as named.
func (d *Dir) namedInLog(ctx context.Context, files []Staged) (map[string]bool, error) {
	ctx = d.anew(ctx)
	named := make(map[string]bool, len(files)) // false: looked for
	for _, f := range files {
		named[f.Path] = false
	}
	note := func(path string) {
		if _, wanted := named[path]; wanted {
			named[path] = true
		}
	}
	versions, err := d.versions()
	if err != nil {
		return nil, err
	}
	if n := len(versions); n > 0 && versions[n-1] != Version(n-1) {
		for path := range named {
			note(path)
		}
		return named, nil
	}
	for _, v := range versions {
		f, err := d.OpenCommit(ctx, v)
		if err != nil {
			return nil, err
		}
		err = eachMention(f, func(m mention) error {
			if m.is != isRemovedVector {
				note(m.path)
			}
			return nil
		})
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, fmt.Errorf("version %d: %w", int64(v), err)
		}
	}
	return named, nil
}

// spelledSo reports whether the file at p has exactly that name. Where a file
// system folds case or Unicode forms, p may lead to another file of the table.
func (a *application) spelledSo(p string) (bool, error) {
	for ; p != "."; p = path.Dir(p) {
		names, err := readNames(a.root, path.Dir(p))
		if err != nil {
			return false, err
		}
		if !slices.Contains(names, path.Base(p)) {
			return false, nil
		}
	}
	return true, nil
}
