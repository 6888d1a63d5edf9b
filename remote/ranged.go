package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sync/atomic"
)

// defaultRangeSize is how many bytes of a large object one request reads: so many
// that the request itself hardly counts, and so few that several fit into
// Options.Memory.
const defaultRangeSize = 8 << 20

// transfers is what one call has under way from the store, so that what is read
// ahead stays within Options.Concurrency and half of Options.Memory.
type transfers struct {
	limit   int64
	size    int64        // bytes of a range
	running atomic.Int64 // requests that read content; what is not read ahead never waits for another
	buffers chan []byte  // nil: not made yet
}

func newTransfers(o Options, size int64) *transfers {
	t := &transfers{limit: int64(o.Concurrency), size: size, buffers: make(chan []byte, o.Memory/2/size)}
	for range cap(t.buffers) {
		t.buffers <- nil
	}
	return t
}

// take returns a buffer for a range if one more request may run; release and
// running.Add(-1) give both back.
func (t *transfers) take() (buf []byte, ok bool) {
	if t.running.Add(1) > t.limit {
		t.running.Add(-1)
		return nil, false
	}
	select {
	case buf = <-t.buffers:
	default:
		t.running.Add(-1)
		return nil, false
	}
	if buf == nil {
		buf = make([]byte, t.size)
	}
	return buf, true
}

// open streams an object from byte off on, n bytes or, if n is negative, to its
// end. A large one is read in ranges, several at once as far as there is room,
// since one connection is seldom as fast as the line.
func (s *session) open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r := &ranged{s: s, t: s.transfers, key: key, next: off, end: -1}
	if n >= 0 {
		r.end = off + n
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if err := r.advance(); err != nil { // tells at once if there is no such object
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// ranged reads an object range by range. The one that is being read comes straight
// from the store, or out of memory where it was read ahead.
type ranged struct {
	s      *session
	t      *transfers
	ctx    context.Context // of the stream
	cancel context.CancelFunc
	key    string
	next   int64 // the first byte that no request asks for yet
	end    int64 // of what is to be read; negative: of the object, which is not known

	now   io.ReadCloser // nil: all was read, or err is set
	left  int64         // bytes of now that are still to come, if the object is that long
	ahead []*rangeAhead
	err   error
}

// rangeAhead is a range that is being read into memory.
type rangeAhead struct {
	buf  []byte
	size int64         // of the range
	done chan struct{} // closed when what follows is known
	got  int           // bytes of buf
	err  error
}

func (r *ranged) Read(p []byte) (int, error) {
	for r.now != nil {
		n, err := r.now.Read(p)
		r.left -= int64(n)
		if err == io.EOF {
			err = r.advance()
			r.err = err
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	if r.err != nil {
		return 0, r.err
	}
	return 0, io.EOF
}

// advance goes to the next range; now is nil behind the last.
func (r *ranged) advance() error {
	begun := r.now != nil
	if begun {
		err := r.now.Close()
		r.now = nil
		if err != nil || r.left > 0 { // a range that is not full is the end of the object
			return err
		}
	}
	var err error
	switch size := r.sizeOfNext(); {
	case len(r.ahead) > 0:
		err = r.takeAhead()
	case size == 0 && begun:
		return nil
	default:
		err = r.openNext(size)
	}
	if err == nil && (begun || r.end >= 0) { // of an object that may be small only the first range is asked for
		r.readAhead()
	}
	return err
}

// sizeOfNext returns how long the range is that no request asks for yet.
func (r *ranged) sizeOfNext() int64 {
	if r.end < 0 {
		return r.t.size
	}
	return min(r.t.size, r.end-r.next)
}

// openNext begins with the next range, or with all that is left where there is no
// memory to read ahead.
func (r *ranged) openNext(size int64) error {
	ask := size
	if cap(r.t.buffers) == 0 && r.end < 0 {
		ask, size = -1, math.MaxInt64-r.next // however much comes, it ends there
	} else if cap(r.t.buffers) == 0 {
		size = r.end - r.next
		ask = size
	}
	r.t.running.Add(1)
	body, err := r.s.store.Open(r.ctx, r.key, r.next, ask)
	if err != nil {
		r.t.running.Add(-1)
		return err
	}
	r.now, r.left = running{body, r.t}, size
	r.next += size
	return nil
}

// running is a request that is counted until it is closed.
type running struct {
	io.ReadCloser
	t *transfers
}

func (r running) Close() error {
	r.t.running.Add(-1)
	return r.ReadCloser.Close()
}

// readAhead begins to read the ranges that come next, as far as there is room.
func (r *ranged) readAhead() {
	for r.sizeOfNext() > 0 {
		buf, ok := r.t.take()
		if !ok {
			return
		}
		a := &rangeAhead{buf: buf, size: r.sizeOfNext(), done: make(chan struct{})}
		r.ahead = append(r.ahead, a)
		go r.fetch(a, r.next)
		r.next += a.size
	}
}

// fetch reads a range into memory.
func (r *ranged) fetch(a *rangeAhead, off int64) {
	defer close(a.done)
	defer r.t.running.Add(-1)
	body, err := r.s.store.Open(r.ctx, r.key, off, a.size)
	if err != nil {
		a.err = err
		return
	}
	for int64(a.got) < a.size && err == nil {
		var n int
		n, err = body.Read(a.buf[a.got:a.size])
		a.got += n
	}
	if err == io.EOF {
		err = nil
	}
	a.err = errors.Join(err, body.Close())
}

// takeAhead goes on with the first range that was read ahead, when it is there.
func (r *ranged) takeAhead() error {
	a := r.ahead[0]
	<-a.done
	if a.err != nil {
		return a.err
	}
	r.ahead = r.ahead[1:]
	r.now, r.left = &buffered{*bytes.NewReader(a.buf[:a.got]), a.buf, r.t}, a.size
	return nil
}

// buffered is a range in memory, which is given back when it is closed.
type buffered struct {
	bytes.Reader
	buf []byte
	t   *transfers
}

func (b *buffered) Close() error {
	b.t.buffers <- b.buf
	return nil
}

// Close ends what is being read ahead and waits for it.
func (r *ranged) Close() error {
	r.cancel()
	for _, a := range r.ahead {
		<-a.done
		r.t.buffers <- a.buf
	}
	r.ahead = nil
	if r.now == nil {
		return nil
	}
	now := r.now
	r.now = nil
	return now.Close()
}
