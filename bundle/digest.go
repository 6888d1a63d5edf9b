package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Digest is a sha256, in JSON and text 64 lower-case hexadecimal digits.
type Digest [sha256.Size]byte

// String returns the 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest is the inverse of [Digest.String] and as strict: upper-case digits
// are refused, so that one digest has one text. Any other text gives an error
// wrapping [ErrCorrupt].
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) || strings.Trim(s, "0123456789abcdef") != "" {
		return Digest{}, corruptf("%.80q is not 64 lower-case hexadecimal digits", s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, corruptf("%.80q: %v", s, err)
	}
	return d, nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler as [ParseDigest] does.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
