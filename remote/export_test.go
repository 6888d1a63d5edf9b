package remote

// SetPartSize makes r divide commits of more than n bytes, so that a test need not
// make one of a GiB.
func SetPartSize(r *Replicator, n int64) { r.partSize = n }
