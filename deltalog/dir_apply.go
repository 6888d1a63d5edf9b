package deltalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// What this package keeps beside the log.
const (
	stageName  = "stage"
	markerName = "init.json"
	stageDir   = privateDir + "/" + stageName
	markerPath = privateDir + "/" + markerName
)

// stageFolder holds the staged files of one version.
func stageFolder(v Version) string { return stageDir + "/" + v.String() }

// stagePath is where one of them lies, under a name that any system takes.
func stagePath(v Version, path string) string {
	sum := sha256.Sum256([]byte(path))
	return stageFolder(v) + "/" + hex.EncodeToString(sum[:])
}

// contextReader ends a copy when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Stage keeps the bytes of one file of version v aside, durable but invisible
// to readers of the table. path is decoded; the commit's is v.CommitPath().
// Staging a path again replaces it. If r fails nothing is staged.
func (d *Dir) Stage(ctx context.Context, v Version, path string, r io.Reader) error {
	if path != v.CommitPath() {
		if err := checkPath(path); err != nil {
			return err
		}
	}
	root, err := d.make()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := atomicfile.MkdirAll(root, stageFolder(v)); err != nil {
		return err
	}
	temp, _, err := atomicfile.WriteTemp(root, stageFolder(v), contextReader{ctx, r})
	if err != nil {
		return fmt.Errorf("stage %s: %w", path, err)
	}
	return atomicfile.Replace(root, temp, stagePath(v, path))
}

// Discard removes whatever is staged. Nothing may be staged at the same time.
func (d *Dir) Discard(ctx context.Context) error {
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	defer root.Close()
	err = errors.Join(root.RemoveAll(stageDir), removeTemps(root, privateDir))
	removeEmpty(root, privateDir)
	return err
}

// removeTemps removes what a process that was killed left half-written in dir.
func removeTemps(root *os.Root, dir string) error {
	names, err := readNames(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if atomicfile.IsTemp(name) {
			err = errors.Join(err, root.Remove(dir+"/"+name))
		}
	}
	return err
}

// removeEmpty removes a folder if nothing is in it; else it stays.
func removeEmpty(root *os.Root, dir string) { _ = root.Remove(dir) }

// SetMarker durably keeps a small note beside the table; nil removes it.
func (d *Dir) SetMarker(ctx context.Context, note []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := d.make()
	if err != nil {
		return err
	}
	defer root.Close()
	if note != nil {
		if err := atomicfile.MkdirAll(root, privateDir); err != nil {
			return err
		}
		return atomicfile.WriteFile(root, markerPath, note)
	}
	err = root.Remove(markerPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = atomicfile.SyncDir(root, privateDir)
	removeEmpty(root, privateDir)
	return err
}

// Apply publishes the staged files of c.Version and then, when all are
// durable, its commit file by exclusive create, with c.Modified as its time.
// Wraps ErrConflict if the version or one of the files is there already with
// other content; the same content is success. After any failure the version is
// not visible; files that were published before it are harmless and are
// taken over by the next attempt.
func (d *Dir) Apply(ctx context.Context, c Change) error {
	root, err := d.make()
	if err != nil {
		return err
	}
	defer root.Close()
	if c.Version > 0 && !hasCommit(root, c.Version-1) {
		return fmt.Errorf("apply version %d: version %d is not there", int64(c.Version), int64(c.Version)-1)
	}
	folders := map[string]bool{}
	for _, f := range c.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.publish(ctx, root, c.Version, f); err != nil {
			return fmt.Errorf("publish %s: %w", f.Path, err)
		}
		folders[path.Dir(f.Path)] = true
	}
	for folder := range folders {
		if err := atomicfile.SyncDir(root, folder); err != nil {
			return err
		}
	}
	if err := d.commit(root, c); err != nil {
		return fmt.Errorf("commit version %d: %w", int64(c.Version), err)
	}
	// The version is applied. A stage that cannot be removed is not worth an
	// error that says otherwise; the next Discard tries again.
	_ = root.RemoveAll(stageFolder(c.Version))
	return nil
}

