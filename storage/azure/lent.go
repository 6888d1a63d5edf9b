package azure

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// lending is one request whose body is lent to the client that sends it. That client
// may still read a body when the answer is there already, or the request was given
// up. But then the SDK unmaps the buffers of the blocks that it sends: the next read
// would be a fault that no Go program survives.
type lending struct {
	mu   sync.Mutex // guards over, and is held while a body, which is in memory, is read
	over bool
}

// lend returns r with a body that can be read until done is called. r itself stays as it
// is, for another try.
func lend(r *http.Request) (sent *http.Request, done func()) {
	l := &lending{}
	r = r.WithContext(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &lent{r.Body, r.ContentLength, l}
	}
	if again := r.GetBody; again != nil {
		r.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil || body == http.NoBody {
				return body, err
			}
			return &lent{body, r.ContentLength, l}, nil
		}
	}
	return r, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.over = true
	}
}

// errOver: what is still to be sent is of no use.
var errOver = errors.New("the request is over")

// lent is a body. It copies and hands out no memory of its own: it has no WriteTo.
type lent struct {
	io.ReadCloser
	left int64 // bytes still to be read
	l    *lending
}

func (b *lent) Read(p []byte) (int, error) {
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	switch {
	case b.l.over && b.left == 0: // the client makes sure that nothing follows
		return 0, io.EOF
	case b.l.over:
		return 0, errOver
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
