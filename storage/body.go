package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// unknownSize says that nobody knows how many bytes are to come.
const unknownSize = -1

// bytesIn returns how many bytes the range of n (negative: all) from off has in
// an object of size bytes, or unknownSize if size is negative.
func bytesIn(size, off, n int64) int64 {
	if size < 0 {
		return unknownSize
	}
	rest := max(0, size-off)
	if n < 0 {
		return rest
	}
	return min(n, rest)
}

// body is what Open returns: a stream that gives as many bytes as were promised
// or an error, so that neither a line cut cleanly nor a service that ignores the
// range passes for the object.
type body struct {
	ctx      context.Context // of Open: a reader ends with it
	what     string          // begins every error
	src      io.ReadCloser
	left     int64             // bytes still to come, or unknownSize
	classify func(error) error // nil: errors of src stay as they are
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, fmt.Errorf("%s: %w", b.what, err)
	}
	n, err := b.src.Read(p)
	if b.left != unknownSize {
		if int64(n) > b.left {
			return 0, fmt.Errorf("%s: %w: the service sent more bytes than the range has", b.what, ErrUnavailable)
		}
		b.left -= int64(n)
		if err == io.EOF && b.left > 0 {
			return n, fmt.Errorf("%s: %w: %d bytes before the end: %w", b.what, ErrUnavailable, b.left, io.ErrUnexpectedEOF)
		}
	}
	if err != nil && err != io.EOF && b.classify != nil {
		err = b.classify(err)
	}
	return n, err
}

func (b *body) Close() error { return b.src.Close() }

// eof is an empty stream.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// errTooLong: a small object is none.
var errTooLong = errors.New("object is larger than MaxSmall")

// readSmall reads r to its end but never more than MaxSmall bytes.
func readSmall(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSmall+1))
	if err == nil && len(b) > MaxSmall {
		err = errTooLong
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
