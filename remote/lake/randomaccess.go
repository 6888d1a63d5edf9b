package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pondworks/sluice/internal/tempfile"
)

// An object is read in blocks until so many were asked for, and is then copied
// to a temporary file as a whole: the footer of a checkpoint often answers all,
// and who wants more of it mostly wants most of it.
const (
	blockSize = 1 << 20 // bytes
	maxBlocks = 4
)

// randomAccess reads an object anywhere.
type randomAccess struct {
	ctx   context.Context // io.ReaderAt takes none; it lives for one call
	table *Table
	key   string
	size  int64

	mu     sync.Mutex       // guards what follows, while requests are made too
	blocks map[int64][]byte // by number
	whole  *tempfile.File   // nil: not copied
	failed error            // of copying; no read is good after it
}

// ReadAt is io.ReaderAt.
func (r *randomAccess) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: negative offset %d", r.key, off)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) && off < r.size && err == nil {
		var m int
		m, err = r.some(p[n:], off)
		n += m
		off += int64(m)
	}
	if n < len(p) && err == nil {
		err = io.EOF
	}
	return n, err
}

// some reads at least one byte, unless there is an error.
func (r *randomAccess) some(p []byte, off int64) (int, error) {
	number := off / blockSize
	block, have := r.blocks[number]
	if !have && r.whole == nil && len(r.blocks) == maxBlocks {
		r.failed = r.copyWhole()
	}
	if r.failed != nil {
		return 0, r.failed
	}
	if r.whole != nil {
		return r.whole.ReadAt(p[:min(int64(len(p)), r.size-off)], off)
	}
	if !have {
		var err error
		if block, err = r.fetch(number); err != nil {
			return 0, err
		}
		r.blocks[number] = block
	}
	return copy(p, block[off-number*blockSize:]), nil
}

func (r *randomAccess) fetch(number int64) ([]byte, error) {
	off := number * blockSize
	block := make([]byte, min(blockSize, r.size-off))
	body, err := r.table.open(r.ctx, r.key, off, int64(len(block)))
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(body, block)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	return block, r.short(err)
}

// short explains an object that is not as long as its listing said.
func (r *randomAccess) short(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s was replaced while it was read: it had %d bytes", r.key, r.size)
	}
	return err
}

func (r *randomAccess) copyWhole() error {
	file, err := tempfile.Create(r.table.opts.TempDir, "sluice-lake-")
	if err != nil {
		return err
	}
	r.whole = file // from here on Close removes it
	body, err := r.table.open(r.ctx, r.key, 0, -1)
	if err != nil {
		return err
	}
	n, err := io.Copy(file, body)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	if err == nil && n != r.size {
		err = r.short(io.ErrUnexpectedEOF)
	}
	r.blocks = nil
	return err
}

// Close is io.Closer.
func (r *randomAccess) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.whole == nil {
		return nil
	}
	return r.whole.Close()
}
