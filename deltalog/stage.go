package deltalog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// What this package keeps beside the log.
const (
	stageName  = "stage"
	markerName = "init.json"
	stageDir   = privateDir + "/" + stageName
	markerPath = privateDir + "/" + markerName
)

// stage is a folder of our own below .sluice/stage, where files lie until they
// are published. It is locked as long as it is open, so that others can tell it
// from one that a dead process left.
type stage struct {
	*atomicfile.Folder
	top  *atomicfile.Root // of the table
	lock io.Closer
	path string
	last atomic.Int64 // number of files so far; they are named by number
}

// newStage makes a stage in the table's folder, which is made if need be.
func (d *Dir) newStage(ctx context.Context) (_ *stage, err error) {
	top, err := d.make()
	if err != nil {
		return nil, err
	}
	s := &stage{top: top, path: stageDir + "/" + rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	// Under the table's lock nobody takes the new folder for a dead one, or
	// removes the one above it.
	unlock, err := lock(ctx, top)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock.Close()) }()
	if err := top.MkdirAll(s.path, 0o755); err != nil {
		return nil, err
	}
	if s.Folder, err = atomicfile.OpenFolder(top, s.path); err != nil {
		return nil, err
	}
	if s.lock, err = lockFolder(top, s.path); err != nil {
		return nil, err
	}
	return s, nil
}

// lockFolder locks a folder of the table, or returns errLocked.
func lockFolder(top *atomicfile.Root, dir string) (io.Closer, error) {
	root, err := top.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() // the lock outlives it
	return tryLock(root)
}

// close gives up what was staged, for others to remove.
func (s *stage) close() error {
	var err error
	if s.lock != nil {
		err = s.lock.Close()
	}
	if s.Folder != nil {
		err = errors.Join(err, s.Folder.Close())
	}
	return errors.Join(err, s.top.Close())
}

// remove closes the stage and removes it and what was left in it.
func (s *stage) remove() error {
	return errors.Join(s.top.RemoveAll(s.path), s.close())
}

// stagedFile is where a staged file lies and what it is.
type stagedFile struct {
	*stage
	name string
	is   Staged // without at
}

func (f *stagedFile) open() (*os.File, error) { return f.top.Open(f.path + "/" + f.name) }

// buffers are for copying.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// write stages all of r.
func (s *stage) write(ctx context.Context, path string, r io.Reader) (Staged, error) {
	name := strconv.FormatInt(s.last.Add(1), 10)
	f, err := s.Create(name)
	if err != nil {
		return Staged{}, err
	}
	sum, ok := r.(Summer)
	if !ok {
		h := &hashing{r, sha256.New()}
		r, sum = h, h
	}
	size, err := copyAll(f, contextReader{ctx, r})
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return Staged{}, errors.Join(err, s.Remove(name))
	}
	staged := Staged{Path: path, Size: size, SHA256: sum.SHA256()}
	staged.at = &stagedFile{s, name, staged}
	return staged, nil
}

// Summer is the ability of a reader that Stage is given to tell the sha256 of all
// that was read from it so far, so that it is not computed twice.
type Summer interface {
	SHA256() [sha256.Size]byte
}

// hashing is a Summer.
type hashing struct {
	io.Reader
	hash hash.Hash
}

func (h *hashing) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	h.hash.Write(p[:n]) // never fails
	return n, err
}

func (h *hashing) SHA256() (sum [sha256.Size]byte) {
	h.hash.Sum(sum[:0])
	return sum
}

// copyAll copies r to w.
func copyAll(w io.Writer, r io.Reader) (size int64, err error) {
	buffer := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, rerr := r.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return size, err
			}
		}
		size += int64(n)
		if rerr == io.EOF {
			return size, nil
		}
		if rerr != nil {
			return size, rerr
		}
	}
}

