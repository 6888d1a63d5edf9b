package lake

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
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

// CheckpointIfDue does what deltalog.Dir.CheckpointIfDue does. The checkpoint is
// one object, created if absent, and _last_checkpoint is pointed at it after that;
// in a store that cannot overwrite only the first checkpoint is pointed at. Wraps
// deltalog.ErrConflict if somebody else made one of this version meanwhile.
func (t *Table) CheckpointIfDue(ctx context.Context, v deltalog.Version, opts *deltalog.SnapshotOptions) (wrote bool, err error) {
	s, err := deltalog.SnapshotIfDue(ctx, tableLog{t}, v, opts)
	if s == nil || err != nil {
		return false, err
	}
	info, err := t.createCheckpoint(ctx, s)
	if err = errors.Join(err, s.Close()); err != nil {
		return false, err
	}
	if err := t.pointAt(ctx, info); err != nil {
		return false, fmt.Errorf("%s: %w", deltalog.LastCheckpointPath, err)
	}
	return true, nil
}

// createCheckpoint stages the checkpoint first, so that an attempt to create the
// object can be repeated, and settled if its reply is lost.
func (t *Table) createCheckpoint(ctx context.Context, s *deltalog.Snapshot) (info deltalog.CheckpointInfo, err error) {
	f, err := t.spool.stage(s.Version.CheckpointPath(), func(w io.Writer) error {
		info, err = s.WriteCheckpoint(w)
		return err
	})
	if err != nil {
		return info, err
	}
	if err = t.publish(ctx, f); err != nil {
		return info, errors.Join(err, t.spool.drop(f))
	}
	return info, nil
}

// pointAt makes the checkpoint the last one.
func (t *Table) pointAt(ctx context.Context, info deltalog.CheckpointInfo) error {
	text, err := deltalog.NextHint(ctx, tableLog{t}, info)
	if text == nil || err != nil {
		return err
	}
	t.seen.setLastCheckpoint(nil)
	err = storage.ErrDenied
	if t.over != nil {
		_, err = t.over.Put(ctx, deltalog.LastCheckpointPath, text, "")
	}
	if errors.Is(err, storage.ErrDenied) { // then the first one has to do
		err = t.createSmall(ctx, deltalog.LastCheckpointPath, text)
		if errors.Is(err, storage.ErrExists) {
			err = nil
		}
	}
	return err
}
