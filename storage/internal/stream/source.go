// Package stream guards the bytes on their way into and out of a store: what
// goes in is exactly what the caller announced, what comes out is as much as the
// store promised. All stores of this module that read and write by themselves
// share it.
package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

var (
	// ErrShort and ErrLong: the reader given to Create breaks its promise.
	ErrShort = errors.New("the source ends before its announced size")
	ErrLong  = errors.New("the source yields more than its announced size")
	// ErrReturned: somebody read on after Create had returned.
	ErrReturned = errors.New("the upload is over")
)

// Source guards the reader that the caller gave to Create: it stops with the
// context, insists on the announced size, remembers the first failure, and does
// not touch the reader once it is finished.
type Source struct {
	ctx  context.Context
	r    io.Reader
	size int64 // exact, or negative if unknown

	mu    sync.Mutex // guards all below, and is held while r is read
	stop  func()     // called once, at the first failure
	n     int64
	err   error // the first failure
	ended bool  // r was read to its end and had the right size
	over  bool  // Create has returned
}

// NewSource guards r, which has size bytes, or any number if size is negative.
func NewSource(ctx context.Context, r io.Reader, size int64) *Source {
	return &Source{ctx: ctx, r: r, size: size, stop: func() {}}
}

// Bytes is a Source of b.
func Bytes(b []byte) *Source {
	return NewSource(context.Background(), bytes.NewReader(b), int64(len(b)))
}

// OnFailure has f called at the first failure, before whoever reads learns of
// it. It replaces an earlier f.
func (s *Source) OnFailure(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = f
}

// Read is io.Reader. After a failure it returns that error for ever.
func (s *Source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return 0, ErrReturned
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
		s.stop()
	}
	return n, err
}

func (s *Source) read(p []byte) (int, error) {
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
		return 0, fmt.Errorf("%w of %d bytes", ErrLong, s.size)
	case err == io.EOF && s.n < s.size:
		return 0, fmt.Errorf("%w: %d of %d bytes", ErrShort, s.n, s.size)
	case err == io.EOF:
		s.ended = true
	}
	return n, err
}

// Finish waits for a Read in progress, forbids later ones, and tells whether r
// was read to its end, and its first failure.
func (s *Source) Finish() (ended bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return s.ended, s.err
}

// SourceError marks an error of the caller's reader, which no store takes for
// one of its own, whatever it looks like.
type SourceError struct{ Err error }

// Error names the source.
func (e *SourceError) Error() string { return "source: " + e.Err.Error() }

// Unwrap returns the reader's error.
func (e *SourceError) Unwrap() error { return e.Err }