// Stage keeps the bytes of one file aside, invisible to readers of the table,
// and says what they are. path is decoded; a version's commit and the files of
// checkpoints have their names in the log, and for every other the errors are
// those of DecodePath. The bytes are not durable yet: Apply and Place make them
// so before they give them their name. Any number of files may be staged at
// once, also several for one path. If r fails, its error is returned and nothing
// is staged. A Summer is believed.
func (d *Dir) Stage(ctx context.Context, path string, r io.Reader) (Staged, error) {
	if !IsLogFile(path) {
		if err := checkPath(path); err != nil {
			return Staged{}, err
		}
	}
	s, err := d.openStage(ctx)
	if err != nil {
		return Staged{}, err
	}
	staged, err := s.write(ctx, path, r)
	if err != nil {
		return Staged{}, fmt.Errorf("stage %s: %w", path, err)
	}
	return staged, nil
}

// openStage returns the stage of d, which stays until Discard.
func (d *Dir) openStage(ctx context.Context) (*stage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stage != nil {
		return d.stage, nil
	}
	s, err := d.newStage(ctx)
	if err == nil {
		d.stage = s
	}
	return s, err
}

// Discard removes whatever was staged through d, and what processes that are
// gone left. These may have published files and not yet made them durable, and so may
// an Apply or Place of d that failed: all that is in the table is made durable first, so
// that whoever finds it there may count on it.
//
// Nothing may be staged or applied through d at the same time. What
// others have staged who are alive, in this process or another, stays; only
// where the system has no locks (Windows, some network file systems) one process
// alone may work on a replica.
func (d *Dir) Discard(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return d.dropStage()
	}
	if err != nil {
		return errors.Join(err, d.dropStage())
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if d.broken.Load() {
		if err := syncTable(ctx, root); err != nil {
			return errors.Join(err, d.dropStage())
		}
		d.broken.Store(false)
	}
	if err := d.dropStage(); err != nil {
		return err
	}
	if _, err := root.Lstat(privateDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := lock(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock.Close()) }()
	if err := removeDead(ctx, root); err != nil {
		return err
	}
	return tidy(root)
}

func (d *Dir) dropStage() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checksums = nil
	s := d.stage
	if s == nil {
		return nil
	}
	d.stage = nil
	return s.remove()
}

// removeDead removes the stages that nobody holds. They are the only trace of a
// process that was stopped at its work, so what it did is made durable before.
func removeDead(ctx context.Context, root *atomicfile.Root) error {
	names, err := readNames(root, stageDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	synced := false
	for _, name := range names {
		if err := removeIfDead(ctx, root, stageDir+"/"+name, &synced); err != nil {
			return err
		}
	}
	return nil
}

func removeIfDead(ctx context.Context, root *atomicfile.Root, dir string, synced *bool) error {
	held, err := lockFolder(root, dir)
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil { // no folder, so nobody's stage
		return root.RemoveAll(dir)
	}
	if !*synced {
		err = syncTable(ctx, root)
		*synced = err == nil
	}
	if err == nil {
		err = root.RemoveAll(dir)
	}
	return errors.Join(err, held.Close())
}

// putAside writes one small file through a stage of its own and makes it
// durable, then lets put give it its name.
func (d *Dir) putAside(ctx context.Context, r io.Reader, put func(s *stage, f *stagedFile) error) (err error) {
	s, err := d.newStage(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.retire(ctx)) }()
	f, err := s.write(ctx, "", r)
	if err != nil {
		return err
	}
	if err := s.SyncFile(f.at.name); err != nil {
		return err
	}
	return put(s, f.at)
}

// retire removes the stage and the folders above it that it leaves empty.
func (s *stage) retire(ctx context.Context) error {
	unlock, err := lock(context.WithoutCancel(ctx), s.top)
	if err != nil {
		return errors.Join(err, s.remove())
	}
	return errors.Join(s.top.RemoveAll(s.path), tidy(s.top), unlock.Close(), s.close())
}

// tidy removes our folders if nothing is in them.
func tidy(root *atomicfile.Root) error {
	for _, dir := range []string{stageDir, privateDir} {
		err := root.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) { // the latter: it is not empty
			return err
		}
	}
	return nil
}
