package remote

import (
	"context"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// smallCheckpoint is up to how many bytes a checkpoint is carried in any case;
// beyond that only by a version whose own files are as large.
const smallCheckpoint = 64 << 10

// planCheckpoint carries the checkpoint of the version before, if the source
// has one: it mostly appears after that version was pushed. A checkpoint is no
// part of the history, so one that is not there yet, or too large, is left out
// for good, and the replica writes its own.
func (s *session) planCheckpoint(ctx context.Context, p *plan, bv *bundle.Version) error {
	table, ok := s.table.(StateReader)
	if !ok || p.version == 0 {
		return nil
	}
	last, err := table.LastCheckpoint(ctx)
	if err != nil || last != p.version-1 || last == 0 {
		return err
	}
	found, err := table.Checkpoints(ctx, last)
	if err != nil || len(found) == 0 || found[0].Version != last {
		return err
	}
	size := int64(0)
	for _, path := range found[0].Files {
		n, there, err := s.fileSize(ctx, path)
		if err != nil || !there {
			return err
		}
		size += n
	}
	if size > max(smallCheckpoint, p.size) {
		return nil
	}
	for _, path := range found[0].Files {
		bv.Files = append(bv.Files, bundle.File{Path: path, Kind: bundle.KindCheckpoint})
	}
	p.size += size
	return nil
}

// checkpointEvery is after how many versions of a long replay a checkpoint is
// thought of, beside at its end.
const checkpointEvery = 1000

// checkpointIfDue gives a replica a checkpoint if the table's interval says so.
// It is a help for readers: not being able to write one is noted and no error.
func (s *session) checkpointIfDue(ctx context.Context, table LogApplier, v deltalog.Version) {
	c, ok := table.(Checkpointer)
	if !ok {
		return
	}
	wrote, err := c.CheckpointIfDue(ctx, v, &deltalog.SnapshotOptions{Memory: s.opts.Memory})
	if err != nil {
		s.log.Warn("checkpoint not written", logVersion, v, logError, err)
	}
	if wrote {
		s.log.Info("wrote checkpoint", logVersion, v)
	}
}
