package s3

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// Nobody who has no credentials is to wait for retries, nor to read of the network.
func TestNoCredentials(t *testing.T) {
	svc, endpoint := newService(t)
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none} {
		t.Setenv(name, value)
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "") // so that it is put back
		require.NoError(t, os.Unsetenv(name))
	}
	s, err := storage.OpenConfig(t.Context(), storage.Config{Scheme: "s3", Bucket: testBucket, Params: url.Values{"endpoint": {endpoint}}}, Driver())
	require.NoError(t, err)
	retried := storage.Retry(s, &storage.RetryOptions{Sleep: func(context.Context, time.Duration) error {
		return errors.New("it was retried")
	}})
	all := everyOperation(t, s.(*store))
	_, all["open"] = retried.Open(t.Context(), "k", 0, -1)
	for _, err := range retried.List(t.Context(), "", "") {
		all["list"] = err
	}
	for op, err := range all {
		require.ErrorIs(t, err, storage.ErrDenied, op)
		require.NotErrorIs(t, err, storage.ErrUnavailable, op)
		require.NotErrorIs(t, err, context.DeadlineExceeded, op)
		require.ErrorContains(t, err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or key and secret", op)
		require.Equal(t, 1, strings.Count(err.Error(), "set AWS_ACCESS_KEY_ID"), op)
		require.NotContains(t, err.Error(), "it was retried", op)
	}
	require.Len(t, all, 6)
	require.Empty(t, svc.ops(), "nothing was asked")
}

// renewed are credentials that can be had once.
type renewed struct{ times int }

func (r *renewed) Retrieve(context.Context) (aws.Credentials, error) {
	if r.times++; r.times > 1 {
		return aws.Credentials{}, errors.New("the line is down")
	}
	return aws.Credentials{AccessKeyID: "AKID"}, nil
}

// Who had credentials has a right to them: that they cannot be renewed now may pass.
func TestCredentialsThatCannotBeRenewed(t *testing.T) {
	a := &asked{CredentialsProvider: &renewed{}}
	_, err := a.Retrieve(t.Context())
	require.NoError(t, err)
	_, err = a.Retrieve(t.Context())
	require.EqualError(t, err, "the line is down")
	require.NoError(t, classify(err))

	_, err = (&asked{CredentialsProvider: &renewed{times: 1}}).Retrieve(t.Context())
	require.ErrorIs(t, classify(err), storage.ErrDenied)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = (&asked{CredentialsProvider: &renewed{times: 1}}).Retrieve(ended)
	require.NoError(t, classify(err), "that says nothing of the credentials")
}

// Which region is wanted, the service says, and what to do about it, we do.
func TestAnotherRegion(t *testing.T) {
	for _, c := range []struct {
		status        int
		code, message string
		want          error
	}{
		{http.StatusMovedPermanently, "PermanentRedirect", "use the other endpoint", storage.ErrInvalidConfig},
		{http.StatusBadRequest, "IllegalLocationConstraintException", "incompatible for the region", storage.ErrInvalidConfig},
		{http.StatusBadRequest, "AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'", storage.ErrInvalidConfig},
		{http.StatusBadRequest, "AuthorizationHeaderMalformed", "a non-empty Access Key (AKID) must be provided", storage.ErrDenied},
	} {
		svc, endpoint := newService(t)
		svc.before = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte("<Error><Code>" + c.code + "</Code><Message>" + c.message + "</Message></Error>"))
			return true
		}
		s := open(t, endpoint)
		all := everyOperation(t, s)
		for _, err := range s.List(t.Context(), "", "") {
			all["list"] = err
		}
		for op, err := range all {
			require.ErrorIs(t, err, c.want, "%s: %s", c.code, op)
			if c.want == storage.ErrInvalidConfig {
				require.ErrorContains(t, err, `the bucket is in another region, eu-west-1: set the parameter "region" to that`, op)
			}
		}
	}
}
