package main

import (
	"context"
	"strings"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/remote/lake"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/all"
)

// openTable opens a table in a folder, or in a bucket where its place is a URL
// of one.
func openTable(ctx context.Context, where string) (remote.LogReader, error) {
	if !strings.Contains(where, "://") {
		return deltalog.OpenDir(where)
	}
	config, err := storage.ParseURL(where)
	if err != nil {
		return nil, err
	}
	if config.Scheme == "file" { // commits keep their times only there
		return deltalog.OpenDir(config.Bucket)
	}
	store, err := storage.OpenConfig(ctx, config, all.Drivers()...)
	if err != nil {
		return nil, err
	}
	return lake.Open(store, nil), nil
}
