package azure

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// hasty answers before it has read the body, as a client may do, and reads on.
type hasty struct{ bodies []io.ReadCloser }

func (h *hasty) Do(r *http.Request) (*http.Response, error) {
	again, err := r.GetBody()
	h.bodies = append(h.bodies, r.Body, again)
	return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody}, err
}

// TestNobodyReadsOn: the SDK unmaps its buffers when an upload has failed, and who
// reads them then ends the whole process.
func TestNobodyReadsOn(t *testing.T) {
	h := &hasty{}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://x/k?comp=block", bytes.NewReader([]byte("block")))
	require.NoError(t, err)
	_, err = discreet{h}.Do(r)
	require.NoError(t, err)
	require.Len(t, h.bodies, 2)
	for _, body := range h.bodies {
		b, err := io.ReadAll(body)
		require.ErrorIs(t, err, errOver)
		require.Empty(t, b)
		require.NoError(t, body.Close())
	}
}
