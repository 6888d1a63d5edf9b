package s3

import (
	"context"
	"net"
	"net/url"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// unsignedPayload is what is signed in place of the sha256 of a body (Amazon S3 API
// Reference, "Signature calculations for the Authorization header").
const unsignedPayload = "UNSIGNED-PAYLOAD"

// checksumHeader carries the CRC32 of a body, see store.checksum.
const checksumHeader = "X-Amz-Checksum-Crc32"

// trustLoopback spares a body that stays on this machine the sha256 for its signature.
// Over https the SDK leaves that out, since nobody on the line can change what is sent.
// Nobody can on the loopback interface, for which a browser takes plain http for secure as
// well (W3C, Secure Contexts, section 3.1). What may change by accident the checksum
// tells: a body that has none is hashed, as all that goes over plain http to elsewhere.
func trustLoopback(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("TrustLoopback",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if r, ok := in.Request.(*smithyhttp.Request); ok && r.Header.Get(checksumHeader) != "" && isLoopback(r.URL) {
				ctx = v4.SetPayloadHash(ctx, unsignedPayload)
			}
			return next.HandleFinalize(ctx, in)
		}), "ComputePayloadHash", middleware.Before)
}

// isLoopback reports whether requests to u stay on this machine: net/http sends them to no
// proxy either. The name localhost stands for it by RFC 6761, section 6.3.
func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
