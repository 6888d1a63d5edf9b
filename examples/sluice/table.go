package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/remote/lake"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/all"
)

// openTable opens a table in a folder, or in a bucket where its place is a URL
// of one. No store may lie within it.
func openTable(ctx context.Context, where string, stores ...storage.Config) (remote.LogReader, error) {
	place := storage.Config{Scheme: "file", Bucket: where}
	if strings.Contains(where, "://") {
		var err error
		if place, err = storage.ParseURL(where); err != nil {
			return nil, fmt.Errorf("TABLE: %w", err)
		}
	}
	for _, store := range stores {
		if place.Holds(store) {
			return nil, fmt.Errorf("%w: the store %s must not lie within the table %s: VACUUM of an engine removes what it finds among a table's files, and so the backup", cli.ErrUsage, store, where)
		}
	}
	if place.Scheme == "file" { // commits keep their times only there
		return deltalog.OpenDir(place.Bucket)
	}
	store, err := openPlace(ctx, place)
	if err != nil {
		return nil, err
	}
	return lake.Open(store, nil), nil
}

// openPlace opens a store that outlives the command.
func openPlace(ctx context.Context, place storage.Config) (storage.Store, error) {
	if place.Scheme == "mem" {
		return nil, fmt.Errorf("%w: what lies in memory is gone when the command ends", cli.ErrUsage)
	}
	return storage.OpenConfig(ctx, place, all.Drivers()...)
}
