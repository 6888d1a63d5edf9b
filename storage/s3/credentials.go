package s3

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pondworks/sluice/storage"
)

// errNoCredentials: to ask again would only take the time that it takes to look everywhere.
var errNoCredentials = fmt.Errorf("%w: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or key and secret of the configuration", storage.ErrDenied)

// asked marks the errors of credentials that cannot be had: those of the SDK have no type in
// common. Once there were some, a failure to renew them is what it looks like, be it a line that is
// down.
type asked struct {
	aws.CredentialsProvider
	had atomic.Bool
}

// Retrieve is aws.CredentialsProvider.Retrieve.
func (a *asked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := a.CredentialsProvider.Retrieve(ctx)
	switch {
	case err == nil:
		a.had.Store(true)
	case ctx.Err() == nil && !a.had.Load():
		err = noCredentials(err.Error())
	}
	return c, err
}

// noCredentials is why there are none. It wraps nothing: the SDK may have set itself a time limit,
// which must not look like the caller's.
type noCredentials string

func (e noCredentials) Error() string { return string(e) }
