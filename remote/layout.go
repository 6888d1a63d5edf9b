package remote

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pondworks/sluice/deltalog"
)

// Keys of a store (bundle/FORMAT.md, "The store").
const (
	identityKey   = "sluice.json"
	probeKey      = "sluice-probe"
	headKey       = "backups/head.json"
	versionPrefix = "backups/version-"
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
