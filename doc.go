// Package sluice replicates Delta Lake tables through object storage. It holds
// no code; the library is in the packages below it:
//
//   - remote: Push, Init and Pull, which is what a host program imports
//   - storage: where bundles live; a folder, memory, S3, Google Cloud, Azure
//   - deltalog: the Delta log of one table
//   - bundle: one table version as one self-checking tar.zst
//
// A host embeds it like this:
//
//	store, err := storage.Open(ctx, "s3://my-pond-backups/prod?region=us-west-2", s3.Driver())
//	table, err := deltalog.OpenDir("/var/pond/data")
//	rep, err := remote.New(table, store, nil)
//	report, err := rep.Push(ctx) // in the post-commit hook
//
// and elsewhere rebuilds the same table, same versions, same bytes, and keeps it
// in step:
//
//	report, err := rep.Init(ctx)
//	report, err := rep.Pull(ctx)
//
// Before v1.0 the Go interfaces may change with a note in CHANGELOG.md. Bundles
// carry a format number; once a format is declared released it stays readable.
package sluice
