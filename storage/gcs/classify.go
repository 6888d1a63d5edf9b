package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/auth"
	gcstorage "cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/named"
)

// classify returns the sentinel of package storage that an error of the SDK
// stands for, or nil if it cannot tell. A failed condition stands for
// ErrExists: what we make conditional is creation (Put knows better about itself).
func classify(err error) error {
	var reply *googleapi.Error
	if errors.As(err, &reply) {
		return classifyReply(reply)
	}
	var token *auth.Error
	switch {
	case errors.Is(err, gcstorage.ErrBucketNotExist):
		return storage.ErrNoBucket
	case errors.Is(err, gcstorage.ErrObjectNotExist):
		return storage.ErrNotFound
	case errors.As(err, &token) && !token.Temporary():
		return storage.ErrDenied // the credentials were turned down before any request
	case token != nil, isCut(err):
		return storage.ErrUnavailable
	}
	return nil
}

// isCut reports whether the line broke, before an answer or in the middle of one.
// What is not the service counts too.
func isCut(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, errForeign) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(broken))
}

func classifyReply(reply *googleapi.Error) error {
	switch code := reply.Code; {
	// The status and reason are the same for object and bucket; only the text differs.
	case code == http.StatusNotFound && strings.Contains(reply.Error(), "bucket does not exist"):
		return storage.ErrNoBucket
	case code == http.StatusNotFound:
		return storage.ErrNotFound
	case code == http.StatusPreconditionFailed:
		return storage.ErrExists
	// Some quotas are answered as 403; the reason tells them from a lack of rights.
	case code == http.StatusForbidden && hasReason(reply, "rateLimitExceeded", "userRateLimitExceeded"):
		return storage.ErrUnavailable
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return storage.ErrDenied
	case code == http.StatusRequestTimeout || code == http.StatusConflict || code == http.StatusTooManyRequests:
		return storage.ErrUnavailable
	case code >= 500 && code != http.StatusNotImplemented:
		return storage.ErrUnavailable
	}
	return nil
}

// hasReason looks into the body as well: the SDK does not parse that of a
// failed download.
func hasReason(reply *googleapi.Error, reasons ...string) bool {
	for _, reason := range reasons {
		parsed := slices.ContainsFunc(reply.Errors, func(item googleapi.ErrorItem) bool { return item.Reason == reason })
		if parsed || strings.Contains(reply.Body, `"`+reason+`"`) {
			return true
		}
	}
	return false
}

// broken is a body that ended early.
type broken struct{ error }

func (e broken) Unwrap() error { return e.error }

// fail says what was done to which object and wraps the class of err. The end
// of the caller's context wins, since what else failed then failed because of it.
func (s *store) fail(ctx context.Context, op, key string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s %s: %w (%v)", op, key, ended, err)
	}
	if class := named.Class(classify(err), s.called); class != nil {
		return fmt.Errorf("%s %s: %w: %w", op, key, class, err)
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}
