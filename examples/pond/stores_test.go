package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"pond": main})
}

// leakless fails where the tests left goroutines behind.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	code := l.m.Run()
	if closeService != nil {
		closeService()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// service is an S3 service: the one of SLUICE_TEST_S3 where .ci/run started it,
// else one in this process.
var service = sync.OnceValue(func() (s struct{ endpoint, key, secret string }) {
	s.endpoint, s.key, s.secret = os.Getenv("SLUICE_TEST_S3"), os.Getenv("SLUICE_TEST_S3_KEY"), os.Getenv("SLUICE_TEST_S3_SECRET")
	if s.endpoint == "" {
		server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
		s.endpoint, closeService = server.URL, server.Close
		s.key, s.secret = "key", "secret"
	}
	return s
})

// closeService ends that of this process once all tests are done; nil if there is none.
var closeService func()

// newBucket makes an empty bucket and returns its name and the environment in
// which s3:// means that service.
func newBucket(ctx context.Context) (bucket string, env []string, err error) {
	s := service()
	bucket = fmt.Sprintf("pond-%d", time.Now().UnixNano())
	client := awss3.New(awss3.Options{
		BaseEndpoint: &s.endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(s.key, s.secret, ""),
	})
	_, err = client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(bucket)})
	return bucket, []string{
		"AWS_ENDPOINT_URL_S3=" + s.endpoint, "AWS_ACCESS_KEY_ID=" + s.key, "AWS_SECRET_ACCESS_KEY=" + s.secret, "AWS_REGION=us-east-1",
	}, err
}

func useBucket(t *testing.T) (bucket string) {
	t.Helper()
	bucket, env, err := newBucket(t.Context())
	require.NoError(t, err)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return bucket
}

// try runs the command in this process.
func try(t *testing.T, in string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

// pond is try for what must succeed.
func pond(t *testing.T, in string, args ...string) string {
	t.Helper()
	code, out, errOut := try(t, in, args...)
	require.Zero(t, code, "pond %s: %s", strings.Join(args, " "), errOut)
	require.NotContains(t, errOut, "warning", "pond %s", strings.Join(args, " "))
	return out
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			bucket, env, err := newBucket(t.Context())
			e.Vars = append(append(e.Vars, env...), "BUCKET="+bucket, "POND="+e.WorkDir+"/pond")
			return err
		},
	})
}
