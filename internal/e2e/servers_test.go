package e2e

import (
	"bytes"
	"net/http"
	"os"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// azuriteKey is the account key that Azurite publishes for everybody.
const azuriteKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

// makeBucket makes the S3 bucket, unless an earlier test did.
func makeBucket(t *testing.T, endpoint, bucket string) {
	t.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("SLUICE_TEST_S3_KEY"), os.Getenv("SLUICE_TEST_S3_SECRET"), ""),
	})
	if _, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket}); err == nil {
		return
	}
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	require.NoError(t, err)
}

func makeGCSBucket(t *testing.T, endpoint string) {
	t.Helper()
	r, err := http.Post(endpoint+"/storage/v1/b?project=e2e", "application/json", bytes.NewBufferString(`{"name":"e2e"}`))
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Contains(t, []int{http.StatusOK, http.StatusConflict}, r.StatusCode)
}

func makeContainer(t *testing.T, endpoint string) {
	t.Helper()
	key, err := container.NewSharedKeyCredential("devstoreaccount1", azuriteKey)
	require.NoError(t, err)
	client, err := container.NewClientWithSharedKeyCredential(endpoint+"/e2e", key, nil)
	require.NoError(t, err)
	if _, err = client.Create(t.Context(), nil); !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		require.NoError(t, err)
	}
}
