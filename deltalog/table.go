package deltalog

import (
	"crypto/sha256"
	"io"
	"time"
)

// CommitFile is the open commit file of one version. The caller closes it.
type CommitFile struct {
	io.ReadCloser
	Size     int64     // bytes
	Modified time.Time // the file's modification time
}

// Staged names a file that was staged for a version and what it must be.
type Staged struct {
	Path   string // decoded, relative to the table's root
	Size   int64  // bytes
	SHA256 [sha256.Size]byte
}

// Change is one version to apply to a replica.
type Change struct {
	Version  Version
	Commit   Staged    // Path is Version.CommitPath()
	Modified time.Time // for the commit file
	Files    []Staged  // staged under Version
	// Checkpoint are the files of a complete checkpoint of Version that a replica
	// begins with: none of the versions before is there. Nil if Version follows
	// the one before.
	Checkpoint []Staged
	// Older are the files of a checkpoint of a version below, for readers to open
	// the table faster. It is left out where one of its names is taken.
	Older []Staged
	// Jump lets the replica leave a hole: where Checkpoint is given, the log may
	// end anywhere below Version. What it has below Version is removed, as Delta's
	// metadata cleanup would, once Version is visible.
	Jump bool
}

// State is what stands at a table's place.
type State struct {
	Empty  bool   // nothing at all, but for what this package itself keeps
	Table  bool   // there is a log with at least one commit or checkpoint
	Marker []byte // what SetMarker kept; nil if nothing
}
