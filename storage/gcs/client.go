package gcs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	gcstorage "cloud.google.com/go/storage"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/stall"
)

const (
	paramEndpoint  = "endpoint"
	paramAnonymous = "anonymous"

	// emulatorVariable makes the SDK speak to an emulator, without credentials.
	emulatorVariable = "STORAGE_EMULATOR_HOST"

	// apiPath is where the JSON API of every such service is.
	apiPath = "/storage/v1/"
)

// settings is what the parameters say, checked.
type settings struct {
	endpoint  string // with apiPath; "" is Google's
	anonymous bool
}

// newClient builds the client of one bucket. Requests on which nothing moves for the
// time stalled are given up.
func newClient(ctx context.Context, c storage.Config, stalled time.Duration) (*gcstorage.Client, error) {
	set, err := parseParams(c.Params)
	if err != nil {
		return nil, err
	}
	access, err := accessOptions(c, set)
	if err != nil {
		return nil, err
	}
	// As the SDK does it, which shows nobody the transport that it makes.
	line, _, err := htransport.NewClient(ctx, append(access, internaloption.EnableNewAuthLibrary())...)
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	line.Transport = singleStreams{stall.Transport(line.Transport, stalled)}
	options := []option.ClientOption{
		option.WithHTTPClient(line),
		// One API for everything, so that reads go where endpoint says.
		gcstorage.WithJSONReads(),
	}
	if set.endpoint != "" {
		options = append(options, option.WithEndpoint(set.endpoint))
	}
	client, err := gcstorage.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	// By default the SDK repeats a request until the context ends, and for
	// uploads WithMaxAttempts does not change that: a Create would hang for as
	// long as the service is away. storage.Retry sits above and repeats whole
	// operations, and two layers would multiply. The chunks of an upload session
	// that has begun, which could not be read from their source again, are still
	// sent anew, for up to 32 s each.
	client.SetRetry(gcstorage.WithPolicy(gcstorage.RetryNever))
	return client, nil
}

// accessOptions say how to get in.
func accessOptions(c storage.Config, set settings) ([]option.ClientOption, error) {
	options := []option.ClientOption{
		// The right to change permissions is not needed.
		option.WithScopes(gcstorage.ScopeReadWrite),
	}
	secret := c.Secret.Reveal()
	switch {
	case !c.Key.IsZero() || !c.Token.IsZero():
		return nil, invalid("key and token are not used: put the JSON of the credentials into secret")
	case secret != "" && set.anonymous:
		return nil, invalid("parameter %q excludes a secret", paramAnonymous)
	case secret != "":
		kind, err := credentialsType(secret)
		if err != nil {
			return nil, err
		}
		options = append(options, option.WithAuthCredentialsJSON(kind, []byte(secret)))
	case set.anonymous || os.Getenv(emulatorVariable) != "":
		options = append(options, option.WithoutAuthentication())
	}
	return options, nil
}

// credentialsType accepts the two types that hold a key. The others name URLs
// and commands from which to fetch one, which a configuration should not be able to.
func credentialsType(secret string) (option.CredentialsType, error) {
	var head struct{ Type option.CredentialsType }
	// The decoder's error could quote the secret.
	if json.Unmarshal([]byte(secret), &head) != nil {
		return "", invalid("secret is not the JSON of credentials")
	}
	if head.Type != option.ServiceAccount && head.Type != option.AuthorizedUser {
		return "", invalid("secret has credentials of a type other than %q and %q; "+
			"others go through GOOGLE_APPLICATION_CREDENTIALS", option.ServiceAccount, option.AuthorizedUser)
	}
	return head.Type, nil
}

// parseParams checks every parameter. Its errors name parameters and what is
// allowed but never repeat a value: what a user mistyped may be a secret.
func parseParams(params url.Values) (settings, error) {
	var set settings
	for name, values := range params {
		if name != paramEndpoint && name != paramAnonymous {
			return settings{}, invalid("unknown parameter %q (allowed: %s, %s)", name, paramAnonymous, paramEndpoint)
		}
		if len(values) != 1 {
			return settings{}, invalid("parameter %q is given %d times", name, len(values))
		}
	}
	if v := params.Get(paramAnonymous); params.Has(paramAnonymous) {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return settings{}, invalid("parameter %q is neither true nor false", paramAnonymous)
		}
		set.anonymous = b
	}
	if params.Has(paramEndpoint) {
		endpoint, err := parseEndpoint(params.Get(paramEndpoint), set.anonymous)
		if err != nil {
			return settings{}, err
		}
		set.endpoint = endpoint
	}
	return set, nil
}

// parseEndpoint wants https where credentials travel: a bearer token that is
// read on the way can be used by whoever read it.
func parseEndpoint(v string, anonymous bool) (string, error) {
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return "", invalid("parameter %q is not an http or https URL", paramEndpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", invalid("parameter %q has more than scheme, host and port", paramEndpoint)
	}
	if u.Scheme == "http" && !anonymous {
		return "", invalid("parameter %q must be https, or %q true", paramEndpoint, paramAnonymous)
	}
	return u.Scheme + "://" + u.Host + apiPath, nil
}

// invalid returns an error wrapping storage.ErrInvalidConfig.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: gcs: %s", storage.ErrInvalidConfig, fmt.Sprintf(format, args...))
}
