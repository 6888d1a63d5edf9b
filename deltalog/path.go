package deltalog

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// privateDir is the folder beside the log where this package keeps what no
// reader of the table should see.
const privateDir = ".sluice"

// The longest path, in bytes, that Linux opens, and the longest file name that
// common file systems take.
const (
	maxPath    = 4096
	maxElement = 255
)

// DecodePath turns a path as an action states it (add.path, remove.path,
// cdc.path) into the file's path relative to the table's root, with "/" between
// its elements. The Delta protocol ("Add File and Remove File") makes it a URI:
// escapes are decoded exactly once, "+" stays, and a malformed escape stands
// for itself, as delta-rs has it.
//
// It returns an error wrapping ErrAbsolutePath for an absolute path (a shallow
// clone has them), one wrapping ErrUnsupported for a name that not every system can hold as it is meant,
// which bundles refuse, and one wrapping ErrCorrupt for a path that leaves the table, enters its log, or is
// not a path at all.
func DecodePath(raw string) (string, error) {
	if isAbsolute(raw) {
		return "", fmt.Errorf("%w %q (a shallow clone?)", ErrAbsolutePath, raw)
	}
	path := unescape(raw)
	if err := checkPath(path); err != nil {
		return "", err
	}
	return path, nil
}

// isAbsolute reports whether raw begins with "/" or a URI scheme (RFC 3986
// section 3.1), which a drive letter looks like.
func isAbsolute(raw string) bool {
	scheme, _, found := strings.Cut(raw, ":")
	if !found || scheme == "" {
		return strings.HasPrefix(raw, "/")
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.HasPrefix(raw, "/") ||
		strings.Contains(letters, scheme[:1]) && strings.Trim(scheme, letters+"0123456789+-.") == ""
}

func unescape(raw string) string {
	if !strings.Contains(raw, "%") {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' && i+2 < len(raw) {
			if b, err := hex.DecodeString(raw[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, raw[i])
	}
	return string(out)
}

// checkPath refuses a decoded path that is not plainly a file inside the table
// and outside its log, on every system that may get it.
func checkPath(path string) error {
	if err := checkElements(path); err != nil {
		return err
	}
	first, _, _ := strings.Cut(path, "/")
	switch {
	case isReserved(first): // folds the case: some file systems do
		return fmt.Errorf("%w: path %q is not for data", ErrCorrupt, path)
	case isReserved(asElsewhere(first)):
		return fmt.Errorf("%w: path %q is not for data on every system", ErrUnsupported, path)
	case len(first) > 1 && first[1] == ':' && 'a' <= first[0]|0x20 && first[0]|0x20 <= 'z':
		return fmt.Errorf("%w: path %q begins like a drive letter", ErrUnsupported, path)
	}
	return nil
}

// checkElements refuses what is no path of plain file names.
func checkElements(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("%w: path %.80q... has %d bytes, more than %d", ErrUnsupported, path, len(path), maxPath)
	}
	if strings.Contains(path, "\x00") {
		return fmt.Errorf("%w: path %q has a NUL", ErrCorrupt, path)
	}
	for element := range strings.SplitSeq(path, "/") {
		switch {
		case element == "" || element == "." || element == "..":
			return fmt.Errorf("%w: path %q has an element %q", ErrCorrupt, path, element)
		case len(element) > maxElement:
			return fmt.Errorf("%w: path %q has an element of %d bytes, more than %d", ErrUnsupported, path, len(element), maxElement)
		}
	}
	// A backslash separates folders on Windows; what is not UTF-8 would not
	// survive the JSON of a manifest.
	if strings.Contains(path, `\`) || !utf8.ValidString(path) {
		return fmt.Errorf("%w: path %q has a backslash or is not UTF-8", ErrUnsupported, path)
	}
	return nil
}

func isReserved(element string) bool {
	return strings.EqualFold(element, LogDir) || strings.EqualFold(element, privateDir)
}

// asElsewhere is how some file system reads a name: Windows drops points and
// spaces at its end and takes what follows a colon for the name of a stream, HFS+
// does not see formatting characters.
func asElsewhere(element string) string {
	if strings.IndexFunc(element, isBeyondASCII) >= 0 {
		element = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, element)
	}
	element, _, _ = strings.Cut(element, ":")
	return strings.TrimRight(element, ". ")
}

func isBeyondASCII(r rune) bool { return r > unicode.MaxASCII }
