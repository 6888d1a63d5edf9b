// Package retrytest checks drivers on a service in trouble. They leave all trying
// again to storage.Retry: two layers of retries multiply, and only one of them is the
// policy that a host chose. And they notice a service that hangs.
package retrytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// attempts is the policy of the test. It is none that an SDK has by default.
const attempts = 4

// operations are those of a store, and how often each is to be tried.
var operations = map[string]struct {
	do    func(ctx context.Context, s storage.Store) error
	tries int
}{
	"create": {func(ctx context.Context, s storage.Store) error { return s.Create(ctx, "k", strings.NewReader("x"), 1) }, attempts},
	"create of unknown size": {func(ctx context.Context, s storage.Store) error {
		return s.Create(ctx, "k", strings.NewReader("x"), -1)
	}, attempts},
	"open":  {func(ctx context.Context, s storage.Store) error { return read(ctx, s, 0, -1) }, attempts},
	"range": {func(ctx context.Context, s storage.Store) error { return read(ctx, s, 7, 5) }, attempts},
	"list": {func(ctx context.Context, s storage.Store) (last error) {
		for _, err := range s.List(ctx, "", "a") {
			last = err
		}
		return last
	}, attempts},
	"get": {func(ctx context.Context, s storage.Store) error {
		_, _, err := s.(storage.Overwriter).Get(ctx, "k")
		return err
	}, attempts},
	"delete": {func(ctx context.Context, s storage.Store) error { return s.(storage.Deleter).Delete(ctx, "k") }, attempts},
	// Put is for a hint and never repeated, as storage.Retry says.
	"put": {func(ctx context.Context, s storage.Store) error {
		_, err := s.(storage.Overwriter).Put(ctx, "k", []byte("x"), "")
		return err
	}, 1},
}

// impatient is a policy that does not wait between attempts.
func impatient() *storage.RetryOptions {
	return &storage.RetryOptions{
		Attempts: attempts,
		Sleep:    func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func read(ctx context.Context, s storage.Store, off, n int64) error {
	r, err := s.Open(ctx, "k", off, n)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// Run counts the requests of each operation on a service that is overloaded.
// open returns a store, a Deleter and Overwriter too, on the service at endpoint.
func Run(t *testing.T, open func(t *testing.T, endpoint string) storage.Store) {
	var status, requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(server.Close)
	s := storage.Retry(open(t, server.URL), impatient())
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusTooManyRequests} {
		status.Store(int64(code))
		for name, op := range operations {
			requests.Store(0)
			require.ErrorIs(t, op.do(t.Context(), s), storage.ErrUnavailable, "%s: %d", name, code)
			require.EqualValues(t, op.tries, requests.Load(), "requests of one %s: %d", name, code)
		}
	}
	runBroken(t, open)
}
