package s3

import (
	"context"
	"errors"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
)

// errForeign: something on the way answered in the service's place, such as a proxy
// with a page of its own. The SDK takes any status 2xx for success: the page would
// pass for an object that was stored, or for an empty bucket. It may be gone
// later, so it is unavailable.
var errForeign = errors.New("the answer is not one of S3")

// refuseForeign has a client look at each answer, behind its retries.
func refuseForeign(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RefuseForeign",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, meta, err := next.HandleDeserialize(ctx, in)
			if err == nil && isForeign(out.Result) {
				if object, ok := out.Result.(*awss3.GetObjectOutput); ok {
					_ = object.Body.Close() // nothing of it is wanted
				}
				err = errForeign
			}
			return out, meta, err
		}), middleware.Before)
}

// isForeign recognises an answer that lacks what S3 always says.
func isForeign(answer any) bool {
	switch a := answer.(type) {
	case *awss3.PutObjectOutput:
		return a.ETag == nil
	case *awss3.UploadPartOutput:
		return a.ETag == nil
	case *awss3.CompleteMultipartUploadOutput:
		return a.ETag == nil
	case *awss3.GetObjectOutput:
		return a.ETag == nil
	case *awss3.HeadObjectOutput:
		return a.ETag == nil
	case *awss3.ListObjectsV2Output:
		return a.Name == nil && a.KeyCount == nil || lacksTime(a.Contents)
	}
	return false
}

// lacksTime reports an object without a time, which gocloud does not survive.
func lacksTime(objects []types.Object) bool {
	for _, o := range objects {
		if o.LastModified == nil {
			return true
		}
	}
	return false
}
