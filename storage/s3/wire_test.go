package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func create(ctx context.Context, s storage.Creator, key string, content []byte) error {
	return s.Create(ctx, key, bytes.NewReader(content), int64(len(content)))
}

func read(t *testing.T, s storage.Reader, key string) []byte {
	r, err := s.Open(t.Context(), key, 0, -1)
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

// pattern is content of which no two parts are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return b
}

func TestRequests(t *testing.T) {
	svc, endpoint := newService(t)
	s := open(t, endpoint)
	s.part = minPart
	small, large := pattern(1000), pattern(2*minPart+1)
	cases := []struct {
		name string
		do   func() error
		want []string
	}{
		{"small create", func() error { return create(t.Context(), s, "small", small) }, []string{"PutObject"}},
		{"small create of unknown size", func() error { return s.Create(t.Context(), "small2", bytes.NewReader(small), -1) }, []string{"PutObject"}},
		{"empty create", func() error { return create(t.Context(), s, "empty", nil) }, []string{"PutObject"}},
		{"one byte below a part", func() error { return create(t.Context(), s, "below", large[:minPart-1]) }, []string{"PutObject"}},
		{"first large create", func() error { return create(t.Context(), s, "large", large) }, []string{
			"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", // the probe
			"CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart", "CompleteMultipartUpload"}},
		{"exactly one part", func() error { return create(t.Context(), s, "one", large[:minPart]) }, []string{
			"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"}},
		{"large create of unknown size", func() error { return s.Create(t.Context(), "large2", bytes.NewReader(large), -1) }, []string{
			"CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart", "CompleteMultipartUpload"}},
		{"open", func() error { read(t, s, "small"); return nil }, []string{"GetObject"}},
		{"get", func() error { _, _, err := s.Get(t.Context(), "small"); return err }, []string{"GetObject"}},
		{"put", func() error { _, err := s.Put(t.Context(), "hint", small, ""); return err }, []string{"PutObject"}},
		{"delete", func() error { return s.Delete(t.Context(), "hint") }, []string{"DeleteObject"}},
		{"delete of nothing", func() error { return s.Delete(t.Context(), "hint") }, []string{"DeleteObject"}},
	}
	for _, c := range cases {
		svc.forget()
		require.NoError(t, c.do(), c.name)
		assert.Equal(t, c.want, svc.ops(), c.name)
	}
	for key, want := range map[string][]byte{"small": small, "small2": small, "empty": {}, "below": large[:minPart-1], "large": large, "large2": large, "one": large[:minPart]} {
		assert.True(t, bytes.Equal(want, read(t, s, key)), key)
	}
}

// TestHeaders looks at what every write says on the wire.
func TestHeaders(t *testing.T) {
	cases := map[string]struct {
		params []string
		want   map[string]string // of PutObject and CreateMultipartUpload
		sum    bool
	}{
		"plain":        {sum: true, want: map[string]string{"X-Amz-Server-Side-Encryption": ""}},
		"AES256":       {params: []string{"ssetype=AES256"}, sum: true, want: map[string]string{"X-Amz-Server-Side-Encryption": "AES256"}},
		"kms":          {params: []string{"ssetype=aws:kms", "kmskeyid=alias/pond"}, sum: true, want: map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "alias/pond"}},
		"kms:dsse":     {params: []string{"ssetype=aws:kms:dsse"}, sum: true, want: map[string]string{"X-Amz-Server-Side-Encryption": "aws:kms:dsse"}},
		"no checksums": {params: []string{"checksums=false"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			s := open(t, endpoint, c.params...)
			require.NoError(t, create(t.Context(), s, "small", []byte("content")))
			require.NoError(t, create(t.Context(), s, "large", pattern(testPart)))
			_, err := s.Put(t.Context(), "hint", []byte("content"), "")
			require.NoError(t, err)

			starts := append(svc.of("PutObject"), svc.of("CreateMultipartUpload")...)
			require.Len(t, starts, 5, "small, probe, hint; probe, large")
			for _, r := range starts {
				for header, want := range c.want {
					assert.Equal(t, want, r.header.Get(header), "%s of %s %s", header, r.op, r.key)
				}
			}
			for _, r := range append(svc.of("PutObject"), svc.of("UploadPart")...) {
				assert.Equal(t, c.sum, r.header.Get("X-Amz-Checksum-Crc32") != "", "%s %s", r.op, r.key)
				assert.NotContains(t, r.header.Get("Content-Encoding"), "aws-chunked", "many services refuse trailers")
			}
			for _, r := range append(svc.of("PutObject"), svc.of("CompleteMultipartUpload")...) {
				want := "*"
				if strings.HasSuffix(r.key, "hint") {
					want = ""
				}
				assert.Equal(t, want, r.header.Get("If-None-Match"), "%s %s", r.op, r.key)
				assert.True(t, strings.HasPrefix(r.key, "a/prefix/"), r.key)
			}
		})
	}
}

