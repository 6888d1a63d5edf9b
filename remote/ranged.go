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
	size    int64         // bytes of a range
	running atomic.Int64  // streams that are open, each of which may have a request, and ranges that are being read ahead
	buffers chan []byte   // nil: not made yet
	parts   chan struct{} // holds a token for each part that is being taken in beside others
}

func newTransfers(o Options, size int64) *transfers {
	// Of more buffers than that nobody has a use: each range that is on its way has one, and
	// one that came for each.
	buffers := min(o.Memory/2/size, 2*int64(o.Concurrency))
	t := &transfers{limit: int64(o.Concurrency), size: size, buffers: make(chan []byte, buffers), parts: make(chan struct{}, o.Concurrency)}
	for range cap(t.buffers) {
		t.buffers <- nil
	}
	return t
}

// take returns a buffer for a range if one more request may run, where so many places
// are lent by streams that have no request. The buffer goes back into buffers when it
// was read, the place of the request when that has ended.
func (t *transfers) take(lent int64) (buf []byte, ok bool) {
	if t.running.Add(1) > t.limit+lent {
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

// room reports whether a request more, for a range that is read ahead, might run.
func (t *transfers) room() bool { return t.running.Load() < t.limit && len(t.buffers) > 0 }

// open streams an object from byte off on, n bytes or, if n is negative, to its
// end. As far as there is room a large one is read in ranges, several at once, since
// one connection is seldom as fast as the line; else, and as long as it may be small,
// with one request.
func (s *session) open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r := &ranged{s: s, t: s.transfers, key: key, next: off, end: math.MaxInt64, mayBeSmall: n < 0}
	if n >= 0 {
		r.end = off + n
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	// Whoever else there is: streams never wait for each other.
	r.t.running.Add(1)
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
	end    int64 // of what is to be read; math.MaxInt64: of the object, which is not known

	mayBeSmall bool // end is not known: nothing is read ahead before some ranges came

	now   io.ReadCloser // nil: all was read, or err is set
	left  int64         // bytes of now that are still to come, if the object is that long
	got   int64         // bytes of now that came
	cut   bool          // now has more than left, which is not wanted of it
	ahead []*rangeAhead
	err   error

	closed bool
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
	for r.now != nil && len(p) > 0 {
		r.shorten()
		if r.cut {
			p = p[:min(int64(len(p)), r.left)]
		}
		n, err := r.now.Read(p)
		r.left -= int64(n)
		r.got += int64(n)
		if err == io.EOF || err == nil && r.cut && r.left == 0 {
			err = r.advance()
			r.err = err
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	switch {
	case r.err != nil:
		return 0, r.err
	case r.now != nil:
		return 0, nil // nothing was asked for
	}
	return 0, io.EOF
}

// shorten lets the stream that is being read end early, when there has come to be
// room to read on in ranges and enough is left for that to pay, or where that is not
// known as much came.
func (r *ranged) shorten() {
	if enough := 4 * r.t.size; r.left <= enough || r.mayBeSmall && r.got < enough || !r.t.room() {
		return
	}
	r.next -= r.left - r.t.size
	r.left, r.cut = r.t.size, true
	r.readAhead()
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
	switch {
	case len(r.ahead) > 0:
		err = r.takeAhead()
	case r.sizeOfNext() == 0 && begun:
		return nil
	default:
		err = r.openNext(begun)
	}
	r.got, r.cut = 0, false
	if err == nil && (begun || !r.mayBeSmall) {
		r.readAhead()
	}
	return err
}

// sizeOfNext returns how long the range is that no request asks for yet.
func (r *ranged) sizeOfNext() int64 { return min(r.t.size, r.end-r.next) }

// openNext begins with the next range, or with all that is left where there is no
// room to read ahead or the object may be small.
func (r *ranged) openNext(begun bool) error {
	size := r.end - r.next
	ask := size
	switch {
	case (begun || !r.mayBeSmall) && r.t.room():
		size = r.sizeOfNext()
		ask = size
	case r.mayBeSmall:
		ask = -1 // however much comes, it ends there
	}
	body, err := r.s.store.Open(r.ctx, r.key, r.next, ask)
	if err != nil {
		return err
	}
	r.now, r.left = body, size
	r.next += size
	return nil
}

// readAhead begins to read the ranges that come next, as far as there is room. A stream
// that reads out of memory lends its place: it goes back to the store only when all
// that it reads ahead has come.
func (r *ranged) readAhead() {
	lent := int64(0)
	if _, inMemory := r.now.(*buffered); inMemory {
		lent = 1
	}
	for r.sizeOfNext() > 0 {
		buf, ok := r.t.take(lent)
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
	if !r.closed {
		r.closed = true
		r.t.running.Add(-1)
	}
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
