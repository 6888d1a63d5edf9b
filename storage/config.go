package storage

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// ErrInvalidConfig: a URL or Config names no store. Its text says what is wrong
// and what is allowed, and never repeats a value that could be a secret.
var ErrInvalidConfig = errors.New("invalid storage configuration")

// Config says where a store is and how to get in. [ParseURL] makes one from a
// URL; credentials are never part of a URL and are set here, or left out, and
// then the driver takes them from its SDK's usual environment.
type Config struct {
	Scheme string     // "file", "mem", or one of a [Driver]: "s3", "gs", "azblob"
	Bucket string     // bucket or container; for "file" the folder; for "mem" empty
	Prefix string     // put before every key, with a slash between; "" for none
	Params url.Values // options of the driver, which documents them

	Key    Secret // access key id or account name
	Secret Secret // secret access key, account key or credentials file content
	Token  Secret // session token, where the service knows one
}

// String returns the URL of c without its secrets. What looks like a secret in
// the wrong place, which [OpenConfig] refuses, is left out too.
func (c Config) String() string {
	bucket, p := c.Bucket, c.Prefix
	switch {
	case c.Scheme == schemeFile:
		bucket, p = "", filepath.ToSlash(joinFolder(c.Bucket, c.Prefix))
	case c.checkBucket() != nil:
		bucket = "..."
	}
	s := c.Scheme + "://" + bucket
	if p = strings.TrimPrefix(p, "/"); p != "" {
		// As ParseURL wants it: an "@" could be the end of a credential.
		s += "/" + strings.ReplaceAll((&url.URL{Path: p}).EscapedPath(), "@", "%40")
	}
	shown := url.Values{}
	for name, values := range c.Params {
		if checkParam(name, values) == nil {
			shown[name] = values
		}
	}
	if len(shown) > 0 {
		s += "?" + shown.Encode()
	}
	return s
}

// GoString returns what String does.
func (c Config) GoString() string { return c.String() }

// check reports what no driver can accept.
func (c Config) check() error {
	if err := c.checkBucket(); err != nil {
		return err
	}
	if c.Prefix != "" {
		if err := CheckKey(c.Prefix); err != nil {
			return fmt.Errorf("%w: prefix: %w", ErrInvalidConfig, err)
		}
	}
	for name, values := range c.Params {
		if err := checkParam(name, values); err != nil {
			return err
		}
	}
	return nil
}

// bucketLetters are those of the bucket names of all services; "$" is for
// Azure's $root and $web.
const bucketLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_$"

func (c Config) checkBucket() error {
	if c.Scheme == schemeFile || c.Scheme == schemeMem {
		return nil // their openers look
	}
	if c.Bucket == "" || strings.Trim(c.Bucket, bucketLetters) != "" || looksSecretText(c.Bucket) {
		return fmt.Errorf("%w: the bucket of a %s store needs a name of letters, digits, '.', '-' and '_'", ErrInvalidConfig, c.Scheme)
	}
	return nil
}

func checkParam(name string, values []string) error {
	switch {
	case looksSecret(name, values):
		return fmt.Errorf("%w: a parameter looks like a credential: credentials belong into Config.Key and Config.Secret or into the environment, never into a URL", ErrInvalidConfig)
	case len(values) != 1:
		return fmt.Errorf("%w: parameter %q is given %d times", ErrInvalidConfig, name, len(values))
	}
	return nil
}

// secretNames are the whole names, secretParts the parts of names, of
// parameters that carry credentials in what the services and their tools write
// (pre-signed URLs, shared access signatures, connection strings). kmskeyid is
// none: it names a key.
var (
	secretNames = []string{"key", "sig", "sas", "pwd", "auth", "user", "username"}
	secretParts = []string{"secret", "passw", "passphrase", "token", "credential", "signature", "accesskey", "access_key", "access-key", "accountkey", "account_key", "account-key", "apikey", "api_key", "api-key", "private"}
)

func looksSecret(name string, values []string) bool {
	name = strings.ToLower(name)
	for _, s := range secretNames {
		if name == s {
			return true
		}
	}
	for _, s := range secretParts {
		if strings.Contains(name, s) {
			return true
		}
	}
	for _, v := range append(values, name) {
		if looksSecretText(v) {
			return true
		}
	}
	return false
}

// looksSecretText recognises an AWS access key id, a key in PEM, and the user
// information of a URL, as in endpoint=https://user:password@host.
func looksSecretText(s string) bool {
	upper := strings.ToUpper(s)
	if strings.Contains(s, "-----BEGIN") || strings.HasPrefix(upper, "AKIA") || strings.HasPrefix(upper, "ASIA") && len(s) == 20 {
		return true
	}
	_, rest, isURL := strings.Cut(s, "://")
	return isURL && strings.Contains(rest, "@")
}