// publish gives a staged file its place. The name is durable when its folder
// is synced.
func (d *Dir) publish(ctx context.Context, root *os.Root, v Version, f Staged) error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(root, path.Dir(f.Path)); err != nil {
		return err
	}
	staged := stagePath(v, f.Path)
	if err := checkSize(root, staged, f); err != nil {
		return err
	}
	// A checksum of other bytes under this name would make Hadoop refuse ours.
	stale := path.Join(path.Dir(f.Path), "."+path.Base(f.Path)+".crc")
	if err := root.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := root.Link(staged, f.Path)
	if !errors.Is(err, fs.ErrExist) {
		return atomicfile.LinkError(err)
	}
	return d.replaceOrphan(ctx, root, v, f)
}

// checkSize makes sure that what was staged is what is applied. Its digest was
// checked on the way in.
func checkSize(root *os.Root, staged string, f Staged) error {
	info, err := root.Lstat(staged)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != f.Size {
		return fmt.Errorf("%w: staged %d bytes, want %d", ErrCorrupt, info.Size(), f.Size)
	}
	return nil
}

// replaceOrphan deals with a file that is in the way: the same bytes are
// success; other bytes are replaced if no version of this table names them,
// for then they are only the rest of something that never became a version.
func (d *Dir) replaceOrphan(ctx context.Context, root *os.Root, v Version, f Staged) error {
	there, err := hashFile(root, f.Path)
	if err != nil {
		return err
	}
	if there == f.SHA256 {
		return nil
	}
	by, named, err := d.namedBelow(ctx, f.Path, v)
	if err != nil {
		return err
	}
	if named {
		return fmt.Errorf("%w: version %d names it with sha256 %x, version %d with %x", ErrConflict, int64(by), there, int64(v), f.SHA256)
	}
	return root.Rename(stagePath(v, f.Path), f.Path)
}

// namedBelow looks for a version below v that needs the file.
func (d *Dir) namedBelow(ctx context.Context, path string, v Version) (by Version, named bool, err error) {
	for by = range v {
		f, err := d.OpenCommit(ctx, by)
		if err != nil {
			return 0, false, err
		}
		c, err := ScanCommit(f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return 0, false, err
		}
		for _, file := range c.Files {
			if file.Path == path {
				return by, true, nil
			}
		}
	}
	return 0, false, nil
}

// commit links the staged commit file to its place. Its time is set before
// that: Delta reads the time of the version from it.
func (d *Dir) commit(root *os.Root, c Change) error {
	staged := stagePath(c.Version, c.Commit.Path)
	if err := checkSize(root, staged, c.Commit); err != nil {
		return err
	}
	if err := setTime(root, staged, c.Modified); err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(root, LogDir); err != nil {
		return err
	}
	err := root.Link(staged, c.Commit.Path)
	if errors.Is(err, fs.ErrExist) {
		return sameCommit(root, c)
	}
	if err != nil {
		return atomicfile.LinkError(err)
	}
	return atomicfile.SyncDir(root, LogDir)
}

// setTime durably sets the modification time of a file.
func setTime(root *os.Root, name string, t time.Time) error {
	if err := root.Chtimes(name, t, t); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_RDWR, 0) // Windows syncs no file that is open for reading
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// sameCommit settles a version that is there already by its content.
func sameCommit(root *os.Root, c Change) error {
	there, err := hashFile(root, c.Commit.Path)
	if err != nil {
		return err
	}
	if there != c.Commit.SHA256 {
		return fmt.Errorf("%w: its commit has sha256 %x here, %x is to be applied", ErrConflict, there, c.Commit.SHA256)
	}
	return nil
}

func hashFile(root *os.Root, name string) (sum [sha256.Size]byte, err error) {
	info, err := root.Lstat(name)
	if err != nil {
		return sum, err
	}
	if !info.Mode().IsRegular() {
		return sum, fmt.Errorf("%w: %s is there and is no regular file", ErrConflict, strings.TrimPrefix(name, "./"))
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
