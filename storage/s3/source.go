package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	// minPart is the size of all parts but the last, in bytes. Services want at
	// least 5 MiB and some want all parts alike.
	minPart = 8 << 20
	// maxParts is the limit of S3 for one upload. A stream of which nothing is known
	// may thus reach 78 GiB; where its size is parts grow to fit.
	maxParts = 10_000
	// firstRead is what Create sets aside for a stream of unknown size before
	// it knows more; most objects are small.
	firstRead = 64 << 10
)

// errSize: the source has another number of bytes than was said.
var errSize = errors.New("source has another size")

// errSourceEnded says that the source is complete.
var errSourceEnded = errors.New("source ended")

// partSize returns the size of the parts of an object of size bytes
// (negative: unknown), at least least.
func partSize(size, least int64) int64 {
	return max(least, (size+maxParts-1)/maxParts)
}

// exactReader ends with an error unless r yields exactly want bytes (negative:
// any number), so that no caller can take a short or long source for the object.
type exactReader struct {
	r    io.Reader
	want int64
	n    int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.n += int64(n)
	switch {
	case e.want < 0:
	case e.n > e.want:
		return 0, fmt.Errorf("%w: more than %d bytes", errSize, e.want)
	case err == io.EOF && e.n < e.want:
		return n, fmt.Errorf("%w: %d instead of %d bytes", errSize, e.n, e.want)
	}
	return n, err
}

// fill reads until p is full, or the source ends (errSourceEnded) or fails.
// Unlike io.ReadFull it does not take a source's own io.ErrUnexpectedEOF, which
// a truncated stream gives, for the end.
func fill(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	for idle := 0; n < len(p); {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := r.Read(p[n:])
		n += m
		if err == io.EOF {
			return n, errSourceEnded
		}
		if err != nil {
			return n, err
		}
		if idle++; m > 0 {
			idle = 0
		}
		if idle > 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// readFirst reads the first part, or with errSourceEnded everything there is
// when that is less than a part. It sets aside no more than the source may need.
func readFirst(ctx context.Context, r io.Reader, size, part int64) ([]byte, error) {
	room := int64(firstRead)
	if size >= 0 {
		room = size + 1 // one more, to see the end or a byte too many
	}
	buf := make([]byte, 0, min(room, part))
	for {
		n, err := fill(ctx, r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil || int64(len(buf)) == part {
			return buf, err
		}
		buf = append(make([]byte, 0, min(2*int64(cap(buf)), part)), buf...)
	}
}
