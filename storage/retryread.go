package storage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pondworks/sluice/storage/internal/stream"
)

type retryReader struct {
	reader Reader
	opts   RetryOptions
}

func (s retryReader) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r := &resumer{ctx: ctx, key: key, off: off, n: n, reader: s.reader, budget: budget{opts: s.opts}}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// resumer is a stream that opens the object again where a stream broke.
type resumer struct {
	ctx    context.Context // of Open: a reader ends with it
	key    string
	off, n int64 // what is still wanted; n < 0: to the end
	sure   bool  // n bytes were promised, not only asked for
	reader Reader
	budget budget
	stream io.ReadCloser // nil after it broke
	err    error         // final, io.EOF included
}

func (r *resumer) open() error {
	for {
		opened, err := r.reader.Open(r.ctx, r.key, r.off, r.n)
		if err == nil {
			r.stream = opened
			return nil
		}
		if err = r.budget.again(r.ctx, err); err != nil {
			return err
		}
	}
}

func (r *resumer) Read(p []byte) (int, error) {
	for r.err == nil {
		n, err := r.readOnce(p)
		if n > 0 {
			r.budget.progress()
			r.off += int64(n)
			if r.n > 0 {
				r.n -= int64(n)
			}
		}
		if err != nil {
			r.err = r.settle(err)
		}
		if n > 0 || err == nil {
			return n, nil
		}
	}
	return 0, r.err
}

func (r *resumer) readOnce(p []byte) (int, error) {
	if r.stream == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	return r.stream.Read(p)
}

// settle decides what follows an error: nil if the object is to be opened
// again, else the final error.
func (r *resumer) settle(err error) error {
	if err == io.EOF && r.sure && r.n > 0 {
		return fmt.Errorf("read %s: the object became shorter while it was read: %w, %d bytes before the end", r.key, stream.ErrLess, r.n)
	}
	if err == io.EOF || r.stream == nil {
		return err // open has used up its attempts itself
	}
	if ended := r.budget.again(r.ctx, err); ended != nil {
		return ended
	}
	if broken := (*stream.Broken)(nil); errors.As(err, &broken) {
		r.n, r.sure = broken.Left, true
	}
	// What broke has nothing left to say by its Close.
	_ = r.stream.Close()
	r.stream = nil
	return nil
}

// Close closes the current stream, if one is open.
func (r *resumer) Close() error {
	if r.stream == nil {
		return nil
	}
	return r.stream.Close()
}
