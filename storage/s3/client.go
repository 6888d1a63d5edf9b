package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/stall"
)

const (
	// uploadTries is how often a request of an upload that has begun is tried.
	// All others are tried once: storage.Retry sits above and repeats whole
	// operations, and two layers would multiply. But for a part that means to send
	// everything again, from a source that may be gone, and only here are its
	// bytes still in memory.
	uploadTries = 3
	// uploadBackoff bounds the wait between two of these tries.
	uploadBackoff = 2 * time.Second
	// endpointRegion signs requests to an endpoint of its own for which nobody
	// named a region: such services accept any, this one is their usual default.
	endpointRegion = "us-east-1"

	// readBuffer is how many bytes a connection reads ahead. Whoever unpacks reads a few
	// bytes and then a block; with net/http's 4 KiB every block took two reads of the
	// socket, which made an init from a server nearby a tenth slower.
	readBuffer = 64 << 10
)

// newClient builds the client of one bucket. It also says whether uploads
// carry a checksum for the service to verify. Requests on which nothing moves for
// the time stalled are given up.
func newClient(ctx context.Context, c storage.Config, s settings, stalled time.Duration) (client *awss3.Client, checksums bool, err error) {
	load, err := loadOptions(c, s)
	if err != nil {
		return nil, false, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, false, fmt.Errorf("s3: load configuration: %w", err)
	}
	if !s.anonymous {
		cfg.Credentials = &asked{CredentialsProvider: cfg.Credentials}
	}
	client = awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		s.apply(o)
		if line, known := o.HTTPClient.(*awshttp.BuildableClient); known {
			o.HTTPClient = line.WithTransportOptions(func(t *http.Transport) { t.ReadBufferSize = readBuffer })
		}
		o.HTTPClient = stall.Client(o.HTTPClient, stalled)
		o.APIOptions = append(o.APIOptions, refuseForeign, new(loopback).trust)
	})
	if client.Options().Region == "" {
		return nil, false, invalid("no region: set parameter %q or AWS_REGION", paramRegion)
	}
	checksums = cfg.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
	if s.checksums != nil {
		checksums = *s.checksums
	}
	return client, checksums, nil
}

// loadOptions says what overrides the SDK's default chain of environment,
// shared files and instance role.
func loadOptions(c storage.Config, s settings) ([]func(*config.LoadOptions) error, error) {
	options := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}), // a library does not print
	}
	switch {
	case c.Key.IsZero() != c.Secret.IsZero():
		return nil, invalid("key and secret are given together or not at all")
	case c.Key.IsZero() && !c.Token.IsZero():
		return nil, invalid("a token needs key and secret")
	case !c.Key.IsZero() && s.anonymous:
		return nil, invalid("parameter %q excludes key and secret", paramAnonymous)
	case !c.Key.IsZero():
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.Key.Reveal(), c.Secret.Reveal(), c.Token.Reveal())))
	case s.anonymous:
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if s.region != "" {
		options = append(options, config.WithRegion(s.region))
	}
	if s.profile != "" {
		options = append(options, config.WithSharedConfigProfile(s.profile))
	}
	return options, nil
}

// apply sets what the parameters say on top of the SDK's configuration, which
// may itself name an endpoint (AWS_ENDPOINT_URL_S3).
func (s settings) apply(o *awss3.Options) {
	o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0 // whatever AWS_MAX_ATTEMPTS says
	if s.endpoint != "" {
		o.BaseEndpoint = aws.String(s.endpoint)
	}
	foreign := o.BaseEndpoint != nil && !isAWS(*o.BaseEndpoint)
	if foreign && o.Region == "" {
		o.Region = endpointRegion
	}
	// Few services other than AWS have a host name for each bucket.
	o.UsePathStyle = foreign
	if s.pathStyle != nil {
		o.UsePathStyle = *s.pathStyle
	}
	o.UseAccelerate = s.accelerate
	if s.dualStack {
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	if s.fips {
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	// Left alone, the SDK sends its checksum in a trailer behind a chunked
	// body, which many services other than AWS refuse. We send the same
	// checksum as a plain header instead (see checksum).
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.DisableLogOutputChecksumValidationSkipped = true
}

// patient returns the option that gives a request uploadTries, with waits of at
// most longest between them. Who uses one of
// it shares its budget of retries, which the SDK keeps for a service in trouble.
func patient(longest time.Duration) func(*awss3.Options) {
	r := retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = uploadTries, longest })
	return func(o *awss3.Options) { o.Retryer = r }
}

func isAWS(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}
