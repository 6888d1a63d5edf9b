package remote

import (
	"context"
	"regexp"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// smallCheckpoint is up to how many bytes a checkpoint is carried in any case;
// beyond that only by a version whose own files are as large.
const smallCheckpoint = 64 << 10

// planCheckpoint carries the checkpoint of the version before, if the source
// has one: it mostly appears after that version was pushed. A checkpoint is no
// part of the history, so one that is not there yet, too large, or of names
// that a bundle has no room for, or in parts, is left out for good, and the replica writes
// its own.
func (s *session) planCheckpoint(ctx context.Context, p *versionPlan) error {
	v := deltalog.Version(p.Version.Version)
	table, ok := s.table.(StateReader)
	if !ok || v == 0 {
		return nil
	}
	last, err := s.newestCheckpoint(ctx, table)
	if err != nil || last != v-1 || last == 0 {
		return err
	}
	found, err := table.Checkpoints(ctx, last)
	if err != nil || len(found) == 0 || found[0].Version != last {
		return err
	}
	if !canCarry(found[0].Files) {
		s.log.Info("a bundle cannot carry this checkpoint", logVersion, last, "files", found[0].Files)
		return nil
	}
	sizes := make([]int64, len(found[0].Files))
	total := int64(0)
	for i, path := range found[0].Files {
		n, there, err := s.fileSize(ctx, path)
		if err != nil || !there {
			return err
		}
		sizes[i] = n
		total += n
	}
	if total > max(smallCheckpoint, p.size) {
		return nil
	}
	for i, path := range found[0].Files {
		p.carry(path, bundle.KindCheckpoint, sizes[i])
	}
	return nil
}

// canCarry reports whether files of a checkpoint may be carried: a bundle has room for
// their names, and they are of one writing. Whoever writes the classic parts again, which
// have the same names each time, may divide the state otherwise, and some of them may be
// of before when they are read. A single file is replaced as a whole, and those of V2 have
// names of their own.
func canCarry(files []string) bool {
	return !slices.ContainsFunc(files, func(path string) bool { return !bundle.IsCheckpointPath(path) || isPart.MatchString(path) })
}

// isPart matches one of the files of a classic checkpoint that has several.
var isPart = regexp.MustCompile(`\.checkpoint\.[0-9]{10}\.[0-9]{10}\.parquet$`)

// newestCheckpoint asks the table once per push.
func (s *session) newestCheckpoint(ctx context.Context, table StateReader) (deltalog.Version, error) {
	s.looks.Lock()
	defer s.looks.Unlock()
	if s.checkpoint == nil {
		last, err := table.LastCheckpoint(ctx)
		if err != nil {
			return 0, err
		}
		s.checkpoint = &last
	}
	return *s.checkpoint, nil
}

// checkpointEvery is after how many versions of a long replay a checkpoint is
// thought of, beside at its end. It serves readers that travel back that far, and of a
// replica whose pull was cut off, and costs as much as is live, while nothing is applied.
const checkpointEvery = 50_000

// checkpointIfDue gives a replica a checkpoint if the table's interval says so.
// It is a help for readers: not being able to write one is noted and no error.
func (s *session) checkpointIfDue(ctx context.Context, table LogApplier, v deltalog.Version) {
	c, ok := table.(Checkpointer)
	if !ok {
		return
	}
	wrote, err := c.CheckpointIfDue(ctx, v, &deltalog.SnapshotOptions{Memory: s.stateMemory()})
	if err != nil {
		s.log.Warn("checkpoint not written", logVersion, v, logError, err)
	}
	if wrote {
		s.log.Info("wrote checkpoint", logVersion, v)
	}
}
