package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/named"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// fail adds operation, key and class to an error of the bucket; nil stays nil.
func (s *Store) fail(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, key, s.classified(ctx, op, err))
}

// classified returns err with its class. The context's own error comes first:
// what a driver says of a call that was cancelled means nothing.
func (s *Store) classified(ctx context.Context, op string, err error) error {
	var own *stream.SourceError
	if errors.As(err, &own) {
		return err
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	class := named.Class(s.classFor(op, s.classify(err)), s.opts.Name)
	switch {
	case class != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		// A time limit of the SDK's own. It must not look like the caller's.
		return fmt.Errorf("%w: %s", class, hideQueries(err.Error()))
	case class == nil || errors.Is(err, class):
		return hide(err)
	}
	return fmt.Errorf("%w: %w", class, hide(err))
}

// classFor corrects a class by what the operation can meet: only the bucket can
// be missing where no object is asked for, and a stream that was flowing and
// stops has broken, however its protocol words that (the errors of HTTP/2 have
// no type to recognise).
func (s *Store) classFor(op string, class error) error {
	switch {
	case class == storage.ErrNotFound && (op == opCreate || op == opPut || op == opList):
		if s.opts.KnowsNoBucket {
			return nil
		}
		return storage.ErrNoBucket
	case class == nil && op == opRead:
		return storage.ErrUnavailable
	}
	return class
}

// The operations, as errors name them.
const (
	opOpen   = "open"
	opRead   = "read"
	opList   = "list"
	opCreate = "create"
	opGet    = "get"
	opPut    = "put"
	opDelete = "delete"
)

// classify returns the sentinel that err stands for, or nil.
func (s *Store) classify(err error) error {
	if class := storage.Class(err); class != nil {
		return class
	}
	if s.opts.Classify != nil {
		if class := s.opts.Classify(err); class != nil {
			return class
		}
	}
	return defaultClass(err)
}

// defaultClass knows what the SDKs have in common. It is an allow list: what it
// does not know is not retried and not taken for a missing object.
func defaultClass(err error) error {
	var api interface{ ErrorCode() string }
	if errors.As(err, &api) {
		if class, ok := apiCodes[api.ErrorCode()]; ok {
			return class
		}
	}
	var reply interface{ HTTPStatusCode() int }
	if errors.As(err, &reply) && reply.HTTPStatusCode() != 0 {
		if class := statusClass(reply.HTTPStatusCode()); class != nil {
			return class
		}
	}
	switch {
	case isDenied(err):
		return storage.ErrDenied
	case isNetwork(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return storage.ErrUnavailable
	}
	return codeClass(gcerrors.Code(err))
}

// apiCodes are the error codes of the S3 protocol that no status tells.
var apiCodes = map[string]error{
	"NoSuchKey":                  storage.ErrNotFound,
	"NoSuchBucket":               storage.ErrNoBucket,
	"PreconditionFailed":         storage.ErrExists,
	"ConditionalRequestConflict": storage.ErrUnavailable, // two creators met; either may try again
	"OperationAborted":           storage.ErrUnavailable,
	"SlowDown":                   storage.ErrUnavailable,
	"Throttling":                 storage.ErrUnavailable,
	"InternalError":              storage.ErrUnavailable,
	"ServiceUnavailable":         storage.ErrUnavailable,
	"RequestTimeout":             storage.ErrUnavailable,
	"AccessDenied":               storage.ErrDenied,
	"InvalidAccessKeyId":         storage.ErrDenied,
	"SignatureDoesNotMatch":      storage.ErrDenied,
	"ExpiredToken":               storage.ErrDenied,
}

func statusClass(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return storage.ErrDenied
	case http.StatusNotFound:
		return storage.ErrNotFound
	case http.StatusPreconditionFailed:
		return storage.ErrExists
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return storage.ErrUnavailable
	}
	return nil
}

// isDenied also knows the errors of Google's client, which gocloud links
// anyway, because gocloud calls their 403 "not found": a store that is closed to
// us must never look empty.
func isDenied(err error) bool {
	var google *googleapi.Error
	if errors.As(err, &google) {
		return statusClass(google.Code) == storage.ErrDenied
	}
	return errors.Is(err, fs.ErrPermission)
}

func isNetwork(err error) bool {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return true
	}
	for _, e := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func codeClass(code gcerrors.ErrorCode) error {
	switch code {
	case gcerrors.NotFound:
		return storage.ErrNotFound
	case gcerrors.AlreadyExists, gcerrors.FailedPrecondition:
		return storage.ErrExists
	case gcerrors.PermissionDenied:
		return storage.ErrDenied
	case gcerrors.ResourceExhausted, gcerrors.DeadlineExceeded:
		return storage.ErrUnavailable
	}
	return nil
}
