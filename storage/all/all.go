// Package all opens stores on every service that sluice knows. A program that
// imports it links the SDKs of all clouds; one that needs a single service is
// smaller with that driver alone:
//
//	store, err := storage.Open(ctx, url, s3.Driver())
package all

import (
	"context"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/azure"
	"github.com/pondworks/sluice/storage/gcs"
	"github.com/pondworks/sluice/storage/s3"
)

// Drivers returns the drivers of all clouds: s3, gs and azblob. Local folders
// and memory need none.
func Drivers() []storage.Driver {
	return []storage.Driver{s3.Driver(), gcs.Driver(), azure.Driver()}
}

// Open is storage.Open with all drivers.
func Open(ctx context.Context, url string) (storage.Store, error) {
	return storage.Open(ctx, url, Drivers()...)
}
