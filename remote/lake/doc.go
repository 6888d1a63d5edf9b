// Package lake is a Delta table that itself lies in object storage, for
// remote.New: a source that is pushed from there, wherever its writers run.
//
//	lakeStore, err := storage.Open(ctx, "s3://lake/table", s3.Driver())
//	rep, err := remote.New(lake.Open(lakeStore, nil), backups, nil)
//
// The service sets the time of every object, and Delta takes the time of a
// version from its commit file, unless the table has in-commit timestamps
// (delta.enableInCommitTimestamps). So a version that is pushed from a bucket
// brings the time that the service gave its commit.
//
// A source needs to be read and listed.
package lake
