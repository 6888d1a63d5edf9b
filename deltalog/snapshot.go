package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// SnapshotOptions are the options of reading a table's state. The zero value
// and nil stand for the defaults.
type SnapshotOptions struct {
	// Memory is about how many bytes of file actions are held in memory, 64 MiB
	// by default; the rest lies sorted in a temporary file. A walk of LiveFiles
	// takes as much again.
	Memory int64
	// TempDir is the folder of temporary files, the system's by default.
	TempDir string
}

const defaultMemory = 64 << 20

func (o *SnapshotOptions) withDefaults() SnapshotOptions {
	var set SnapshotOptions
	if o != nil {
		set = *o
	}
	if set.Memory <= 0 {
		set.Memory = defaultMemory
	}
	return set
}

// Snapshot is the state of a table at one version (Delta protocol, "Action
// Reconciliation"). Its methods may be called by many goroutines at once, Close
// only when they are done.
type Snapshot struct {
	Version  Version
	Protocol *Protocol
	Metadata *Metadata
	// InCommitTimestamp is what the version's own commit states, in
	// milliseconds since 1970 UTC; nil if it does not, or is not there.
	InCommitTimestamp *int64
	// Base is the version of the checkpoint that was read; nil if the state
	// comes from the commits alone.
	Base *Version
	// BaseFiles are the paths of that checkpoint's files, as in Checkpoint.
	BaseFiles []string

	options      SnapshotOptions
	state        *sorter
	protocolJSON []byte
	metadataJSON []byte
}

// Close removes what the snapshot keeps in a temporary file.
func (s *Snapshot) Close() error { return s.state.close() }

// Snapshot reads the table's state at a version: the newest complete checkpoint
// at or below it and the commits above that, or all commits from version 0.
// Checkpoints that are incomplete, empty or damaged are passed over in favour of
// an older one. _last_checkpoint is only a hint of where to look first, and logs
// that compaction made (x.y.compacted.json) are not used: the commits that they
// repeat are read. The caller closes the snapshot.
//
// Wraps ErrNoTable if there is no log, fs.ErrNotExist if the version or a commit
// on the way to it is not there, ErrIncomplete and ErrCorrupt if a commit is
// damaged or no checkpoint that the log depends on can be read, ErrUnsupported
// if Protocol.Check refuses the protocol at that version or part of the log lies
// elsewhere. A file that cannot be named is an error of the walk that meets it.
func (d *Dir) Snapshot(ctx context.Context, v Version, opts *SnapshotOptions) (*Snapshot, error) {
	log, release := d.hold(ctx)
	defer release()
	return ReadSnapshot(ctx, log, v, opts)
}

// ReadSnapshot is Dir.Snapshot for a table that lies elsewhere.
func ReadSnapshot(ctx context.Context, log LogFiles, v Version, opts *SnapshotOptions) (*Snapshot, error) {
	s, err := readSnapshot(ctx, log, v, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("state at version %d: %w", int64(v), err)
	}
	return s, nil
}

func readSnapshot(ctx context.Context, log LogFiles, v Version, opts SnapshotOptions) (*Snapshot, error) {
	var failed error // of the newest checkpoint, which says most
	from, err := hintedVersion(ctx, log, v)
	if err != nil {
		return nil, err
	}
	for below := v + 1; ; below, from = from, 0 {
		found, err := checkpointsIn(ctx, log, from, below)
		if err != nil {
			return nil, noTable(err)
		}
		for _, c := range slices.Backward(found) {
			s, err := buildSnapshot(ctx, log, v, &c, opts)
			if err == nil || !errors.Is(err, errCheckpoint) {
				return s, err
			}
			if failed == nil {
				failed = err
			}
		}
		if from == 0 {
			break
		}
	}
	s, err := buildSnapshot(ctx, log, v, nil, opts)
	if failed != nil && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; nor is the log complete without it: %w", failed, err)
	}
	return s, err
}

// hintedVersion returns the version of the checkpoint that the hint file names,
// 0 if it is above v or the file is no help, whatever the reason.
func hintedVersion(ctx context.Context, log LogFiles, v Version) (Version, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	file, err := log.Open(ctx, LastCheckpointPath)
	if err != nil {
		return 0, ctx.Err()
	}
	hint, err := readHint(file)
	if cerr := file.Close(); err != nil || cerr != nil || hint.Version < 0 || hint.Version > v {
		return 0, ctx.Err()
	}
	return hint.Version, nil
}

// checkpointsIn returns the checkpoints of the versions from..below-1 whose
// names are complete.
func checkpointsIn(ctx context.Context, log LogFiles, from, below Version) ([]Checkpoint, error) {
	names, err := log.Names(ctx, from)
	if err != nil {
		return nil, err
	}
	found, _ := namedCheckpoints(names)
	return slices.DeleteFunc(found, func(c Checkpoint) bool { return c.Version < from || c.Version >= below }), nil
}
