package storage

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKey is the greatest length of a key in bytes, the store's prefix
// included: the least of the limits of the services (S3, Google Cloud Storage
// and Azure all allow 1024).
const MaxKey = 1024

// CheckKey returns an error wrapping ErrInvalidKey unless key is one that every
// store keeps under exactly this name: 1 to MaxKey bytes of valid UTF-8,
// elements separated by single slashes, no slash at either end, no control
// character and no backslash, no element "." or "..", none that ends in ".." and
// no "__0x": the drivers of gocloud.dev rename the last two on the wire, which
// would break both the order of listings and the promise that other tools find
// the objects.
func CheckKey(key string) error {
	if reason := badKey(key); reason != "" {
		return fmt.Errorf("%w %.80q: %s", ErrInvalidKey, key, reason)
	}
	return nil
}

func badKey(key string) string {
	switch {
	case key == "":
		return "it is empty"
	case len(key) > MaxKey:
		return fmt.Sprintf("it has %d bytes, allowed are %d", len(key), MaxKey)
	case !utf8.ValidString(key):
		return "it is not valid UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "it contains a control character"
	case strings.Contains(key, `\`):
		return "it contains a backslash"
	case strings.Contains(key, "__0x"):
		return `it contains "__0x"`
	}
	for element := range strings.SplitSeq(key, "/") {
		switch {
		case element == "":
			return "it begins or ends with a slash or has two in a row"
		case element == ".", strings.HasSuffix(element, ".."):
			return fmt.Sprintf("an element is or ends in %q", element[max(0, len(element)-2):])
		}
	}
	return ""
}
