package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"crypto/sha256"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// localCommit is a commit of the table as push needs it.
type localCommit struct {
	*deltalog.Commit
	file deltalog.CommitFile // closed; for its size and time
	raw  []byte              // nil if it is larger than keptCommit

	// sizes of Files in bytes, negative for one that is not there; nil if nobody looked yet.
	sizes []int64
}

// size returns the size of the i-th of Files; found is false if it is not there.
func (c *localCommit) size(ctx context.Context, s *session, i int) (size int64, found bool, err error) {
	if c.sizes == nil {
		return s.fileSize(ctx, c.Files[i].Path)
	}
	return c.sizes[i], c.sizes[i] >= 0, nil
}

// keptCommit is up to how many bytes a commit is kept from when it is planned to when
// it is packed. Opening a small file takes longer than reading it.
const keptCommit = 64 << 10

// scanLocal reads the commit of version v and refuses what cannot be
// replicated.
func (s *session) scanLocal(ctx context.Context, v deltalog.Version) (localCommit, error) {
	return s.scanLocalUpTo(ctx, v, s.mostListed())
}

// scanLocalUpTo does that and lists up to most of its files; 0: all.
func (s *session) scanLocalUpTo(ctx context.Context, v deltalog.Version, most int) (localCommit, error) {
	f, err := s.table.OpenCommit(ctx, v)
	if err != nil {
		return localCommit{}, err
	}
	return scanOpened(f, most)
}

// mostListed is how many files of a commit of the table are listed: all where there can be no
// base to do so.
func (s *session) mostListed() int {
	if _, can := s.table.(StateReader); !can {
		return 0
	}
	return s.maxListed
}

func scanOpened(f *deltalog.CommitFile, most int) (localCommit, error) {
	r, raw := io.Reader(f), &bytes.Buffer{}
	if f.Size <= keptCommit {
		raw.Grow(int(f.Size))
		r = io.TeeReader(f, raw)
	}
	c, err := deltalog.ScanCommitUpTo(r, most)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = checkProtocol(c)
	}
	if err == nil && c.Size != f.Size {
		err = fmt.Errorf("%w: commit is %d bytes long, %d were read", ErrCorrupt, f.Size, c.Size)
	}
	return localCommit{Commit: c, file: *f, raw: raw.Bytes()}, err
}

func checkProtocol(c *deltalog.Commit) error {
	if c.Protocol == nil {
		return nil
	}
	return c.Protocol.Check()
}

// hashLocal returns the sha256 of the commit of version v.
func hashLocal(ctx context.Context, table LogReader, v deltalog.Version) (bundle.Digest, error) {
	f, err := table.OpenCommit(ctx, v)
	if err != nil {
		return bundle.Digest{}, at(v, "", err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return bundle.Digest(h.Sum(nil)), at(v, "", err)
}

// fileSizes returns the sizes of files that a commit names, negative where one is not there.
func (s *session) fileSizes(ctx context.Context, files []deltalog.File) ([]int64, error) {
	sizes := make([]int64, len(files))
	for i, f := range files {
		size, found, err := s.fileSize(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		if sizes[i] = size; !found {
			sizes[i] = -1
		}
	}
	return sizes, nil
}

// fileSize returns the size of a table file; found is false if it is not there.
func (s *session) fileSize(ctx context.Context, path string) (size int64, found bool, err error) {
	if table, ok := s.table.(Sizer); ok {
		size, err = table.FileSize(ctx, path)
	} else {
		size, err = s.openedSize(ctx, path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	return size, err == nil, err
}

func (s *session) openedSize(ctx context.Context, path string) (int64, error) {
	f, size, err := s.table.OpenFile(ctx, path)
	if err != nil {
		return 0, err
	}
	return size, f.Close()
}
