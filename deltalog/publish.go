package deltalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// publishFiles gives every staged file of a change its place, which never
// replaces anything. A file with other bytes that is in the way is looked at
// only when all the others are in place, since it takes reading the log, in
// which all versions below must be: unless isNext says so, done is false and
// nothing is replaced.
func (a *application) publishFiles(ctx context.Context, c *Change, isNext bool) (done bool, err error) {
	if len(c.Checkpoint) > 0 && !isNext {
		return false, nil
	}
	var inTheWay []Staged
	for _, f := range slices.Concat(c.Files, sidecars(c.Checkpoint)) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		placed, err := a.publish(c, f)
		if err != nil {
			return false, fmt.Errorf("publish %s: %w", f.Path, err)
		}
		if !placed {
			inTheWay = append(inTheWay, f)
		}
	}
	if len(inTheWay) == 0 {
		return true, nil
	}
	if !isNext {
		return false, nil
	}
	return true, a.replaceOrphans(ctx, c, inTheWay)
}

// publish moves one staged file to its place. placed is false if other bytes
// are there.
func (a *application) publish(c *Change, f Staged) (placed bool, err error) {
	if f.at == nil {
		return a.publishedBefore(f)
	}
	folder, err := a.folder(path.Dir(f.Path))
	if err != nil {
		return false, err
	}
	if err := a.removeChecksum(c, f.Path); err != nil {
		return false, err
	}
	err = f.at.MoveNew(f.at.name, folder, path.Base(f.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist): // moved by an attempt that was broken off
		return a.publishedBefore(f)
	case errors.Is(err, fs.ErrExist):
		if placed, err = a.isSame(f); err == nil && placed {
			err = removeStaged([]Staged{f})
		}
		return placed && err == nil, err
	}
	return err == nil, err
}

// publishedBefore settles a file that is not staged: an attempt that was
// broken off may have published it.
func (a *application) publishedBefore(f Staged) (bool, error) {
	a.touch(path.Dir(f.Path))
	same, err := a.isSame(f)
	if err == nil && !same || errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("neither staged nor there: %w", fs.ErrNotExist)
	}
	return same, err
}

// isSame reports whether the file at f.Path has the bytes that f wants, and
// makes them durable: somebody else may have put them there.
func (a *application) isSame(f Staged) (bool, error) {
	got, err := hashFile(a.root, f.Path)
	if err != nil || got != f.SHA256 || a.relaxed {
		return err == nil && got == f.SHA256, err
	}
	return true, a.root.SyncFile(f.Path)
}

// checksumMagic begins the files in which Hadoop keeps checksums.
const checksumMagic = "crc\x00"

// removeChecksum removes Hadoop's checksums of a file that is no more, unless
// their name belongs to a file of this version.
func (a *application) removeChecksum(c *Change, file string) error {
	if a.bulk {
		if may, err := a.mayHaveChecksums(path.Dir(file)); err != nil || !may {
			return err
		}
	} else if _, err := a.root.Lstat(checksumPath(file)); errors.Is(err, fs.ErrNotExist) {
		return nil // by far the most frequent
	}
	if slices.ContainsFunc(c.Files, func(f Staged) bool { return f.Path == checksumPath(file) }) {
		return nil
	}
	return removeChecksum(a.root, file)
}

// mayHaveChecksums reports whether there was any checksum of Hadoop's in the folder
// when it was first asked for since the last Discard, because most replicas have none at
// all. New ones are no concern of ours: whoever writes them beside a file writes that
// file as well.
func (a *application) mayHaveChecksums(dir string) (bool, error) {
	a.dir.mu.Lock()
	defer a.dir.mu.Unlock()
	if may, known := a.dir.checksums[dir]; known {
		return may, nil
	}
	names, err := readNames(a.root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	may := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".crc") })
	if a.dir.checksums == nil {
		a.dir.checksums = map[string]bool{}
	}
	a.dir.checksums[dir] = may
	return may, nil
}

// checksumPath is where Hadoop keeps the checksums of a file.
func checksumPath(file string) string {
	return path.Join(path.Dir(file), "."+path.Base(file)+".crc")
}

// removeChecksum removes Hadoop's checksums of a file that is no more, which
// would make Hadoop refuse the new file of that name. They stay where there is
// such a file.
func removeChecksum(root *atomicfile.Root, file string) error {
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
func hashFile(root *atomicfile.Root, name string) (sum [sha256.Size]byte, err error) {
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
