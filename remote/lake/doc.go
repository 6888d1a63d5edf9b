// Package lake is a Delta table that itself lies in object storage, for
// remote.New: as a source that is pushed from there, and as a replica that Spark,
// Trino, DuckDB or delta-rs read where they run.
//
//	lakeStore, err := storage.Open(ctx, "s3://lake/table", s3.Driver())
//	rep, err := remote.New(lake.Open(lakeStore, nil), backups, nil)
//
// # What a replica in a bucket keeps, and what it cannot
//
// A version is visible exactly when its commit file is, which is one object,
// created only if absent, after every file that it names. Bytes are spooled to a
// local temporary file and checked before their object is created, so no key ever
// holds anything else. Keys are never overwritten, but for _last_checkpoint.
//
// The service sets the time of every object, not we. So a replica is exact by
// version; by timestamp only where the table has in-commit timestamps
// (delta.enableInCommitTimestamps), because Delta else takes the time of a version
// from its commit file. A table that is pushed from a bucket brings the times
// that the service gave its commits.
//
// # What it asks of the store
//
// A source needs to be read and listed, a replica also to be created in. With
// storage.Overwriter, _last_checkpoint follows new checkpoints; else it stays at
// the first, which engines only open more slowly. Only a jump over a gap
// (remote.Options.AcrossGap) needs storage.Deleter, as it removes the log below.
//
// A path must be a key that every store can hold (storage.CheckKey); a folder
// takes more, such as a partition folder whose name ends in "..". A version that
// has another one wraps deltalog.ErrUnsupported.
package lake
