package lake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// spool is where files lie until they are published: in a local folder of its
// own, made when the first comes and removed by Discard.
type spool struct {
	dir string // where to make the folder; "": the system's

	mu     sync.Mutex // guards what follows
	folder string     // "": not made
	last   int        // number of files so far; they are named by number
	files  map[spoolKey]string
}

// spoolKey is what tells staged files apart. A path may be staged several times
// with other bytes.
type spoolKey struct {
	path   string
	sha256 [sha256.Size]byte
}

func keyOf(f deltalog.Staged) spoolKey { return spoolKey{f.Path, f.SHA256} }

// newName returns the name of a new file.
func (s *spool) newName() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folder == "" {
		folder, err := os.MkdirTemp(s.dir, "sluice-lake-")
		if err != nil {
			return "", err
		}
		s.folder, s.files = folder, map[spoolKey]string{}
	}
	s.last++
	return s.folder + string(os.PathSeparator) + strconv.Itoa(s.last), nil
}

// keep notes a complete file; of two equal ones it keeps the first.
func (s *spool) keep(f deltalog.Staged, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[keyOf(f)]; there {
		return os.Remove(name)
	}
	s.files[keyOf(f)] = name
	return nil
}

// open opens what was staged as f. The error wraps fs.ErrNotExist if nothing was,
// or it was published before.
func (s *spool) open(f deltalog.Staged) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, there := s.files[keyOf(f)]
	if !there {
		return nil, fmt.Errorf("%s was not staged: %w", f.Path, fs.ErrNotExist)
	}
	return os.Open(name)
}

// drop removes what was staged as f, if anything is left of it.
func (s *spool) drop(f deltalog.Staged) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, there := s.files[keyOf(f)]
	if !there {
		return nil
	}
	delete(s.files, keyOf(f))
	return os.Remove(name)
}

func (s *spool) discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.folder == "" {
		return nil
	}
	err := os.RemoveAll(s.folder)
	if err == nil {
		s.folder, s.files = "", nil
	}
	return err
}

// stage keeps what fill writes. It need not survive a crash, as it is of no use
// then.
func (s *spool) stage(path string, fill func(io.Writer) error) (deltalog.Staged, error) {
	name, err := s.newName()
	if err != nil {
		return deltalog.Staged{}, err
	}
	f := deltalog.Staged{Path: path}
	if f.Size, f.SHA256, err = write(name, fill); err == nil {
		err = s.keep(f, name)
	} else if rerr := os.Remove(name); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if err != nil {
		return deltalog.Staged{}, fmt.Errorf("stage %s: %w", path, err)
	}
	return f, nil
}

func write(name string, fill func(io.Writer) error) (size int64, sum [sha256.Size]byte, err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, sum, err
	}
	h := sha256.New()
	n := counter(0)
	err = fill(io.MultiWriter(file, h, &n))
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return int64(n), [sha256.Size]byte(h.Sum(nil)), err
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
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

// Stage keeps the bytes of one file aside, in a local temporary file, and says
// what they are. Paths are those of deltalog.Dir.Stage, and so is the rest. What
// is staged lasts no longer than the process: a replica that was interrupted
// fetches it again. A process that is killed leaves its folder, sluice-lake-*, in
// Options.TempDir.
func (t *Table) Stage(ctx context.Context, path string, r io.Reader) (deltalog.Staged, error) {
	if err := checkPath(path); err != nil {
		return deltalog.Staged{}, err
	}
	return t.spool.stage(path, func(w io.Writer) error {
		_, err := io.Copy(w, contextReader{ctx, r})
		return err
	})
}

// checkPath refuses what can be no file of a table, or no key.
func checkPath(path string) error {
	if !deltalog.IsLogFile(path) {
		if err := deltalog.CheckPath(path); err != nil {
			return err
		}
	}
	return asTable(storage.CheckKey(path))
}

// Discard removes whatever is staged through t. Nothing may be staged or applied
// at the same time.
func (t *Table) Discard(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return t.spool.discard()
}
