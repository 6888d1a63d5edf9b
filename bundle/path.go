package bundle

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on a path, in bytes: what Linux can open, and what the usual file
// systems take as one name.
const (
	maxPath    = 4096
	maxElement = 255
)

// Folders at the table's root that no file of a bundle may lie in: only the
// bundle's own commits and manifest do.
const (
	logDir    = "_delta_log"
	sluiceDir = ".sluice"
)

// CheckPath reports whether a bundle may carry a file under this path, relative
// to the table's root: valid UTF-8, elements separated by single slashes, none
// of them ".", ".." or longer than 255 bytes, at most 4,096 bytes in all, no NUL,
// no backslash, no drive letter, and not _delta_log or .sluice as the first
// element, in any spelling that some file system takes for these. It returns nil
// or an error wrapping [ErrCorrupt], and [ErrTooLarge] too where a length is at
// fault.
//
// The rules are lexical and the same on every system. Who writes such a path to
// a disk still does it through an os.Root, because of links on that disk.
func CheckPath(path string) error {
	if err := checkText(path); err != nil {
		return err
	}
	first, _, _ := strings.Cut(path, "/")
	if len(first) >= 2 && first[1] == ':' && isLetter(first[0]) {
		return corruptf("path %q begins with a drive letter", path)
	}
	if isReserved(first) {
		return corruptf("path %q lies in a folder of the log's or the bundle's own", path)
	}
	for element := range strings.SplitSeq(path, "/") {
		if err := checkElement(path, element); err != nil {
			return err
		}
	}
	return nil
}

// checkText quotes a part of the path only, since it may be of any length.
func checkText(path string) error {
	switch {
	case len(path) > maxPath:
		return fmt.Errorf("path %.80q...: %d bytes, limit is %d: %w: %w", path, len(path), maxPath, ErrTooLarge, ErrCorrupt)
	case !utf8.ValidString(path):
		return corruptf("path %q is not UTF-8", path)
	case strings.ContainsAny(path, "\x00\\"):
		return corruptf("path %q contains NUL or a backslash", path)
	}
	return nil
}

func checkElement(path, element string) error {
	switch {
	case element == "":
		return corruptf("path %q has an empty element", path)
	case element == "." || element == "..":
		return corruptf("path %q has the element %q", path, element)
	case len(element) > maxElement:
		return fmt.Errorf("path %q: element of %d bytes, limit is %d: %w: %w", path, len(element), maxElement, ErrTooLarge, ErrCorrupt)
	}
	return nil
}

// isReserved also finds the spellings that reach the same folder elsewhere:
// other case (Windows, macOS), trailing dots and spaces and a stream's name
// after a colon (Windows), invisible characters (HFS+).
func isReserved(element string) bool {
	if strings.IndexFunc(element, isBeyondASCII) >= 0 {
		element = strings.Map(func(r rune) rune {
			if unicode.Is(invisible, r) {
				return -1
			}
			return r
		}, element)
	}
	element, _, _ = strings.Cut(element, ":")
	element = strings.TrimRight(element, ". ")
	return strings.EqualFold(element, logDir) || strings.EqualFold(element, sluiceDir)
}

// invisible is Unicode's class Cf as of version 15.0, which FORMAT.md pins: what is a
// good bundle does not depend on the tables of a Go release.
var invisible = &unicode.RangeTable{
	LatinOffset: 1,
	R16: []unicode.Range16{
		{0x00ad, 0x00ad, 1}, {0x0600, 0x0605, 1}, {0x061c, 0x061c, 1}, {0x06dd, 0x06dd, 1}, {0x070f, 0x070f, 1}, {0x0890, 0x0891, 1},
		{0x08e2, 0x08e2, 1}, {0x180e, 0x180e, 1}, {0x200b, 0x200f, 1}, {0x202a, 0x202e, 1}, {0x2060, 0x2064, 1}, {0x2066, 0x206f, 1},
		{0xfeff, 0xfeff, 1}, {0xfff9, 0xfffb, 1},
	},
	R32: []unicode.Range32{
		{0x110bd, 0x110bd, 1}, {0x110cd, 0x110cd, 1}, {0x13430, 0x1343f, 1}, {0x1bca0, 0x1bca3, 1}, {0x1d173, 0x1d17a, 1},
		{0xe0001, 0xe0001, 1}, {0xe0020, 0xe007f, 1},
	},
}

func isBeyondASCII(r rune) bool { return r > unicode.MaxASCII }

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// commitPath returns _delta_log/<20 digits>.json.
func commitPath(version int64) string { return fmt.Sprintf("%s/%020d.json", logDir, version) }

// parseCommitPath is the inverse of commitPath; ok is false for any other path.
func parseCommitPath(path string) (version int64, ok bool) {
	digits, inLog := strings.CutPrefix(path, logDir+"/")
	digits, isJSON := strings.CutSuffix(digits, ".json")
	version, err := strconv.ParseInt(digits, 10, 64)
	ok = inLog && isJSON && err == nil && version >= 0 && commitPath(version) == path
	return version, ok
}

// manifestPath returns .sluice/version-<first version, at least 6
// digits>/manifest.json. The width is a minimum.
func manifestPath(first int64) string { return versionDir(first) + "manifest.json" }

func versionDir(version int64) string { return fmt.Sprintf("%s/version-%06d/", sluiceDir, version) }
