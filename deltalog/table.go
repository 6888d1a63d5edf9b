package deltalog

import (
	"crypto/sha256"
	"io"
	"slices"
	"time"
)

// CommitFile is the open commit file of one version. The caller closes it.
type CommitFile struct {
	io.ReadCloser
	Size     int64     // bytes
	Modified time.Time // the file's modification time
}

// Staged is one file that Dir.Stage keeps aside: what it is, and where it lies.
// One that was put together by hand says only what must be there already.
type Staged struct {
	Path   string // decoded, relative to the table's root
	Size   int64  // bytes
	SHA256 [sha256.Size]byte

	at *stagedFile // nil if it was not staged
}

// Change is one version to apply to a replica.
type Change struct {
	Version  Version
	Commit   Staged    // Path is Version.CommitPath()
	Modified time.Time // for the commit file
	Files    []Staged
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

// All returns every file of the change.
func (c *Change) All() []Staged {
	return slices.Concat(c.Files, c.Checkpoint, c.Older, []Staged{c.Commit})
}

// Batch is what is applied at once.
type Batch struct {
	// Changes are versions without a gap between them, save before one with a
	// Checkpoint. A change may rely on files of those before it.
	Changes []Change
	// Relaxed leaves out everything that makes a replica survive a power cut or a
	// crash of the system. It is as safe as ever against a crash of the process.
	// After a power cut a replica that was written so may be damaged without
	// showing it, and must be restored anew.
	Relaxed bool
}

// State is what stands at a table's place.
type State struct {
	Empty  bool   // nothing at all, but for what this package itself keeps
	Table  bool   // there is a log with at least one commit or checkpoint
	Marker []byte // what SetMarker kept; nil if nothing
	// Other names one file or folder, relative to the table's root, of what stands there that is
	// no table and not this package's own; "" if there is a table or nothing.
	Other string
}
