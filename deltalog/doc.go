// Package deltalog reads and writes the transaction log of one Delta table in a
// local folder, as far as a byte-for-byte copy of the table needs it.
//
// [ScanCommit] names every file that one version needs, [OpenDir] opens the
// table's folder. A [Dir] finds the newest version, opens commits and files for
// a pusher, and stages and applies versions for a replica: the files first,
// durable, then the commit by exclusive create, so that a version is there in
// full or not at all.
//
// What a log or a bundle says is not trusted: no path leaves the table's
// folder or enters its log, and what cannot be copied faithfully is refused by
// an error that wraps one of this package's values. The package does not
// interpret the data.
//
// [Dir.Snapshot] reads the state at a version from a checkpoint and the commits
// above it, in bounded memory.
package deltalog
