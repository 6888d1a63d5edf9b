package azure

import (
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/pondworks/sluice/storage"
)

const (
	paramAccount   = "account"
	paramEndpoint  = "endpoint"
	paramAnonymous = "anonymous"

	envAccount    = "AZURE_STORAGE_ACCOUNT"
	envKey        = "AZURE_STORAGE_KEY"
	envSAS        = "AZURE_STORAGE_SAS_TOKEN"
	envConnection = "AZURE_STORAGE_CONNECTION_STRING"

	// publicDomain is where the accounts of the public cloud live; other clouds
	// are reached by their endpoint.
	publicDomain = "blob.core.windows.net"

	accountLetters = "abcdefghijklmnopqrstuvwxyz0123456789"
)

// settings says which service to use and how to prove who we are: of key, sas
// and connection at most one is set.
type settings struct {
	account, endpoint    string
	key, sas, connection string
	anonymous            bool
}

// parseParams checks the parameters and adds what the environment says. Its
// errors name parameters and what is allowed but never repeat a value: what a
// user mistyped may be a secret.
func parseParams(c storage.Config) (settings, error) {
	var set settings
	for name, values := range c.Params {
		if name != paramAccount && name != paramEndpoint && name != paramAnonymous {
			return settings{}, invalid("unknown parameter %q (allowed: %s, %s, %s)",
				name, paramAccount, paramAnonymous, paramEndpoint)
		}
		if len(values) != 1 {
			return settings{}, invalid("parameter %q is given %d times", name, len(values))
		}
	}
	if c.Params.Has(paramAnonymous) {
		b, err := strconv.ParseBool(c.Params.Get(paramAnonymous))
		if err != nil {
			return settings{}, invalid("parameter %q is neither true nor false", paramAnonymous)
		}
		set.anonymous = b
	}
	if err := set.credentials(c); err != nil {
		return settings{}, err
	}
	return set, set.locate(c.Params)
}

// credentials follows the order of the package comment.
func (s *settings) credentials(c storage.Config) error {
	s.account = first(c.Params.Get(paramAccount), c.Key.Reveal(), os.Getenv(envAccount))
	switch {
	case c.Key.IsZero() != (c.Secret.IsZero() && c.Token.IsZero()):
		return invalid("key (the account) and secret or token are given together or not at all")
	case !c.Secret.IsZero() && !c.Token.IsZero():
		return invalid("secret and token exclude each other")
	case !c.Key.IsZero() && s.anonymous:
		return invalid("parameter %q excludes key, secret and token", paramAnonymous)
	case !c.Key.IsZero() && c.Key.Reveal() != s.account:
		return invalid("parameter %q and the key name two accounts", paramAccount)
	case !c.Key.IsZero():
		s.key, s.sas = c.Secret.Reveal(), c.Token.Reveal()
	case s.anonymous:
	case os.Getenv(envKey) != "" && s.account != "":
		s.key = os.Getenv(envKey)
	case os.Getenv(envSAS) != "":
		s.sas = os.Getenv(envSAS)
	case os.Getenv(envConnection) != "":
		s.connection = os.Getenv(envConnection)
	}
	return nil
}

// locate finds the service.
func (s *settings) locate(params url.Values) error {
	if !params.Has(paramEndpoint) {
		if s.account == "" && s.connection == "" {
			return invalid("no account: set parameter %q or %s", paramAccount, envAccount)
		}
		if strings.Trim(s.account, accountLetters) != "" {
			return invalid("parameter %q is none: an account has lower-case letters and digits only", paramAccount)
		}
		if s.connection != "" {
			return nil // it names the service
		}
		s.endpoint = "https://" + s.account + "." + publicDomain
		return nil
	}
	if s.connection != "" {
		return invalid("%s names the service and excludes parameter %q", envConnection, paramEndpoint)
	}
	if s.sas != "" && s.sas == os.Getenv(envSAS) {
		// The token travels in every request: what was set for one service must
		// not go to another because of a URL.
		return invalid("%s goes to Azure only and excludes parameter %q", envSAS, paramEndpoint)
	}
	u, err := url.Parse(params.Get(paramEndpoint))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return invalid("parameter %q is not an http or https URL", paramEndpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return invalid("parameter %q has more than scheme, host, port and path", paramEndpoint)
	}
	s.endpoint = u.String()
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// invalid returns an error wrapping storage.ErrInvalidConfig.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: azure: %s", storage.ErrInvalidConfig, fmt.Sprintf(format, args...))
}
