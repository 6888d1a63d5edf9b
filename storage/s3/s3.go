// Package s3 is the storage driver for Amazon S3 and services that speak its
// protocol: pass [Driver] to storage.Open.
//
//	store, err := storage.Open(ctx, "s3://bucket/prefix?region=eu-west-1", s3.Driver())
//
// Credentials come from Config.Key and Config.Secret (access key id and secret
// access key, both or neither; Config.Token for a session token), else from the default chain of the AWS SDK
// (environment, shared files, container or instance role). A URL never carries
// them.
//
// Parameters, in a URL or in Config.Params; any other is refused:
//
//	region          region of the bucket; default: AWS_REGION or the shared configuration
//	endpoint        URL of another service than AWS, for example http://127.0.0.1:9000
//	use_path_style  put the bucket into the path instead of the host name; default: true
//	                where the endpoint is not one of AWS, else false
//	ssetype         server-side encryption: AES256, aws:kms or aws:kms:dsse; default: what
//	                the bucket says
//	kmskeyid        the KMS key for the latter two
//	anonymous       true: send no credentials
//	profile         profile of the shared configuration
//	accelerate, dualstack, fips
//	                true: use this kind of AWS endpoint
//	checksums       false: send no CRC32 for the service to verify, for services that
//	                refuse the header; default: as AWS_REQUEST_CHECKSUM_CALCULATION says, else true
//
// Unless the store is anonymous, bodies are part of the signature where they go over plain http,
// so that nobody on the line can change them, but for those to a loopback address (such as
// http://127.0.0.1:9000, not a name) of a service that checks their CRC32. Who forwards that
// address over a line which others can write to names it by localhost: then they are.
//
// The credentials need s3:GetObject and s3:ListBucket to read, and
// s3:PutObject to create. s3:AbortMultipartUpload is wanted for large objects:
// without it, what a failed upload left behind stays, unseen but paid for,
// until a lifecycle rule of the bucket removes it. Without s3:ListBucket the
// service answers "access denied" instead of "not found", which is an error here
// (storage.ErrDenied) and never read as an empty store.
package s3

import (
	"context"
	"fmt"
	"time"

	"gocloud.dev/blob/s3blob"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/bucket"
	"github.com/pondworks/sluice/storage/internal/named"
	"github.com/pondworks/sluice/storage/internal/stall"
)

type s3Driver struct {
	stalled time.Duration // when a request on which nothing moves is given up
}

// Driver returns the driver for URLs s3://bucket/prefix. The stores that it
// opens are also a storage.Deleter and a storage.Overwriter, whose tags are the
// ETags of the service.
func Driver() storage.Driver { return s3Driver{stalled: stall.Limit} }

// Schemes returns "s3".
func (s3Driver) Schemes() []string { return []string{"s3"} }

// Open returns a store for c as the package comment describes. It sends no
// request to the bucket, so a bucket that is missing or closed to these
// credentials shows at the first use.
func (d s3Driver) Open(ctx context.Context, c storage.Config) (storage.Store, error) {
	if c.Bucket == "" {
		return nil, invalid("no bucket")
	}
	set, err := parseParams(c.Params)
	if err != nil {
		return nil, err
	}
	client, checksums, err := newClient(ctx, c, set, d.stalled)
	if err != nil {
		return nil, err
	}
	b, err := s3blob.OpenBucket(ctx, client, c.Bucket, nil)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	reader, err := bucket.New(b, &bucket.Options{
		Prefix:        c.Prefix,
		Name:          named.Bucket(c.Bucket),
		Classify:      classify,
		KnowsNoBucket: true,
		StartAfter:    startAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &store{
		bucketStore: reader, client: client, bucket: c.Bucket, prefix: c.Prefix,
		sse: set.sse, kmsKey: set.kmsKey, checksums: checksums, part: minPart, patient: patient(uploadBackoff), probing: make(chan struct{}, 1),
	}, nil
}
