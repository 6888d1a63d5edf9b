package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

var (
	// errShort and errLong: the reader given to Create breaks its promise.
	errShort = errors.New("the source ends before its announced size")
	errLong  = errors.New("the source yields more than its announced size")
	// errReturned: somebody read on after Create had returned.
	errReturned = errors.New("the upload is over")
)

// source guards the reader that the caller gave to Create: it stops with ctx,
// insists on the announced size, remembers the first failure, and does not touch
// the reader once it is finished.
type source struct {
	ctx  context.Context
	r    io.Reader
	size int64             // exact, or negative if unknown
	stop func(cause error) // called once, at the first failure

	mu    sync.Mutex // guards all below, and is held while r is read
	n     int64
	err   error // the first failure
	ended bool  // r was read to its end and had the right size
	over  bool  // Create has returned
}

func newSource(ctx context.Context, r io.Reader, size int64) *source {
	return &source{ctx: ctx, r: r, size: size, stop: func(error) {}}
}

func bytesSource(b []byte) *source {
	return newSource(context.Background(), bytes.NewReader(b), int64(len(b)))
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return 0, errReturned
	case s.err != nil:
		return 0, s.err
	case s.ended:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := s.read(p)
	if err != nil && err != io.EOF {
		s.err = err
		s.stop(err)
	}
	return n, err
}

func (s *source) read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	// Not only before: many a reader ends, cleanly, because ctx did.
	if ended := s.ctx.Err(); ended != nil {
		return 0, ended
	}
	switch {
	case s.size >= 0 && s.n > s.size:
		return 0, fmt.Errorf("%w of %d bytes", errLong, s.size)
	case err == io.EOF && s.n < s.size:
		return 0, fmt.Errorf("%w: %d of %d bytes", errShort, s.n, s.size)
	case err == io.EOF:
		s.ended = true
	}
	return n, err
}

// finish waits for a Read in progress, forbids later ones, and tells whether r
// was read to its end, and its first failure.
func (s *source) finish() (ended bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return s.ended, s.err
}
