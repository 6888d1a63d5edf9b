package s3

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/retrytest"
)

func TestRetriesAreElsewhere(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "7") // of the SDK, whose retries are off
	retrytest.Run(t, func(t *testing.T, endpoint string) storage.Store { return open(t, endpoint) })
}

func TestHungService(t *testing.T) {
	retrytest.RunHanging(t,
		func(t *testing.T, endpoint string) storage.Store {
			return openWith(t, s3Driver{stalled: 50 * time.Millisecond}, endpoint)
		},
		func(t *testing.T, endpoint string) storage.Store { return open(t, endpoint) })
}

// TestBegunUploadGoesOn: one overloaded moment does not cost what was sent
// before, since a Create cannot begin in the middle.
func TestBegunUploadGoesOn(t *testing.T) {
	for op, want := range map[string]struct{ parts, completions int }{
		"UploadPart":              {4, 1},
		"CompleteMultipartUpload": {3, 2},
	} {
		t.Run(op, func(t *testing.T) {
			svc, endpoint := newService(t)
			s := open(t, endpoint)
			require.NoError(t, s.probeMultipart(t.Context()))
			svc.forget()
			svc.before = once(refuse(op, http.StatusServiceUnavailable, "SlowDown"))
			content := pattern(2*testPart + 1)
			require.NoError(t, create(t.Context(), s, "k", content))
			assert.Equal(t, content, read(t, s, "k"))
			assert.Len(t, svc.of("CreateMultipartUpload"), 1)
			assert.Len(t, svc.of("UploadPart"), want.parts)
			assert.Len(t, svc.of("CompleteMultipartUpload"), want.completions)
			assert.Empty(t, svc.of("AbortMultipartUpload"))
		})
	}
}

// once lets f answer until it has answered one request.
func once(f func(http.ResponseWriter, *http.Request, string) bool) func(http.ResponseWriter, *http.Request, string) bool {
	var mu sync.Mutex
	done := false
	return func(w http.ResponseWriter, r *http.Request, op string) bool {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return false
		}
		done = f(w, r, op)
		return done
	}
}
