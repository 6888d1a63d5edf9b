package remote

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// Keys of a store (bundle/FORMAT.md, "The store").
const (
	identityKey   = "sluice.json"
	probeKey      = "sluice-probe"
	headKey       = backups + "head.json"
	backups       = "backups/"
	versionPrefix = backups + "version-"
	packPrefix    = backups + "pack-"
	indexPrefix   = backups + "index-"
	floorPrefix   = backups + "floor-"
	pinPrefix     = backups + "pin-"
	unpinPrefix   = backups + "unpin-"
	partInfix     = "/part-"
	partSuffix    = ".tar.zst"
	bundleName    = "/bundle.tar.zst"
	baseName      = "/base.tar.zst"
)

// bundleKey returns backups/version-<version, at least 6 digits>/bundle.tar.zst.
// The width is a minimum: from version 1,000,000 on keys do not sort as
// versions do, so nothing may rely on their order.
func bundleKey(v deltalog.Version) string { return versionKey(v, bundleName) }

// baseKey returns backups/version-<version, at least 6 digits>/base.tar.zst.
func baseKey(v deltalog.Version) string { return versionKey(v, baseName) }

func versionKey(v deltalog.Version, name string) string {
	return fmt.Sprintf("%s%06d%s", versionPrefix, int64(v), name)
}

// parseKey is the inverse of versionKey; ok is false for any other key.
func parseKey(key, name string) (v deltalog.Version, ok bool) {
	digits, hasPrefix := strings.CutPrefix(key, versionPrefix)
	digits, hasName := strings.CutSuffix(digits, name)
	if !hasPrefix || !hasName {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || versionKey(deltalog.Version(n), name) != key {
		return 0, false
	}
	return deltalog.Version(n), true
}

// partPrefix returns what the keys of the parts of version v begin with.
func partPrefix(v deltalog.Version) string { return versionKey(v, partInfix) }

// partKey returns backups/version-<version, at least 6 digits>/part-<name>.tar.zst.
func partKey(v deltalog.Version, name string) string { return partPrefix(v) + name + partSuffix }

// parsePartKey is the inverse of partKey; ok is false for any other key.
func parsePartKey(key string) (v deltalog.Version, name string, ok bool) {
	before, rest, found := strings.Cut(key, partInfix)
	name, hasSuffix := strings.CutSuffix(rest, partSuffix)
	v, ok = parseKey(before+bundleName, bundleName)
	return v, name, ok && found && hasSuffix && bundle.IsPartName(name)
}

// packKey returns backups/pack-<first>-<last>.tar.zst, each version of at least 6
// digits.
func packKey(first, last deltalog.Version) string {
	return fmt.Sprintf("%s%06d-%06d.tar.zst", packPrefix, int64(first), int64(last))
}

// packIndexKey returns backups/index-<first>-<last>.json.
func packIndexKey(first, last deltalog.Version) string {
	return fmt.Sprintf("%s%06d-%06d.json", indexPrefix, int64(first), int64(last))
}

// parsePackKey is the inverse of packKey; ok is false for any other key.
func parsePackKey(key string) (first, last deltalog.Version, ok bool) {
	return parseSpan(key, packPrefix, ".tar.zst", packKey)
}

// parsePackIndexKey is the inverse of packIndexKey; ok is false for any other key.
func parsePackIndexKey(key string) (first, last deltalog.Version, ok bool) {
	return parseSpan(key, indexPrefix, ".json", packIndexKey)
}

func parseSpan(key, prefix, suffix string, inverse func(first, last deltalog.Version) string) (first, last deltalog.Version, ok bool) {
	rest, hasPrefix := strings.CutPrefix(key, prefix)
	rest, hasSuffix := strings.CutSuffix(rest, suffix)
	a, b, two := strings.Cut(rest, "-")
	m, err1 := strconv.ParseInt(a, 10, 64)
	n, err2 := strconv.ParseInt(b, 10, 64)
	first, last = deltalog.Version(m), deltalog.Version(n)
	ok = hasPrefix && hasSuffix && two && err1 == nil && err2 == nil && inverse(first, last) == key
	return first, last, ok
}

// floorKey returns backups/floor-<version, at least 6 digits>.json.
func floorKey(v deltalog.Version) string { return fmt.Sprintf("%s%06d.json", floorPrefix, int64(v)) }

// parseFloorKey is the inverse of floorKey; ok is false for any other key.
func parseFloorKey(key string) (v deltalog.Version, ok bool) {
	digits, hasPrefix := strings.CutPrefix(key, floorPrefix)
	digits, hasSuffix := strings.CutSuffix(digits, ".json")
	n, err := strconv.ParseInt(digits, 10, 64)
	v = deltalog.Version(n)
	return v, hasPrefix && hasSuffix && err == nil && floorKey(v) == key
}

// pinKey returns backups/pin-<version, at least 6 digits>-<name>.json.
func pinKey(v deltalog.Version, name string) string { return namedKey(pinPrefix, v, name) }

// unpinKey returns backups/unpin-<version, at least 6 digits>-<name>.json.
func unpinKey(v deltalog.Version, name string) string { return namedKey(unpinPrefix, v, name) }

func namedKey(prefix string, v deltalog.Version, name string) string {
	return fmt.Sprintf("%s%06d-%s.json", prefix, int64(v), name)
}

// parseNamedKey is the inverse of pinKey or unpinKey, by the prefix; ok is false for any
// other key.
func parseNamedKey(prefix, key string) (v deltalog.Version, name string, ok bool) {
	rest, hasPrefix := strings.CutPrefix(key, prefix)
	rest, hasSuffix := strings.CutSuffix(rest, ".json")
	digits, name, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	v = deltalog.Version(n)
	return v, name, hasPrefix && hasSuffix && err == nil && namedKey(prefix, v, name) == key
}
