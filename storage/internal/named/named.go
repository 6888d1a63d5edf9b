// Package named lets errors of the drivers name the bucket that they are about.
package named

import (
	"fmt"

	"github.com/pondworks/sluice/storage"
)

// Class returns class with the name of the bucket, such as `bucket "b"`, if it is one that is about
// the whole of it; "" is no name.
func Class(class error, name string) error {
	if name == "" || class != storage.ErrNoBucket && class != storage.ErrDenied {
		return class
	}
	return fmt.Errorf("%w: %s", class, name)
}

// Bucket is the name of a bucket in errors.
func Bucket(name string) string { return fmt.Sprintf("bucket %q", name) }
