// Package gcs is the storage driver for Google Cloud Storage: pass [Driver] to
// storage.Open.
//
//	store, err := storage.Open(ctx, "gs://bucket/prefix", gcs.Driver())
//
// Credentials come from Config.Secret, which holds the JSON of a service
// account key (or of an authorized user); else from Google's default chain
// (GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, the service account of the
// machine). Config.Key and Config.Token are not used. A URL never carries credentials.
//
// Parameters, in a URL or in Config.Params; any other is refused:
//
//	endpoint   URL of another service than Google's, for example http://127.0.0.1:4443;
//	           it must be https unless anonymous
//	anonymous  true: send no credentials
//
// STORAGE_EMULATOR_HOST, if set, names an emulator that is used without credentials.
//
// The credentials need storage.objects.get and storage.objects.list to read,
// storage.objects.create to create, and storage.objects.delete as well to
// overwrite or delete.
//
// Requests go over HTTP. Programs that do not use gRPC otherwise may be built with the tag
// disable_grpc_modules of cloud.google.com/go/storage, and are smaller and start faster.
package gcs

import (
	"context"
	"errors"
	"fmt"
	"time"

	gcstorage "cloud.google.com/go/storage"
	"gocloud.dev/blob/gcsblob"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/bucket"
	"github.com/pondworks/sluice/storage/internal/named"
	"github.com/pondworks/sluice/storage/internal/stall"
)

type driver struct {
	stalled time.Duration // when a request on which nothing moves is given up
}

// Driver returns the driver for URLs gs://bucket/prefix. The stores that it
// opens are also a storage.Deleter and a storage.Overwriter, whose tags are the
// generations of the service.
func Driver() storage.Driver { return driver{stalled: stall.Limit} }

// Schemes returns "gs".
func (driver) Schemes() []string { return []string{"gs"} }

// Open returns a store for c as the package comment describes. It sends no
// request to the bucket, so a bucket that is missing or closed to these
// credentials shows at the first use; credentials that cannot be found show here.
func (d driver) Open(ctx context.Context, c storage.Config) (storage.Store, error) {
	if c.Bucket == "" {
		return nil, invalid("no bucket")
	}
	client, err := newClient(ctx, c, d.stalled)
	if err != nil {
		return nil, err
	}
	b, err := gcsblob.OpenBucket(ctx, nil, c.Bucket, &gcsblob.Options{Client: client})
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	base, err := bucket.New(b, &bucket.Options{
		Prefix:     c.Prefix,
		Name:       named.Bucket(c.Bucket),
		Classify:   classify,
		StartAfter: startAfter,
		Stored:     stored,
	})
	if err != nil {
		return nil, fmt.Errorf("gcs: %w", err)
	}
	return &store{Store: base, objects: client.Bucket(c.Bucket), prefix: c.Prefix, called: named.Bucket(c.Bucket)}, nil
}

// startAfter lets the service skip what the listing does not want. StartOffset
// is inclusive; bucket.Store drops the key after itself.
func startAfter(after string, as func(any) bool) error {
	var query *gcstorage.Query
	if !as(&query) {
		return errors.New("gcs: gocloud does not show its list request")
	}
	query.StartOffset = after
	return nil
}

// errForeign: something on the way answered in the service's place. It may be gone
// later, so it is unavailable.
var errForeign = errors.New("the answer is not one of Google Cloud Storage: the object has no generation")

// stored wants to see what the service says of every object that it stores.
func stored(as func(any) bool) (check func() error, err error) {
	var w *gcstorage.Writer
	if !as(&w) {
		return nil, errors.New("gcs: gocloud does not show its writer")
	}
	return func() error { return checkStored(w) }, nil
}

// checkStored looks at the answer of an upload that ended without an error.
func checkStored(w *gcstorage.Writer) error {
	if attrs := w.Attrs(); attrs == nil || attrs.Generation <= 0 {
		return errForeign
	}
	return nil
}
