package storage

import "gocloud.dev/blob/memblob"

// NewMemory returns a new, empty store in memory, for tests and trials. It is
// also a Deleter and an Overwriter.
func NewMemory() Store {
	return &Bucket{
		bucket: memblob.OpenBucket(&memblob.Options{NoMD5: true}),
		opts:   BucketOptions{MinBuffer: defaultMinBuffer},
	}
}
