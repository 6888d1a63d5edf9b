package s3

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pondworks/sluice/storage"
)

// isOtherRegion recognises how services say that a bucket is in another region than the one that
// the request was signed for, or sent to.
func isOtherRegion(api smithy.APIError) bool {
	switch api.ErrorCode() {
	case "PermanentRedirect", "IllegalLocationConstraintException":
		return true
	case "AuthorizationHeaderMalformed": // also of a key id that makes no sense
		return strings.Contains(api.ErrorMessage(), "region")
	}
	return false
}

// otherRegion is the class of such an error. It names the region, where the service does.
func otherRegion(err error) error {
	is := ""
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) && reply.Response != nil {
		is = reply.Response.Header.Get("X-Amz-Bucket-Region")
	}
	if is != "" {
		is = ", " + is
	}
	return fmt.Errorf("%w: the bucket is in another region%s: set the parameter %q to that", storage.ErrInvalidConfig, is, paramRegion)
}
