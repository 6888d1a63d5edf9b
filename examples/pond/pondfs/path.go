package pondfs

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ErrPath: a pond path that no file can have.
var ErrPath = errors.New("bad pond path")

// Clean returns the absolute form of a pond path: slashes, no "." or "..", no
// slash at the end. It wraps ErrPath.
func Clean(p string) (string, error) {
	if !utf8.ValidString(p) || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' }) {
		return "", fmt.Errorf("%w %q: control characters", ErrPath, p)
	}
	return path.Clean("/" + p), nil
}

// namespace makes the ids of directories; it never changes, or ponds would
// lose their files.
var namespace = uuid.MustParse("7d1c4f6e-0c0e-4b5e-9d0a-5f1b7c1e2a90")

// partID is the partition with the entries of a directory, the same in every
// process: two that make a directory at once mean the same one.
func partID(dir string) string { return uuid.NewSHA1(namespace, []byte(dir)).String() }
