package deltalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// CheckpointPath returns the path of the version's classic checkpoint relative
// to the table's root: _delta_log/<20 digits>.checkpoint.parquet.
func (v Version) CheckpointPath() string {
	return LogDir + "/" + v.String() + ".checkpoint.parquet"
}

// WriteCheckpoint writes the classic checkpoint of a version, whose commit must
// be there, and then points _last_checkpoint at it, unless that names a newer
// checkpoint that is there.
//
// The checkpoint becomes visible whole or not at all and never replaces one: an
// error wraps fs.ErrExist if the version has a classic checkpoint. Other errors
// are those of Dir.Snapshot and Snapshot.WriteCheckpoint. After an error the
// checkpoint is either not there, or whole and only not named as the last one,
// which readers do without.
func (d *Dir) WriteCheckpoint(ctx context.Context, v Version, opts *SnapshotOptions) (CheckpointInfo, error) {
	ctx = d.anew(ctx)
	root, err := d.open()
	if err != nil {
		return CheckpointInfo{}, noTable(err)
	}
	defer root.Close()
	// Without its commit no engine opens a log that begins at a checkpoint.
	if _, err := root.Lstat(v.CommitPath()); err != nil {
		return CheckpointInfo{}, err
	}
	if _, err := root.Lstat(v.CheckpointPath()); err == nil {
		return CheckpointInfo{}, fmt.Errorf("%s: %w", v.CheckpointPath(), fs.ErrExist)
	}
	s, err := d.Snapshot(ctx, v, opts)
	if err != nil {
		return CheckpointInfo{}, err
	}
	return d.publishSnapshot(ctx, root, s)
}

// minCheckpointDistance is how many versions a checkpoint must save a reader,
// whatever the table's own interval is.
const minCheckpointDistance = 10

// CheckpointIfDue writes a checkpoint of version v if the newest one is as far
// below as the table's delta.checkpointInterval says (100 if it does not), and at
// least 10 versions. Nearer ones are noticed at the cost of one small read. It
// reports whether it wrote one; errors are those of WriteCheckpoint.
func (d *Dir) CheckpointIfDue(ctx context.Context, v Version, opts *SnapshotOptions) (bool, error) {
	ctx = d.anew(ctx)
	log, release := d.hold(ctx)
	s, err := SnapshotIfDue(ctx, log, v, opts)
	release()
	if s == nil || err != nil {
		return false, err
	}
	root, err := d.open()
	if err != nil {
		return false, errors.Join(err, s.Close())
	}
	defer root.Close()
	_, err = d.publishSnapshot(ctx, root, s)
	return err == nil, err
}

// SnapshotIfDue returns the state at version v, of which a checkpoint is to be
// written, or nil if none is due: see Dir.CheckpointIfDue. The caller closes it.
func SnapshotIfDue(ctx context.Context, log LogFiles, v Version, opts *SnapshotOptions) (*Snapshot, error) {
	last, err := ReadLastCheckpoint(ctx, log)
	if err != nil || v-last < minCheckpointDistance {
		return nil, err
	}
	l, err := listFrom(ctx, log, last)
	if err != nil {
		return nil, err
	}
	newest := l.newestCheckpoint(v)
	if v-newest < minCheckpointDistance {
		return nil, nil
	}
	s, err := ReadSnapshot(ctx, log, v, opts)
	if err != nil {
		return nil, err
	}
	if due := v-newest >= s.Metadata.checkpointInterval(); !due {
		return nil, s.Close()
	}
	return s, nil
}

// publishSnapshot writes the checkpoint of s, which it closes, and points at it.
func (d *Dir) publishSnapshot(ctx context.Context, root *atomicfile.Root, s *Snapshot) (CheckpointInfo, error) {
	info, err := d.publishCheckpoint(ctx, s)
	if err = errors.Join(err, s.Close()); err != nil {
		return CheckpointInfo{}, err
	}
	if err := d.pointAt(ctx, root, info); err != nil {
		return CheckpointInfo{}, fmt.Errorf("%s: %w", LastCheckpointPath, err)
	}
	return info, nil
}

// publishCheckpoint gives the checkpoint its name when its bytes are durable.
func (d *Dir) publishCheckpoint(ctx context.Context, snapshot *Snapshot) (CheckpointInfo, error) {
	r, w := io.Pipe()
	done := make(chan CheckpointInfo, 1)
	go func() {
		info, err := snapshot.WriteCheckpoint(w)
		w.CloseWithError(err) // always nil
		done <- info
	}()
	final := snapshot.Version.CheckpointPath()
	err := d.putAside(ctx, r, func(s *stage, f *stagedFile) error {
		if err := removeChecksum(s.top, final); err != nil {
			return err
		}
		log, err := atomicfile.OpenFolder(s.top, LogDir)
		if err != nil {
			return err
		}
		if err = s.MoveNew(f.name, log, path.Base(final)); err == nil {
			err = log.Sync()
		}
		return errors.Join(err, log.Close())
	})
	r.CloseWithError(err) // lets the writer end; always nil
	info := <-done
	if err != nil {
		return CheckpointInfo{}, err
	}
	return info, nil
}

// pointAt makes the checkpoint the last one, when it is durable.
func (d *Dir) pointAt(ctx context.Context, root *atomicfile.Root, info CheckpointInfo) error {
	text, err := NextHint(ctx, dirLog{d}, info)
	if text == nil || err != nil {
		return err
	}
	if err := root.Remove(LogDir + "/._last_checkpoint.crc"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.putAside(ctx, bytes.NewReader(text), func(s *stage, f *stagedFile) error {
		if err := s.top.Rename(s.path+"/"+f.name, LastCheckpointPath); err != nil {
			return err
		}
		return s.top.SyncDir(LogDir)
	})
}
