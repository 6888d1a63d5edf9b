package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/named"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// byCode holds the error codes of the S3 API reference whose meaning the HTTP
// status alone does not give.
var byCode = map[string]error{
	"NoSuchKey":                  storage.ErrNotFound,
	"NoSuchBucket":               storage.ErrNoBucket,
	"AccessDenied":               storage.ErrDenied,
	"AllAccessDisabled":          storage.ErrDenied,
	"ExpiredToken":               storage.ErrDenied,
	"InvalidAccessKeyId":         storage.ErrDenied,
	"InvalidToken":               storage.ErrDenied,
	"SignatureDoesNotMatch":      storage.ErrDenied,
	"XAdminUserNotFound":         storage.ErrDenied, // versitygw, with status 404, of a key id that it does not know
	"PreconditionFailed":         storage.ErrExists,
	"ConditionalRequestConflict": storage.ErrUnavailable, // two conditional writes met; neither need have won
	"OperationAborted":           storage.ErrUnavailable,
	"NoSuchUpload":               storage.ErrUnavailable, // somebody else removed or completed this upload: start anew
	// With a word of the region it is another thing, see isOtherRegion.
	"AuthorizationHeaderMalformed": storage.ErrDenied,
	"RequestTimeout":               storage.ErrUnavailable,
	"RequestTimeTooSkewed":         storage.ErrDenied,
	"SlowDown":                     storage.ErrUnavailable,
	"Throttling":                   storage.ErrUnavailable,
	"ThrottlingException":          storage.ErrUnavailable,
	"InternalError":                storage.ErrUnavailable,
	"ServiceUnavailable":           storage.ErrUnavailable,
}

// classify returns the sentinel of package storage that an error of the SDK
// stands for, or nil if it cannot tell. PreconditionFailed stands for ErrExists: what
// we make conditional is creation (Put knows better about itself).
func classify(err error) error {
	if errors.As(err, new(noCredentials)) {
		return errNoCredentials
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if isOtherRegion(api) {
			return otherRegion(err)
		}
		if class, ok := byCode[api.ErrorCode()]; ok {
			return class
		}
	}
	// A request that was never answered comes as a reply with status 0.
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) && byStatus(reply.HTTPStatusCode()) != nil {
		return byStatus(reply.HTTPStatusCode())
	}
	if isCut(err) {
		return storage.ErrUnavailable
	}
	return nil
}

// isCut reports whether the line broke: before the request was through, while
// the reply was read, or in the middle of a body. What is not the service counts too.
func isCut(err error) bool {
	var send *smithyhttp.RequestSendError
	var network net.Error
	return errors.As(err, &send) || errors.As(err, &network) || errors.Is(err, errForeign) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(broken))
}

func byStatus(code int) error {
	switch {
	case code == http.StatusNotFound:
		return storage.ErrNotFound
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return storage.ErrDenied
	case code == http.StatusPreconditionFailed:
		return storage.ErrExists
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests:
		return storage.ErrUnavailable
	case code >= 500 && code != http.StatusNotImplemented:
		return storage.ErrUnavailable
	}
	return nil
}

func isCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}

// broken is a body that ended early.
type broken struct{ error }

func (e broken) Unwrap() error { return e.error }

// fail says what was done to which object and wraps the class of err. The end
// of the caller's context wins, since what else failed then failed because of it.
func (s *store) fail(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%s %s: %w (%v)", op, key, ended, err)
	}
	if own := (*stream.SourceError)(nil); errors.As(err, &own) {
		return fmt.Errorf("%s %s: %w", op, key, err) // whatever it looks like
	}
	if class := named.Class(classify(err), named.Bucket(s.bucket)); class != nil && ctx.Err() == nil {
		return fmt.Errorf("%s %s: %w: %w", op, key, class, err)
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}
