package s3

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func TestCarelessServiceIsRefused(t *testing.T) {
	svc, endpoint := newService(t)
	svc.careless = true
	s := open(t, endpoint)
	large := pattern(testPart)

	err := create(t.Context(), s, "large", large)
	require.ErrorIs(t, err, storage.ErrUnsafe)
	_, err = s.Open(t.Context(), "large", 0, -1)
	require.ErrorIs(t, err, storage.ErrNotFound)

	svc.forget()
	require.ErrorIs(t, create(t.Context(), s, "large", large), storage.ErrUnsafe)
	assert.Empty(t, svc.ops(), "the verdict is remembered")
	require.NoError(t, create(t.Context(), s, "small", []byte("x")), "single requests are safe there")
	assert.Equal(t, probeBytes, string(read(t, s, probeKey)), "the probe has changed nothing")
}

func TestProbeRunsOnce(t *testing.T) {
	svc, endpoint := newService(t)
	s := open(t, endpoint)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { assert.NoError(t, s.probeMultipart(t.Context())) })
	}
	wg.Wait()
	assert.Len(t, svc.of("CompleteMultipartUpload"), 1)

	// Another process finds the object of the first there.
	require.NoError(t, open(t, endpoint).probeMultipart(t.Context()))
	assert.Equal(t, probeBytes, string(read(t, s, probeKey)))
}

func TestProbeThatCannotFinish(t *testing.T) {
	cases := map[string]struct {
		op     string
		status int
		code   string
		want   error
	}{
		"denied object":     {"PutObject", http.StatusForbidden, "AccessDenied", storage.ErrDenied},
		"denied upload":     {"CreateMultipartUpload", http.StatusForbidden, "AccessDenied", storage.ErrDenied},
		"refused part":      {"UploadPart", http.StatusNotFound, "NoSuchUpload", storage.ErrUnavailable},
		"conflicting probe": {"CompleteMultipartUpload", http.StatusConflict, "ConditionalRequestConflict", storage.ErrUnavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			s := open(t, endpoint)
			svc.before = refuse(c.op, c.status, c.code)
			require.ErrorIs(t, create(t.Context(), s, "large", pattern(testPart)), c.want)
			svc.before = nil
			require.NoError(t, create(t.Context(), s, "large", pattern(testPart)), "nothing was learned, so it asks again")
		})
	}
	t.Run("no right to abort", func(t *testing.T) {
		svc, endpoint := newService(t)
		s := open(t, endpoint)
		svc.before = refuse("AbortMultipartUpload", http.StatusForbidden, "AccessDenied")
		require.NoError(t, create(t.Context(), s, "large", pattern(testPart)))
	})
}
