package gcs

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	gcstorage "cloud.google.com/go/storage"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

func TestSuite(t *testing.T) {
	opts := &storagetest.Options{LargeSize: 9 << 20, ListKeys: 2*testPage + 1}
	storagetest.RunWith(t, opts, func(t *testing.T) storage.Store {
		_, endpoint := newService(t)
		return open(t, endpoint)
	})
}

// TestSuiteServer runs the suite against a server program: SLUICE_TEST_GCS is
// its endpoint. Each case has a random prefix of its own.
func TestSuiteServer(t *testing.T) {
	endpoint := os.Getenv("SLUICE_TEST_GCS")
	if endpoint == "" {
		t.Skip("NOT TESTED against a GCS server program: SLUICE_TEST_GCS is not set")
	}
	c := storage.Config{Scheme: "gs", Bucket: "sluice-suite", Params: url.Values{"endpoint": {endpoint}, "anonymous": {"true"}}}
	client, err := newClient(t.Context(), c, time.Minute)
	require.NoError(t, err)
	err = client.Bucket(c.Bucket).Create(t.Context(), "project", &gcstorage.BucketAttrs{})
	var reply *googleapi.Error
	if !errors.As(err, &reply) || reply.Code != http.StatusConflict {
		require.NoError(t, err)
	}
	storagetest.RunWith(t, &storagetest.Options{LargeSize: 9 << 20}, func(t *testing.T) storage.Store {
		c.Prefix = "suite/" + uuid.NewString()
		s, err := storage.OpenConfig(t.Context(), c, Driver())
		require.NoError(t, err)
		return s
	})
}