// TestAbort: whatever ends a large create, its parts are removed, although the
// context may have ended, and nothing is printed.
func TestAbort(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })

	gone := errors.New("disk gone")
	cases := map[string]struct {
		source func(cancel func()) io.Reader
		size   int64
		before func(http.ResponseWriter, *http.Request, string) bool
		want   error
	}{
		"source fails": {size: -1, want: gone, source: func(func()) io.Reader {
			return io.MultiReader(bytes.NewReader(pattern(testPart+5)), failing{gone})
		}},
		"source is a truncated stream": {size: -1, want: io.ErrUnexpectedEOF, source: func(func()) io.Reader {
			return io.MultiReader(bytes.NewReader(pattern(testPart+5)), failing{io.ErrUnexpectedEOF})
		}},
		"source too short": {size: testPart + 6, want: errSize, source: func(func()) io.Reader { return bytes.NewReader(pattern(testPart + 5)) }},
		"source too long":  {size: testPart + 4, want: errSize, source: func(func()) io.Reader { return bytes.NewReader(pattern(testPart + 5)) }},
		"context ends": {size: -1, want: context.Canceled, source: func(cancel func()) io.Reader {
			return io.MultiReader(bytes.NewReader(pattern(testPart+5)), does{cancel}, bytes.NewReader(pattern(testPart)))
		}},
		"key is taken": {size: -1, want: storage.ErrExists, source: func(func()) io.Reader { return bytes.NewReader(pattern(testPart + 5)) },
			before: refuse("CompleteMultipartUpload", http.StatusPreconditionFailed, "PreconditionFailed")},
		"part is refused": {size: -1, want: storage.ErrDenied, source: func(func()) io.Reader { return bytes.NewReader(pattern(3 * testPart)) },
			before: refuse("UploadPart", http.StatusForbidden, "AccessDenied")},
		"creators met": {size: -1, want: storage.ErrUnavailable, source: func(func()) io.Reader { return bytes.NewReader(pattern(testPart + 5)) },
			before: refuse("CompleteMultipartUpload", http.StatusConflict, "ConditionalRequestConflict")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			s := open(t, endpoint)
			require.NoError(t, s.probeMultipart(t.Context()))
			svc.forget()
			svc.before = c.before
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()

			err := s.Create(ctx, "k", c.source(cancel), c.size)
			require.ErrorIs(t, err, c.want)
			if c.want == gone || c.want == io.ErrUnexpectedEOF {
				assert.NotErrorIs(t, err, storage.ErrUnavailable, "it is not the service that failed")
			}
			assert.Len(t, svc.of("CreateMultipartUpload"), 1)
			assert.Len(t, svc.of("AbortMultipartUpload"), 1)
			_, err = s.Open(t.Context(), "k", 0, -1)
			assert.ErrorIs(t, err, storage.ErrNotFound)
		})
	}
	assert.Empty(t, printed.String())
}

func refuse(op string, status int, code string) func(http.ResponseWriter, *http.Request, string) bool {
	return func(w http.ResponseWriter, r *http.Request, asked string) bool {
		if asked != op {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		reply(w, status, code)
		return true
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type does struct{ it func() }

func (d does) Read([]byte) (int, error) { d.it(); return 0, io.EOF }

// TestTLS: over https the SDK signs no payload and would rather put its own
// checksum behind a chunked body.
func TestTLS(t *testing.T) {
	svc, _ := newService(t)
	server := httptest.NewTLSServer(svc)
	t.Cleanup(server.Close)
	s := open(t, server.URL)
	s.client = awss3.New(s.client.Options(), func(o *awss3.Options) { o.HTTPClient = server.Client() })
	require.NoError(t, create(t.Context(), s, "small", []byte("content")))
	require.NoError(t, create(t.Context(), s, "large", pattern(3*testPart)))
	sent := append(svc.of("PutObject"), svc.of("UploadPart")...)
	require.Len(t, sent, 6, "small, probe; probe, three of large")
	for _, r := range sent {
		assert.NotEmpty(t, r.header.Get("X-Amz-Checksum-Crc32"), "%s %s", r.op, r.key)
		assert.Empty(t, r.header.Get("Content-Encoding"), "%s %s", r.op, r.key)
		assert.Empty(t, r.header.Get("X-Amz-Trailer"), "%s %s", r.op, r.key)
	}
	b, _, err := s.Get(t.Context(), "small")
	require.NoError(t, err)
	assert.Equal(t, "content", string(b))
}
