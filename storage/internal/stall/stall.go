// Package stall ends requests over HTTP on which nothing moves. A service that
// took a connection and hangs, or a line that swallows everything, shows no error by
// itself, and the clients of the clouds wait for it for ever: their callers need not
// have a deadline, and one for a whole request cannot be right for large objects.
package stall

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limit is how long nothing may move before a request is given up. It has to be
// longer than a service takes to put together an upload of many parts, and than what
// lies in the buffers of the system takes over a slow line: a minute, as in other
// clients.
const Limit = time.Minute

// Error is that of a request on which nothing moved for so long. It is a
// net.Error, a time limit.
type Error struct{ After time.Duration }

// Error names the limit.
func (e *Error) Error() string { return fmt.Sprintf("nothing moved for %s", e.After) }

// Timeout returns true.
func (e *Error) Timeout() bool { return true }

// Temporary returns true.
func (e *Error) Temporary() bool { return true }

// Doer sends requests, as an http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client gives up requests of inner.
func Client(inner Doer, limit time.Duration) Doer { return sender{inner.Do, limit} }

// Transport gives up requests of inner.
func Transport(inner http.RoundTripper, limit time.Duration) http.RoundTripper {
	return sender{inner.RoundTrip, limit}
}

type sender struct {
	send  func(*http.Request) (*http.Response, error)
	limit time.Duration
}

// RoundTrip is http.RoundTripper.
func (s sender) RoundTrip(r *http.Request) (*http.Response, error) { return s.Do(r) }

// Do is Doer. Time counts from here to the answer, except while the request's own
// body is read from whoever made it, and then while the answer's body is read.
func (s sender) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{ctx: ctx, cancel: cancel, limit: s.limit}
	w.timer = time.AfterFunc(s.limit, func() { cancel(&Error{s.limit}) })
	reply, err := s.send(w.watched(r))
	w.answered()
	if err != nil {
		err = w.cause(err)
		cancel(nil)
		return nil, err
	}
	reply.Body = &received{reply.Body, w}
	return reply, nil
}

// watch is one request.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer

	mu   sync.Mutex // guards over, and is held while a body that is sent sets the timer
	over bool       // an answer has begun: what is still sent does not matter
}

// watched is r with its bodies watched.
func (w *watch) watched(r *http.Request) *http.Request {
	r = r.WithContext(w.ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &sent{r.Body, w}
	}
	if again := r.GetBody; again != nil {
		r.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil || body == http.NoBody {
				return body, err
			}
			return &sent{body, w}, nil
		}
	}
	return r
}

func (w *watch) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// cause is err, unless the request was given up.
func (w *watch) cause(err error) error {
	if stalled, ok := context.Cause(w.ctx).(*Error); ok {
		return stalled
	}
	return err
}

// sent is the body of a request: what its maker takes for it is not the line's time.
type sent struct {
	io.ReadCloser
	w *watch
}

func (b *sent) Read(p []byte) (int, error) {
	b.set(func() { b.w.timer.Stop() })
	defer b.set(func() { b.w.timer.Reset(b.w.limit) })
	return b.ReadCloser.Read(p)
}

func (b *sent) set(timer func()) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if !b.w.over {
		timer()
	}
}

// received is the body of an answer: time counts only while somebody reads.
type received struct {
	io.ReadCloser
	w *watch
}

func (b *received) Read(p []byte) (int, error) {
	b.w.timer.Reset(b.w.limit)
	n, err := b.ReadCloser.Read(p)
	b.w.timer.Stop()
	if err != nil && err != io.EOF {
		err = b.w.cause(err)
	}
	return n, err
}

func (b *received) Close() error {
	err := b.ReadCloser.Close()
	b.w.timer.Stop()
	b.w.cancel(nil)
	return err
}
