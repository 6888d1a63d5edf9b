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
}

// State is what stands at a table's place.
type State struct {
	Empty  bool   // nothing at all, but for what this package itself keeps
	Table  bool   // there is a log with at least one commit or checkpoint
	Marker []byte // what SetMarker kept; nil if nothing
}
