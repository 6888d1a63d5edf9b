package azure

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// hasty answers before it has read one of two bodies, and reads on: a client may.
type hasty struct{ whole, rest io.ReadCloser }

func (h *hasty) Do(r *http.Request) (*http.Response, error) {
	again, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	h.whole, h.rest = r.Body, again
	_, err = io.CopyN(io.Discard, h.whole, r.ContentLength)
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
	b, err := io.ReadAll(h.rest)
	require.ErrorIs(t, err, errOver)
	require.Empty(t, b)
	b, err = io.ReadAll(h.whole)
	require.NoError(t, err, "there is nothing more, and no reason to cut the line")
	require.Empty(t, b)
}
