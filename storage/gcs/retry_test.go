package gcs

import (
	"bytes"
	"io"
	"net/http"
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
	svc, endpoint := newService(t)
	chunks := 0
	svc.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("upload_id") == "" {
			return false
		}
		if chunks++; chunks == 2 {
			refuse(w, http.StatusServiceUnavailable, "slow down", "backendError")
			return true
		}
		return false
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 9<<20/16)
	s := open(t, endpoint)
	require.NoError(t, s.Create(t.Context(), "k", bytes.NewReader(content), int64(len(content))))
	require.Equal(t, 3, chunks, "two, and one of them again")
	r, err := s.Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.True(t, bytes.Equal(content, got))
}
