package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPayloadHash: what goes over plain http to elsewhere, or without a checksum, is signed
// with its hash; what goes to a loopback address needs none, once the service has said that it
// looks at checksums.
func TestPayloadHash(t *testing.T) {
	small, large := pattern(1000), pattern(testPart)
	cases := map[string]struct {
		host   string // "": the address of the server
		params []string
		silent bool // the service answers without the checksum
		hashed bool
	}{
		"loopback":                       {},
		"any of loopback":                {host: "127.1.2.3"},
		"localhost, which is a name":     {host: "localhost", hashed: true},
		"a service that says nothing":    {silent: true, hashed: true},
		"loopback, no checksums":         {params: []string{"checksums=false"}, hashed: true},
		"elsewhere":                      {host: "s3.example.test", hashed: true},
		"elsewhere, by name of loopback": {host: "localhost.example.test", hashed: true},
		"elsewhere, no checksums":        {host: "192.0.2.1", params: []string{"checksums=false"}, hashed: true},
		"a bucket that is a host":        {host: "localhost", params: []string{"use_path_style=false"}, hashed: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			svc, endpoint := newService(t)
			svc.checks = !c.silent
			server := strings.TrimPrefix(endpoint, "http://")
			if c.host != "" {
				endpoint = "http://" + c.host + ":80"
			}
			s := open(t, endpoint, c.params...)
			s.client = awss3.New(s.client.Options(), func(o *awss3.Options) {
				o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, "tcp", server)
				}}}
			})
			if c.params != nil && strings.HasPrefix(c.params[0], "use_path_style") {
				svc.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool { // gofakes3 wants the bucket in the path
					r.URL.Path = "/" + testBucket + r.URL.Path
					return false
				}
			}
			require.NoError(t, create(t.Context(), s, "first", small))
			for _, r := range svc.of("PutObject") {
				require.NotEqual(t, unsignedPayload, r.header.Get("X-Amz-Content-Sha256"), "nothing was said of checksums yet")
			}
			svc.forget()
			require.NoError(t, create(t.Context(), s, "small", small))
			require.NoError(t, create(t.Context(), s, "large", large))

			bodies := map[string][]byte{"small": small, "large": large, probeKey: []byte(probeBytes)}
			sent := append(svc.of("PutObject"), svc.of("UploadPart")...)
			require.Len(t, sent, 4, "small, probe; probe, large")
			for _, r := range sent {
				sum := sha256.Sum256(bodies[r.key[strings.LastIndex(r.key, "/")+1:]])
				want := unsignedPayload
				if c.hashed {
					want = hex.EncodeToString(sum[:])
				}
				assert.Equal(t, want, r.header.Get("X-Amz-Content-Sha256"), "%s %s", r.op, r.key)
				assert.Equal(t, c.params == nil || c.params[0] != "checksums=false", r.header.Get(checksumHeader) != "")
			}
			for _, r := range append(svc.of("CreateMultipartUpload"), svc.of("CompleteMultipartUpload")...) {
				assert.NotEqual(t, unsignedPayload, r.header.Get("X-Amz-Content-Sha256"), "%s has no checksum", r.op)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:9000": true, "127.1.2.3": true, "[::1]:9000": true, "[::ffff:127.0.0.1]:9000": true,
		"localhost": false, "localhost:9000": false,
		"": false, "128.0.0.1": false, "[::2]": false, "0.0.0.0:9000": false, "10.0.0.1": false, "localhost.example.com": false,
		"bucket.localhost:9000": false, "127.0.0.1.example.com": false, "minio:9000": false,
	} {
		assert.Equal(t, want, isLoopback(&url.URL{Scheme: "http", Host: host}), host)
	}
}
