package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/named"
)

// byCode holds the error codes of the Blob service whose meaning the HTTP
// status alone does not give.
var byCode = map[bloberror.Code]error{
	bloberror.ContainerNotFound:     storage.ErrNoBucket,
	bloberror.ContainerBeingDeleted: storage.ErrNoBucket,
	bloberror.ContainerDisabled:     storage.ErrDenied,
	bloberror.AccountIsDisabled:     storage.ErrDenied,
	bloberror.BlobAlreadyExists:     storage.ErrExists,
	// What credentials that may create but not overwrite are told, instead.
	bloberror.UnauthorizedBlobOverwrite: storage.ErrExists,
	bloberror.BlobImmutableDueToPolicy:  storage.ErrDenied,
	bloberror.LeaseIDMissing:            storage.ErrDenied, // 412, but no condition of ours
	// Another creator of this blob has committed, which drops the blocks of all
	// others: the next attempt will find it.
	bloberror.InvalidBlockList:   storage.ErrUnavailable,
	bloberror.InvalidBlobOrBlock: storage.ErrUnavailable,
}

// classify returns the sentinel of package storage that an error of the SDK
// stands for, or nil if it cannot tell. A failed condition stands for
// ErrExists: what we make conditional is creation (Put knows better about itself).
func classify(err error) error {
	var reply *azcore.ResponseError
	if errors.As(err, &reply) {
		if class, ok := byCode[bloberror.Code(reply.ErrorCode)]; ok {
			return class
		}
		return byStatus(reply.StatusCode)
	}
	var denied *azidentity.AuthenticationFailedError
	switch {
	case errors.As(err, &denied):
		return storage.ErrDenied
	case isCut(err):
		return storage.ErrUnavailable
	}
	return nil
}

// isCut reports whether the line broke, before an answer or in the middle of
// one. What is not the service counts too, and an unknown host, which gocloud takes for
// an object that is not there.
func isCut(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, errForeign) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(broken))
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

// broken is a body that ended early.
type broken struct{ error }

func (e broken) Unwrap() error { return e.error }

// fail says what was done to which object and wraps the class of err. The end
// of the caller's context wins, since what else failed then failed because of it.
func (s *store) fail(ctx context.Context, op, key string, err error) error {
	if ended := ctx.Err(); ended != nil {
		err = fmt.Errorf("%s %s: %w (%v)", op, key, ended, err)
	} else if class := named.Class(classify(err), s.called); class != nil {
		err = fmt.Errorf("%s %s: %w: %w", op, key, class, err)
	} else {
		err = fmt.Errorf("%s %s: %w", op, key, err)
	}
	return oneLine(err)
}
