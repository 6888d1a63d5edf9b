package remote

import (
	"context"
	"io"
	"iter"
	"sync/atomic"

	"github.com/pondworks/sluice/storage"
)

// access is a store as one call uses it: retried, counted, its optional
// abilities looked up. This is the only place that probes for them.
type access struct {
	storage.Reader
	creator storage.Creator    // nil: read-only
	over    storage.Overwriter // nil: no head hint
	deleter storage.Deleter    // nil: nothing can be deleted
	meter   *meter
}

func newAccess(store storage.Reader) *access {
	m := &meter{}
	full, ok := store.(storage.Store)
	if !ok {
		return &access{Reader: storage.RetryReader(metered{store, nil, m}, nil), meter: m}
	}
	over, _ := store.(storage.Overwriter)
	if over != nil {
		over = meteredOverwriter{over, m}
	}
	deleter, _ := store.(storage.Deleter)
	retried := storage.Retry(storage.Compose(metered{full, full, m}, deleter, over), nil)
	over, _ = retried.(storage.Overwriter)
	deleter, _ = retried.(storage.Deleter)
	return &access{Reader: retried, creator: retried, over: over, deleter: deleter, meter: m}
}

// meter counts what one call asks of the store.
type meter struct{ put, get, list, sent, received atomic.Int64 }

func (m *meter) requests() Requests {
	return Requests{Put: m.put.Load(), Get: m.get.Load(), List: m.list.Load(), Sent: m.sent.Load(), Received: m.received.Load()}
}

// listPage is how many keys the services return per request.
const listPage = 1000

type metered struct {
	storage.Reader
	creator storage.Creator
	m       *meter
}

func (s metered) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.m.get.Add(1)
	r, err := s.Reader.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return countedBody{r, &s.m.received}, nil
}

func (s metered) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		n := 0
		s.m.list.Add(1)
		for info, err := range s.Reader.List(ctx, prefix, after) {
			if n++; n > listPage {
				n = 1
				s.m.list.Add(1)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func (s metered) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	s.m.put.Add(1)
	return s.creator.Create(ctx, key, countedReader{r, &s.m.sent}, size)
}

type meteredOverwriter struct {
	storage.Overwriter
	m *meter
}

func (s meteredOverwriter) Get(ctx context.Context, key string) ([]byte, string, error) {
	s.m.get.Add(1)
	b, tag, err := s.Overwriter.Get(ctx, key)
	s.m.received.Add(int64(len(b)))
	return b, tag, err
}

func (s meteredOverwriter) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	s.m.put.Add(1)
	s.m.sent.Add(int64(len(b)))
	return s.Overwriter.Put(ctx, key, b, ifMatch)
}

type countedReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// Resident implements storage.Resident, if the reader does.
func (r countedReader) Resident() *io.SectionReader {
	in, ok := r.Reader.(storage.Resident)
	if !ok {
		return nil
	}
	b := in.Resident()
	if b != nil {
		r.n.Add(b.Size())
	}
	return b
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (r countedBody) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n.Add(int64(n))
	return n, err
}
