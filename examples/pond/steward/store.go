package steward

import (
	"context"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/all"
)

// OpenStore opens the store that a configuration names.
func OpenStore(ctx context.Context, c *remote.Config) (storage.Store, error) {
	place, err := c.Storage()
	if err != nil {
		return nil, err
	}
	return storage.OpenConfig(ctx, place, all.Drivers()...)
}
