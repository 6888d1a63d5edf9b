package s3

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pondworks/sluice/storage"
)

// The parameters that a URL or a Config may carry. These names are part of the
// configuration format; the package comment says what each does.
const (
	paramRegion     = "region"
	paramEndpoint   = "endpoint"
	paramPathStyle  = "use_path_style"
	paramSSE        = "ssetype"
	paramKMSKey     = "kmskeyid"
	paramAnonymous  = "anonymous"
	paramProfile    = "profile"
	paramAccelerate = "accelerate"
	paramDualStack  = "dualstack"
	paramFIPS       = "fips"
	paramChecksums  = "checksums"
)

// settings is what the parameters say, checked.
type settings struct {
	region, endpoint, profile, kmsKey string
	sse                               types.ServerSideEncryption // "" leaves it to the bucket
	pathStyle                         *bool                      // nil: decided by the endpoint
	checksums                         *bool                      // nil: decided by the SDK's configuration
	anonymous                         bool
	accelerate, dualStack, fips       bool
}

// parseParams checks every parameter. Its errors name parameters and what is
// allowed but never repeat a value: what a user mistyped may be a secret.
func parseParams(params url.Values) (settings, error) {
	var s settings
	readers := map[string]func(string) error{
		paramRegion:     text(&s.region),
		paramEndpoint:   httpURL(&s.endpoint),
		paramPathStyle:  optionalBool(&s.pathStyle),
		paramSSE:        encryption(&s.sse),
		paramKMSKey:     text(&s.kmsKey),
		paramAnonymous:  boolean(&s.anonymous),
		paramProfile:    text(&s.profile),
		paramAccelerate: boolean(&s.accelerate),
		paramDualStack:  boolean(&s.dualStack),
		paramFIPS:       boolean(&s.fips),
		paramChecksums:  optionalBool(&s.checksums),
	}
	for name, values := range params {
		read, ok := readers[name]
		if !ok {
			return settings{}, invalid("unknown parameter %q (allowed: %s)", name, names(readers))
		}
		if len(values) != 1 {
			return settings{}, invalid("parameter %q is given %d times", name, len(values))
		}
		if err := read(values[0]); err != nil {
			return settings{}, invalid("parameter %q %v", name, err)
		}
	}
	return s, s.check()
}

// check refuses combinations that the service would refuse later or, worse,
// would ignore.
func (s settings) check() error {
	if s.kmsKey != "" && s.sse != types.ServerSideEncryptionAwsKms && s.sse != types.ServerSideEncryptionAwsKmsDsse {
		return invalid("parameter %q needs %q to be %q or %q",
			paramKMSKey, paramSSE, types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAwsKmsDsse)
	}
	if s.endpoint != "" && (s.accelerate || s.dualStack || s.fips) {
		return invalid("parameters %q, %q and %q choose an endpoint of AWS and exclude %q",
			paramAccelerate, paramDualStack, paramFIPS, paramEndpoint)
	}
	return nil
}

// invalid returns an error wrapping storage.ErrInvalidConfig.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: s3: %s", storage.ErrInvalidConfig, fmt.Sprintf(format, args...))
}

func names(readers map[string]func(string) error) string {
	all := make([]string, 0, len(readers))
	for name := range readers {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func text(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return fmt.Errorf("is empty")
		}
		*to = v
		return nil
	}
}

func boolean(to *bool) func(string) error {
	return func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("is neither true nor false")
		}
		*to = b
		return nil
	}
}

func optionalBool(to **bool) func(string) error {
	return func(v string) error {
		var b bool
		if err := boolean(&b)(v); err != nil {
			return err
		}
		*to = &b
		return nil
	}
}

// httpURL accepts the address of a service: no path that requests would lose,
// and no user or query that could carry a secret.
func httpURL(to *string) func(string) error {
	return func(v string) error {
		u, err := url.Parse(v)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("is not an http or https URL")
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("has more than scheme, host, port and path")
		}
		*to = v
		return nil
	}
}

func encryption(to *types.ServerSideEncryption) func(string) error {
	allowed := []types.ServerSideEncryption{
		types.ServerSideEncryptionAes256, types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAwsKmsDsse,
	}
	return func(v string) error {
		if !slices.Contains(allowed, types.ServerSideEncryption(v)) {
			return fmt.Errorf("is none of %v", allowed)
		}
		*to = types.ServerSideEncryption(v)
		return nil
	}
}
