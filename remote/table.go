package remote

import (
	"context"
	"fmt"
	"io"

	"github.com/pondworks/sluice/deltalog"
)

// LogReader is what push reads a table through. deltalog.Dir is one for a
// local folder. Its methods may be called by many goroutines at once.
type LogReader interface {
	// Tip returns the newest version, from a listing of the log. A last commit
	// that is empty or half-written is not there yet. Wraps
	// deltalog.ErrNoTable if there is no log, deltalog.ErrUnsupported if the log
	// does not begin at version 0, deltalog.ErrCorrupt if it has a hole.
	Tip(ctx context.Context) (deltalog.Version, error)
	// TipFrom does the same without listing, by looking upward from version
	// from; only if from is not there, or something beyond the end says that
	// the end is a hole, it lists.
	TipFrom(ctx context.Context, from deltalog.Version) (deltalog.Version, error)
	// OpenCommit opens the commit file of a version, verbatim. Wraps
	// fs.ErrNotExist if it is not there.
	OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error)
	// OpenFile opens any other file by its decoded path relative to the
	// table's root and tells its size in bytes. Wraps fs.ErrNotExist if it is
	// not there.
	OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error)
}

// Sizer is the ability of a LogReader to tell the size of a file without opening
// it, which is cheaper.
type Sizer interface {
	// FileSize tells the size of what OpenFile opens, in bytes, with the same
	// errors.
	FileSize(ctx context.Context, path string) (int64, error)
}

// Holder is the ability of a LogReader to read much of one table at less cost, and all of it
// from the same one. Push and Base do.
type Holder interface {
	// Hold keeps the table open until release, for the methods of LogReader, Sizer
	// and StateReader that are called with the context that it returns, or one
	// made of that. If it cannot be opened they say so.
	Hold(ctx context.Context) (held context.Context, release func())
}

// StateReader is the ability of a LogReader that bases need, and with them the
// push of a table whose log does not go back to what the store has.
type StateReader interface {
	LogReader
	// Start returns the oldest version at which a reader of the log can begin
	// and go on without a hole to the newest one: 0, or one with a complete
	// checkpoint and its commit. Wraps ErrCorrupt if there is none.
	Start(ctx context.Context) (deltalog.Version, error)
	// Snapshot reads the state of the table at a version. The caller closes it.
	Snapshot(ctx context.Context, v deltalog.Version, opts *deltalog.SnapshotOptions) (*deltalog.Snapshot, error)
	// LastCheckpoint returns the version of the newest checkpoint as far as that
	// is cheap to know, 0 if there is none.
	LastCheckpoint(ctx context.Context) (deltalog.Version, error)
	// Checkpoints returns the complete checkpoints from a version on, whose files
	// OpenFile opens.
	Checkpoints(ctx context.Context, from deltalog.Version) ([]deltalog.Checkpoint, error)
}

// Checkpointer is the ability of a LogApplier that lets a replica with a long
// log be opened fast.
type Checkpointer interface {
	// CheckpointIfDue writes a checkpoint of version v if the newest one is far
	// enough below, by the table's own interval, and reports whether it did. After
	// an error the replica is as readable as before.
	CheckpointIfDue(ctx context.Context, v deltalog.Version, opts *deltalog.SnapshotOptions) (bool, error)
}

// LogApplier is what init and pull write a replica through: besides reading,
// the duties that keep a replica readable at every instant.
type LogApplier interface {
	LogReader
	// Stage keeps the bytes of one file aside, invisible to readers of the
	// table, and says what they are. They need not be durable yet. Any number of
	// files may be staged at once, also several for one path. If r fails nothing
	// is staged. r mostly is a deltalog.Summer, which has the sha256 already.
	Stage(ctx context.Context, path string, r io.Reader) (deltalog.Staged, error)
	// Apply publishes versions in order: the files of all, each version's
	// checkpoint where the replica begins there, and then, when all are durable,
	// their commit files, each by exclusive create and with Change.Modified as its
	// time. It returns how many of the changes are visible, also with an error,
	// which is about the first of the others. Wraps deltalog.ErrConflict if a
	// version or one of the files is there already with other content; the same
	// content is success. All is durable on return, unless Batch.Relaxed.
	Apply(ctx context.Context, b deltalog.Batch) (applied int, err error)
	// Place publishes staged data files before the commit that names them: where a
	// replica begins, and where they are too many for a Change. They are durable on
	// return, unless relaxed. Wraps deltalog.ErrConflict if one is there with other
	// content; the files of such a call may be handed to Apply all the same.
	Place(ctx context.Context, files []deltalog.Staged, relaxed bool) error
	// Discard removes whatever was staged and not used, also by processes that
	// are gone, but not what others have staged who are at work. Nothing may be
	// staged at the same time.
	Discard(ctx context.Context) error
	// State says what stands at the table's place, for init.
	State(ctx context.Context) (deltalog.State, error)
	// SetMarker durably keeps a small note beside the table: init's record of
	// its own unfinished work. nil removes it.
	SetMarker(ctx context.Context, note []byte) error
}

var (
	_ LogApplier   = (*deltalog.Dir)(nil)
	_ StateReader  = (*deltalog.Dir)(nil)
	_ Checkpointer = (*deltalog.Dir)(nil)
	_ Sizer        = (*deltalog.Dir)(nil)
	_ Holder       = (*deltalog.Dir)(nil)
)

// noTable is the table of a Replicator that only looks at its store.
type noTable struct{}

// errNilTable: waiting for the table to come, as Follow does, is of no use.
var errNilTable = fmt.Errorf("%w was given to remote.New: %w", ErrNoTable, ErrReadOnly)

// Tip wraps ErrNoTable and ErrReadOnly, and so do the others.
func (noTable) Tip(context.Context) (deltalog.Version, error) { return 0, errNilTable }

func (noTable) TipFrom(context.Context, deltalog.Version) (deltalog.Version, error) {
	return 0, errNilTable
}

func (noTable) OpenCommit(context.Context, deltalog.Version) (*deltalog.CommitFile, error) {
	return nil, errNilTable
}

func (noTable) OpenFile(context.Context, string) (io.ReadCloser, int64, error) {
	return nil, 0, errNilTable
}
