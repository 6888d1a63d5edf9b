package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// regularFile is a regular file of the table that is open. A small one may have been read.
type regularFile struct {
	io.ReadCloser
	size     int64 // bytes, when it was opened
	modified time.Time
}

// openReader opens a regular file of the table to be read from its beginning.
func (d *Dir) openReader(ctx context.Context, path string) (*regularFile, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	folder, release, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer release() // the file outlives it
	return openReader(folder, path)
}

// openReader opens nothing but regular files, and without looking first, which
// would cost as much again: opening a pipe does not block.
func openReader(folder *atomicfile.Held, path string) (*regularFile, error) {
	f, small, err := folder.OpenOrRead(path, openNonblocking)
	if err != nil {
		return nil, err
	}
	if small != nil {
		return &regularFile{small, small.Size, small.Modified}, nil
	}
	info, err := statRegular(f, path)
	if err != nil {
		return nil, err
	}
	return &regularFile{f, info.Size(), info.ModTime()}, nil
}

// openReaderAt opens a regular file of the table to be read anywhere, and tells its size.
func (d *Dir) openReaderAt(ctx context.Context, path string) (ReadAtCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	folder, release, err := d.reading(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer release() // the file outlives it
	return openReaderAt(folder, path)
}

func openReaderAt(folder *atomicfile.Held, path string) (ReadAtCloser, int64, error) {
	f, err := folder.Open(path, openNonblocking)
	if err != nil {
		return nil, 0, err
	}
	info, err := statRegular(f, path)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// statRegular says what f is, and closes it if it is no regular file.
func statRegular(f *os.File, path string) (fs.FileInfo, error) {
	info, err := f.Stat()
	if err == nil {
		err = mustBeRegular(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return info, nil
}

func mustBeRegular(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file: %s", ErrUnsupported, path, info.Mode())
	}
	return nil
}
