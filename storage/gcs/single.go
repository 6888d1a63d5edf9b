package gcs

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// A reader of the SDK whose stream breaks asks for the rest by itself, at once and as
// often as it likes: a service that breaks every stream, or hangs in each, would
// never be given up. Whether and when to go on is for storage.Retry to say.

// single returns the context of a reader that has one stream and asks for no other
// when it broke.
func single(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamKey{}, &stream{})
}

type streamKey struct{}

// stream is what the requests of one reader have in common.
type stream struct {
	mu     sync.Mutex // guards broken
	broken error      // how the stream broke; nil as long as it did not
}

func (s *stream) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// singleStreams is a transport that knows the contexts of single.
type singleStreams struct{ inner http.RoundTripper }

func (t singleStreams) RoundTrip(r *http.Request) (*http.Response, error) {
	s, ok := r.Context().Value(streamKey{}).(*stream)
	if !ok {
		return t.inner.RoundTrip(r)
	}
	if err := s.failed(); err != nil {
		return nil, err
	}
	reply, err := t.inner.RoundTrip(r)
	if err == nil {
		reply.Body = body{reply.Body, s}
	}
	return reply, err
}

// body notes how a stream breaks.
type body struct {
	io.ReadCloser
	s *stream
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.s.mu.Lock()
		defer b.s.mu.Unlock()
		b.s.broken = err
	}
	return n, err
}
