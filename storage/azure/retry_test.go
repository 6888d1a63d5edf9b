package azure

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/retrytest"
)

func TestRetriesAreElsewhere(t *testing.T) {
	retrytest.Run(t, func(t *testing.T, endpoint string) storage.Store { return open(t, endpoint) })
}

func TestHungService(t *testing.T) {
	retrytest.RunHanging(t,
		func(t *testing.T, endpoint string) storage.Store {
			return openWith(t, driver{stalled: 50 * time.Millisecond}, endpoint)
		},
		func(t *testing.T, endpoint string) storage.Store { return open(t, endpoint) })
}

// TestBegunUploadGoesOn: one overloaded moment does not cost what was sent
// before, since a Create cannot begin in the middle.
func TestBegunUploadGoesOn(t *testing.T) {
	for _, busy := range []string{"block", "blocklist"} {
		t.Run(busy, func(t *testing.T) {
			var mu sync.Mutex // guards all below
			requests := map[string]int{}
			received := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				mu.Lock()
				defer mu.Unlock()
				comp := r.URL.Query().Get("comp")
				requests[comp]++
				if err != nil || comp == busy && requests[comp] == 1 {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				if comp == "block" {
					received += int(n)
				}
				w.Header().Set("x-ms-request-id", "1")
				w.WriteHeader(http.StatusCreated)
			}))
			t.Cleanup(server.Close)
			err := open(t, server.URL).Create(t.Context(), "k", bytes.NewReader(make([]byte, largeSize)), largeSize)
			require.NoError(t, err)
			want := map[string]int{"block": 3, "blocklist": 1}
			want[busy]++
			require.Equal(t, want, requests)
			require.Equal(t, largeSize, received)
		})
	}
}
