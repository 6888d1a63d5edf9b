package lake

import (
	"context"

	"github.com/pondworks/sluice/deltalog"
)

// Start is deltalog.Dir.Start. It lists the whole log.
func (t *Table) Start(ctx context.Context) (deltalog.Version, error) {
	return deltalog.FindStart(ctx, tableLog{t})
}

// Snapshot is deltalog.Dir.Snapshot. A checkpoint of more than 4 MiB is copied
// to a temporary file while it is read.
func (t *Table) Snapshot(ctx context.Context, v deltalog.Version, opts *deltalog.SnapshotOptions) (*deltalog.Snapshot, error) {
	return deltalog.ReadSnapshot(ctx, tableLog{t}, v, opts)
}

// LastCheckpoint is deltalog.Dir.LastCheckpoint, as it was when Tip or TipFrom
// was called last or it was asked for first after that.
func (t *Table) LastCheckpoint(ctx context.Context) (deltalog.Version, error) {
	if v := t.seen.lastCheckpoint(); v != nil {
		return *v, nil
	}
	v, err := deltalog.ReadLastCheckpoint(ctx, tableLog{t})
	if err != nil {
		return 0, err
	}
	t.seen.setLastCheckpoint(&v)
	return v, nil
}

// Checkpoints is deltalog.Dir.Checkpoints.
func (t *Table) Checkpoints(ctx context.Context, from deltalog.Version) ([]deltalog.Checkpoint, error) {
	return deltalog.FindCheckpoints(ctx, tableLog{t}, from)
}
