package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// UnknownSize says that nobody knows how many bytes are to come.
const UnknownSize = -1

// BytesIn returns how many bytes the range of n (negative: all) from off has in
// an object of size bytes, or UnknownSize if size is negative.
func BytesIn(size, off, n int64) int64 {
	if size < 0 {
		return UnknownSize
	}
	rest := max(0, size-off)
	if n < 0 {
		return rest
	}
	return min(n, rest)
}

var (
	// ErrMore: a store gave more bytes than the range has.
	ErrMore = errors.New("more bytes than the range has")
	// ErrLess: a stream ended before the range did. It wraps io.ErrUnexpectedEOF.
	ErrLess = fmt.Errorf("the stream is cut: %w", io.ErrUnexpectedEOF)
)

// Body is what Open returns: a stream that gives as many bytes as were promised
// or an error, so that neither a line cut cleanly nor a service that ignores the
// range passes for the object.
type Body struct {
	Ctx  context.Context // of Open: a reader ends with it
	Src  io.ReadCloser
	Left int64 // bytes still to come, or UnknownSize
	// Fail names object and class of an error: one of Src, of Ctx, or one that
	// wraps ErrMore or ErrLess.
	Fail func(error) error
}

// Read is io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if err := b.Ctx.Err(); err != nil {
		return 0, b.Fail(err)
	}
	n, err := b.Src.Read(p)
	if b.Left != UnknownSize {
		if int64(n) > b.Left {
			return 0, b.Fail(ErrMore)
		}
		b.Left -= int64(n)
		if err == io.EOF && b.Left > 0 {
			err = fmt.Errorf("%w, %d bytes before the end", ErrLess, b.Left)
		}
	}
	if err != nil && err != io.EOF {
		err = b.Fail(err)
		if b.Left != UnknownSize {
			err = &Broken{err, b.Left}
		}
	}
	return n, err
}

// Broken is the error of a stream that broke, which knows how much was still to come:
// what is opened in its place has to give that, whatever became of the object.
type Broken struct {
	Err  error
	Left int64 // bytes
}

// Error is that of Err.
func (b *Broken) Error() string { return b.Err.Error() }

// Unwrap returns Err.
func (b *Broken) Unwrap() error { return b.Err }

// Close closes Src.
func (b *Body) Close() error { return b.Src.Close() }

// ErrTooLong: a small object is none.
var ErrTooLong = errors.New("object is larger than MaxSmall")

// ReadSmall reads r to its end; if that is more than limit bytes, it returns an
// error wrapping ErrTooLong and nothing.
func ReadSmall(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = ErrTooLong
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
