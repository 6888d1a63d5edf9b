package retrytest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// hung is how a service hangs, given a request that it has read.
var hung = map[string]func(http.ResponseWriter, *http.Request){
	"without an answer": func(http.ResponseWriter, *http.Request) {},
	"after its head":    begin,
	"in the middle": func(w http.ResponseWriter, r *http.Request) {
		begin(w, r)
		_, _ = w.Write([]byte("<"))
		_ = http.NewResponseController(w).Flush()
	},
}

// begin answers with the head of an answer that has a body.
func begin(w http.ResponseWriter, r *http.Request) {
	status, size := http.StatusOK, "10"
	if r.Header.Get("Range") != "" || r.Header.Get("X-Ms-Range") != "" {
		status, size = http.StatusPartialContent, "5"
		w.Header().Set("Content-Range", "bytes 7-11/100")
	}
	w.Header().Set("Content-Length", size)
	w.Header().Set("Last-Modified", "Mon, 02 Nov 2026 08:00:00 GMT")
	w.Header().Set("ETag", `"e"`)
	w.Header().Set("X-Ms-Request-Id", "1")
	w.WriteHeader(status)
	_ = http.NewResponseController(w).Flush()
}

// tells are the operations of which the body of the answer matters: for the others
// its head says enough.
var tells = map[string]bool{"open": true, "range": true, "list": true, "get": true}

// runBroken counts the requests for a stream that breaks before its first byte, each
// time.
func runBroken(t *testing.T, open func(t *testing.T, endpoint string) storage.Store) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		begin(w, r)
		panic(http.ErrAbortHandler) // cuts the line
	}))
	t.Cleanup(server.Close)
	s := storage.Retry(open(t, server.URL), impatient())
	for _, name := range []string{"open", "range", "get"} {
		requests.Store(0)
		require.ErrorIs(t, operations[name].do(t.Context(), s), storage.ErrUnavailable, name)
		require.EqualValues(t, attempts, requests.Load(), "requests of one %s that breaks", name)
	}
}

// RunHanging has each operation meet a service that hangs: without a deadline of
// the caller it is unavailable after the driver's own limit, which short makes
// one; with one nobody waits longer than that.
func RunHanging(t *testing.T, short, patient func(t *testing.T, endpoint string) storage.Store) {
	for how, hang := range hung {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a client that is gone is one that gave up
			hang(w, r)
			<-r.Context().Done()
		}))
		t.Cleanup(server.Close)
		for name, op := range operations {
			t.Run(name+" hangs "+how, func(t *testing.T) {
				safe, cancel := context.WithTimeout(t.Context(), 30*time.Second) // or the test would hang
				defer cancel()
				err := op.do(safe, short(t, server.URL))
				require.NoError(t, safe.Err(), "noticed by the driver itself")
				if err == nil && how != "without an answer" && !tells[name] {
					return
				}
				require.ErrorIs(t, err, storage.ErrUnavailable)

				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				began := time.Now()
				err = op.do(ctx, patient(t, server.URL))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, storage.ErrUnavailable, "nobody should try again")
				require.Less(t, time.Since(began), 20*time.Second)
			})
		}
	}
}
