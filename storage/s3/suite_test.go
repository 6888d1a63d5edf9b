package s3

import (
	"net/url"
	"os"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

func TestSuite(t *testing.T) {
	opts := &storagetest.Options{LargeSize: 5*testPart + 1}
	storagetest.RunWith(t, opts, func(t *testing.T) storage.Store {
		_, endpoint := newService(t)
		return open(t, endpoint)
	})
}

// TestSuiteServer runs the suite against a server program or a cloud:
// SLUICE_TEST_S3 is its endpoint, SLUICE_TEST_S3_KEY, _SECRET and _BUCKET the
// rest. Each case has a random prefix of its own.
func TestSuiteServer(t *testing.T) {
	endpoint := os.Getenv("SLUICE_TEST_S3")
	if endpoint == "" {
		t.Skip("NOT TESTED against a real S3 server: SLUICE_TEST_S3 is not set")
	}
	c := storage.Config{
		Scheme: "s3", Bucket: os.Getenv("SLUICE_TEST_S3_BUCKET"), Params: url.Values{"endpoint": {endpoint}},
		Key: storage.NewSecret(os.Getenv("SLUICE_TEST_S3_KEY")), Secret: storage.NewSecret(os.Getenv("SLUICE_TEST_S3_SECRET")),
	}
	open := func(t *testing.T) *store {
		c.Prefix = "suite/" + uuid.NewString()
		s, err := storage.OpenConfig(t.Context(), c, Driver())
		require.NoError(t, err)
		return s.(*store)
	}
	_, err := open(t).client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &c.Bucket})
	if !isCode(err, "BucketAlreadyOwnedByYou") && !isCode(err, "BucketAlreadyExists") {
		require.NoError(t, err)
	}
	storagetest.RunWith(t, &storagetest.Options{LargeSize: 2*minPart + 1}, func(t *testing.T) storage.Store { return open(t) })
	t.Run("nothing is left behind", func(t *testing.T) {
		out, err := open(t).client.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{Bucket: &c.Bucket})
		require.NoError(t, err)
		require.Empty(t, out.Uploads)
	})
}
