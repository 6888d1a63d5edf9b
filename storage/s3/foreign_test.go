package s3

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// TestForeignAnswer: what answers, with status 200, is not S3.
func TestForeignAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"a page":                  "<html><body>We will be back soon.</body></html>",
		"nothing":                 "",
		"a listing without times": "<ListBucketResult><Name>pond</Name><Contents><Key>a/prefix/k</Key></Contents></ListBucketResult>",
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			t.Cleanup(server.Close)
			s := open(t, server.URL)
			done := everyOperation(t, s)
			delete(done, "delete") // nothing counts on it, and its answer has nothing to know it by
			for _, err := range s.List(t.Context(), "", "") {
				done["list"] = err
			}
			_, done["open"] = s.Open(t.Context(), "k", 0, -1)
			for op, err := range done {
				require.ErrorIs(t, err, errForeign, op)
				require.ErrorIs(t, err, storage.ErrUnavailable, op)
			}
		})
	}
}

// TestForeignAnswerToUpload: the page comes up while a large object is on its way.
func TestForeignAnswerToUpload(t *testing.T) {
	for _, from := range []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
		t.Run(from, func(t *testing.T) {
			svc, endpoint := newService(t)
			s := open(t, endpoint)
			require.NoError(t, create(t.Context(), s, "other", pattern(testPart))) // probes
			svc.before = func(w http.ResponseWriter, r *http.Request, op string) bool {
				if op != from {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, "<html/>")
				return true
			}
			require.Error(t, create(t.Context(), s, "k", pattern(testPart)))
			svc.before = nil
			_, err := s.Open(t.Context(), "k", 0, -1)
			require.ErrorIs(t, err, storage.ErrNotFound)
		})
	}
}
