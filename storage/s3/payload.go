package s3

import (
	"context"
	"net"
	"net/url"
	"sync/atomic"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// unsignedPayload is what is signed in place of the sha256 of a body (Amazon S3 API
	// Reference, "Signature calculations for the Authorization header").
	unsignedPayload = "UNSIGNED-PAYLOAD"
	// checksumHeader carries the CRC32 of a body, see store.checksum.
	checksumHeader = "X-Amz-Checksum-Crc32"
)

// loopback spares the bodies that go to a loopback address the sha256 for their signature.
// Over https the SDK leaves that out, since nobody on the line can change what is sent. Nor
// can anybody on the loopback interface, for which a browser takes plain http for secure as
// well (W3C, Secure Contexts, section 3.1). What changes by accident the checksum tells: a
// body that has none is hashed, and all are until the service has said that it looked at one.
// All that goes over plain http to elsewhere is hashed.
type loopback struct {
	checked atomic.Bool // the service has answered the last body that it stored with its checksum
}

// trust is an option of a client.
func (l *loopback) trust(stack *middleware.Stack) error {
	err := stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("TrustLoopback", l.sign), "ComputePayloadHash", middleware.Before)
	if err != nil {
		return err
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("LearnChecksum", l.learn), middleware.Before)
}

func (l *loopback) sign(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	r, ok := in.Request.(*smithyhttp.Request)
	if ok && l.checked.Load() && r.Header.Get(checksumHeader) != "" && isLoopback(r.URL) {
		ctx = v4.SetPayloadHash(ctx, unsignedPayload)
	}
	return next.HandleFinalize(ctx, in)
}

func (l *loopback) learn(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, meta, err := next.HandleDeserialize(ctx, in)
	if err == nil {
		switch a := out.Result.(type) {
		case *awss3.PutObjectOutput:
			l.checked.Store(a.ChecksumCRC32 != nil)
		case *awss3.UploadPartOutput:
			l.checked.Store(a.ChecksumCRC32 != nil)
		}
	}
	return out, meta, err
}

// isLoopback reports whether requests to u go to this machine. net/http sends them to no proxy
// either. By a name, be it localhost, a name server may lead elsewhere.
func isLoopback(u *url.URL) bool { return net.ParseIP(u.Hostname()).IsLoopback() }
