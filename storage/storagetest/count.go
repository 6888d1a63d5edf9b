package storagetest

import (
	"context"
	"io"
	"iter"
	"sync"

	"github.com/pondworks/sluice/storage"
)

// pageSize is how many keys the services put on one page of a listing.
const pageSize = 1000

// Requests is how often each operation was called, and what it moved. For
// objects below the driver's multipart size each call is one request.
type Requests struct {
	Create, Put, Open, Get, Delete int
	// List counts pages of 1000 keys, as far as the caller read them.
	List int
	// BytesRead and BytesWritten count the content of objects.
	BytesRead, BytesWritten int64
}

// Counter holds the counts of one counted store. It may be used by many
// goroutines at once.
type Counter struct {
	mu   sync.Mutex
	sums Requests // guarded by mu
}

// Requests returns the counts since the beginning or the last Reset.
func (c *Counter) Requests() Requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sums
}

// Reset returns the counts and starts again at zero.
func (c *Counter) Reset() Requests {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := c.sums
	c.sums = Requests{}
	return sums
}

func (c *Counter) add(f func(*Requests)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.sums)
}

// Count returns s with its operations counted, and with the optional abilities
// that s has.
func Count(s storage.Store) (storage.Store, *Counter) {
	c := &Counter{}
	d, _ := s.(storage.Deleter)
	if d != nil {
		d = countDeleter{d, c}
	}
	o, _ := s.(storage.Overwriter)
	if o != nil {
		o = countOverwriter{o, c}
	}
	return storage.Compose(countStore{s, c}, d, o), c
}

type countStore struct {
	storage.Store
	c *Counter
}

func (s countStore) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	s.c.add(func(q *Requests) { q.Create++ })
	counted := countReader{r, func(n int64) { s.c.add(func(q *Requests) { q.BytesWritten += n }) }}
	if seeker, ok := r.(io.Seeker); ok {
		return s.Store.Create(ctx, key, struct {
			io.Reader
			io.Seeker
		}{counted, seeker}, size)
	}
	return s.Store.Create(ctx, key, counted, size)
}

func (s countStore) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	s.c.add(func(q *Requests) { q.Open++ })
	r, err := s.Store.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	counted := countReader{r, func(n int64) { s.c.add(func(q *Requests) { q.BytesRead += n }) }}
	return struct {
		io.Reader
		io.Closer
	}{counted, r}, nil
}

func (s countStore) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		s.c.add(func(q *Requests) { q.List++ })
		keys := 0
		for info, err := range s.Store.List(ctx, prefix, after) {
			if keys++; keys%pageSize == 1 && keys > 1 {
				s.c.add(func(q *Requests) { q.List++ })
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

type countDeleter struct {
	storage.Deleter
	c *Counter
}

func (d countDeleter) Delete(ctx context.Context, key string) error {
	d.c.add(func(q *Requests) { q.Delete++ })
	return d.Deleter.Delete(ctx, key)
}

type countOverwriter struct {
	storage.Overwriter
	c *Counter
}

func (o countOverwriter) Get(ctx context.Context, key string) ([]byte, string, error) {
	o.c.add(func(q *Requests) { q.Get++ })
	b, tag, err := o.Overwriter.Get(ctx, key)
	o.c.add(func(q *Requests) { q.BytesRead += int64(len(b)) })
	return b, tag, err
}

func (o countOverwriter) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	o.c.add(func(q *Requests) { q.Put++; q.BytesWritten += int64(len(b)) })
	return o.Overwriter.Put(ctx, key, b, ifMatch)
}

type countReader struct {
	io.Reader
	add func(n int64)
}

func (r countReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.add(int64(n))
	return n, err
}
