// Package azure is the storage driver for Azure Blob Storage: pass [Driver] to
// storage.Open.
//
//	store, err := storage.Open(ctx, "azblob://container/prefix?account=myaccount", azure.Driver())
//
// Credentials come from Config.Key (the name of the account) together with
// Config.Secret (a key of it) or Config.Token (a shared access signature). Else from the environment, the first that is set:
//
//	AZURE_STORAGE_KEY                with the name of the account, see below
//	AZURE_STORAGE_SAS_TOKEN          likewise
//	AZURE_STORAGE_CONNECTION_STRING  names the service as well
//
// and else from the default chain of the Azure SDK (environment, workload or
// managed identity, the login of the az command). A URL never carries credentials.
//
// Parameters, in a URL or in Config.Params; any other is refused:
//
//	account    name of the storage account; default: Config.Key or AZURE_STORAGE_ACCOUNT
//	endpoint   URL of the service; default: https://<account>.blob.core.windows.net. For
//	           the Azurite emulator: http://127.0.0.1:10000/<account>
//	anonymous  true: send no credentials
//
// The credentials need to read, create and list blobs; to write for overwriting
// and to delete for deleting ("Storage Blob Data Contributor" has them all).
//
// The keys of such a store have none of the characters " # % and ?, which
// gocloud's driver would rename on the wire: the listing would leave the byte
// order, and other tools would not find the objects. They are refused with
// storage.ErrInvalidKey.
//
// List cannot begin after a key: it reads, and drops, what comes before. What a
// failed upload of a large object left behind is invisible; the service removes it
// within a week.
package azure

import (
	"context"
	"fmt"
	"time"

	"gocloud.dev/blob/azureblob"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/bucket"
	"github.com/pondworks/sluice/storage/internal/stall"
)

type driver struct {
	stalled time.Duration // when a request on which nothing moves is given up
}

// Driver returns the driver for URLs azblob://container/prefix. The stores that
// it opens are also a storage.Deleter and a storage.Overwriter, whose tags are
// the ETags of the service.
func Driver() storage.Driver { return driver{stalled: stall.Limit} }

// Schemes returns "azblob".
func (driver) Schemes() []string { return []string{"azblob"} }

// Open returns a store for c as the package comment describes. It sends no
// request to the container, so a container that is missing or closed to these
// credentials shows at the first use.
func (d driver) Open(ctx context.Context, c storage.Config) (storage.Store, error) {
	if c.Bucket == "" {
		return nil, invalid("no container")
	}
	set, err := parseParams(c)
	if err != nil {
		return nil, err
	}
	client, err := set.newClient(c.Bucket, d.stalled)
	if err != nil {
		return nil, err
	}
	if c.Prefix != "" {
		if err := checkKey(c.Prefix); err != nil {
			return nil, invalid("prefix: %v", err)
		}
	}
	b, err := azureblob.OpenBucket(ctx, client, nil)
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	called := fmt.Sprintf("container %q", c.Bucket)
	base, err := bucket.New(b, &bucket.Options{Prefix: c.Prefix, Name: called, Classify: classify})
	if err != nil {
		return nil, fmt.Errorf("azure: %w", err)
	}
	return &store{Store: base, container: client, prefix: c.Prefix, called: called}, nil
}
