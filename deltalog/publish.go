package deltalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// publishFiles gives every staged file its place, by links, which never
// replace anything. A file with other bytes that is in the way is looked at
// only when all the others are in place, since it takes reading the log.
func (a *application) publishFiles(ctx context.Context) error {
	var inTheWay []Staged
	for _, f := range a.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		placed, err := a.publish(f)
		if err != nil {
			return fmt.Errorf("publish %s: %w", f.Path, err)
		}
		if !placed {
			inTheWay = append(inTheWay, f)
		}
	}
	if len(inTheWay) == 0 {
		return nil
	}
	return a.replaceOrphans(ctx, inTheWay)
}

// publish links one staged file to its place. placed is false if other bytes
// are there.
func (a *application) publish(f Staged) (placed bool, err error) {
	a.touch(f.Path)
	staged := stagePath(a.Version, f.Path, f.SHA256)
	err = checkStaged(a.root, staged, f)
	if errors.Is(err, fs.ErrNotExist) {
		return a.publishedBefore(f, err)
	}
	if err != nil {
		return false, err
	}
	if err := a.removeChecksum(f.Path); err != nil {
		return false, err
	}
	err = a.root.Link(staged, f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = a.makeDir(path.Dir(f.Path)); err == nil {
			err = a.root.Link(staged, f.Path)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		placed, err = a.isSame(f)
		if err != nil || !placed {
			return false, err
		}
	}
	if err != nil {
		return false, atomicfile.LinkError(err)
	}
	return true, a.root.Remove(staged)
}

// publishedBefore settles a file that is not staged: an attempt that was
// broken off may have published it.
func (a *application) publishedBefore(f Staged, notStaged error) (bool, error) {
	same, err := a.isSame(f)
	if err == nil && !same || errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("not staged: %w", notStaged)
	}
	return same, err
}

// isSame reports whether the file at f.Path has the bytes that f wants, and
// makes them durable: somebody else may have put them there.
func (a *application) isSame(f Staged) (bool, error) {
	got, err := hashFile(a.root, f.Path)
	if err != nil || got != f.SHA256 {
		return false, err
	}
	return true, syncFile(a.root, f.Path)
}

// checkStaged makes sure that what was staged is as long as it should be. Its
// digest is in its name.
func checkStaged(root *os.Root, staged string, f Staged) error {
	info, err := root.Lstat(staged)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != f.Size {
		return fmt.Errorf("%w: %d bytes are staged for %s, want %d", ErrCorrupt, info.Size(), f.Path, f.Size)
	}
	return nil
}

// checksumMagic begins the files in which Hadoop keeps checksums.
const checksumMagic = "crc\x00"

// removeChecksum removes Hadoop's checksums of a file that is no more, unless
// their name belongs to a file of this version.
func (a *application) removeChecksum(file string) error {
	if slices.ContainsFunc(a.Files, func(f Staged) bool { return f.Path == checksumPath(file) }) {
		return nil
	}
	return removeChecksum(a.root, file)
}

// checksumPath is where Hadoop keeps the checksums of a file.
func checksumPath(file string) string {
	return path.Join(path.Dir(file), "."+path.Base(file)+".crc")
}

// removeChecksum removes Hadoop's checksums of a file that is no more, which
// would make Hadoop refuse the new file of that name. They stay where there is
// such a file.
func removeChecksum(root *os.Root, file string) error {
	name := checksumPath(file)
	if len(path.Base(name)) > maxElement {
		return nil
	}
	if info, err := root.Lstat(name); errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := root.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	magic := make([]byte, len(checksumMagic))
	n, err := io.ReadFull(f, magic)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case err != nil && n < len(magic) && (err == io.EOF || err == io.ErrUnexpectedEOF):
		return nil
	case err != nil:
		return err
	case !bytes.Equal(magic, []byte(checksumMagic)):
		return nil
	}
	return root.Remove(name)
}

// hashFile returns the sha256 of a regular file; anything else of that name
// wraps ErrConflict.
func hashFile(root *os.Root, name string) (sum [sha256.Size]byte, err error) {
	info, err := root.Lstat(name)
	if err != nil {
		return sum, err
	}
	if !info.Mode().IsRegular() {
		return sum, fmt.Errorf("%w: %s is no regular file", ErrConflict, name)
	}
	f, err := root.Open(name)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}
