package remote

import (
	"context"
	"io"
)

// SetPartSize makes r divide commits of more than n bytes, so that a test need not
// make one of a GiB.
func SetPartSize(r *Replicator, n int64) { r.partSize = n }

// SetRangeSize makes r read objects in ranges of n bytes.
func SetRangeSize(r *Replicator, n int64) { r.rangeSize = n }

// SetMaxListed makes r list the files of a commit that names more than n of them in a base.
func SetMaxListed(r *Replicator, n int) { r.maxListed = n }

// OpenFunc opens n bytes of an object from byte off on, or all if n is negative.
type OpenFunc = func(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)

// Opener returns what one call on r opens large objects with.
func Opener(r *Replicator) OpenFunc { return r.newSession("test").open }

// ConfigKeys are all keys of a configuration.
var ConfigKeys = configKeys
