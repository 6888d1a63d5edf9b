package remote

import (
	"io"
	"sync"
	"time"
)

// pace is how fast the store has answered this call: what it takes to read on over
// bytes that nobody wants, against one more request.
type pace struct {
	mu       sync.Mutex
	requests int64
	waited   time.Duration // of all requests, for the answer to begin
	received int64         // bytes of all answers
	reading  time.Duration // for these to come
}

// worthReading returns how many bytes come sooner than the answer to one more request
// would bring the next: twice what came while a request waited, since answers so short
// show a line slower than it is. 0 if too little was read yet to tell.
func (p *pace) worthReading() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.requests == 0 || p.reading <= 0 {
		return 0
	}
	return int64(2 * float64(p.received) / p.reading.Seconds() * p.waited.Seconds() / float64(p.requests))
}

// asked notes how long a request has waited for its answer, which body is, and
// follows how that comes.
func (p *pace) asked(waited time.Duration, body io.ReadCloser) io.ReadCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	p.waited += waited
	return paced{body, p}
}

type paced struct {
	io.ReadCloser
	p *pace
}

func (r paced) Read(b []byte) (int, error) {
	begin := time.Now()
	n, err := r.ReadCloser.Read(b)
	took := time.Since(begin)
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.p.received += int64(n)
	r.p.reading += took
	return n, err
}
