package pondfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// Compact rewrites each directory's data files as one, in a commit of its own.
// No row is lost. It returns ErrNoChange if every directory has one file at most.
func (f *FS) Compact(ctx context.Context, info Info) (deltalog.Version, error) {
	return f.retry(ctx, func(view *View) (actions []object, written []string, err error) {
		now := time.Now()
		for part, adds := range view.parts {
			if len(adds) < 2 {
				continue
			}
			action, path, err := f.writePart(part, func(add func(row) error) error {
				for _, a := range adds {
					if err := scan(f, a.path, add); err != nil {
						return err
					}
				}
				return nil
			}, false)
			if path != "" {
				written = append(written, path)
			}
			if err != nil {
				return nil, written, err
			}
			actions = append(actions, action)
			for _, a := range adds {
				actions = append(actions, removeAction(a, now))
			}
		}
		if len(actions) == 0 {
			return nil, nil, ErrNoChange
		}
		return append([]object{info.action("OPTIMIZE", now)}, actions...), written, nil
	})
}

// CheckpointIfDue writes a checkpoint of version v, just committed, where one is
// due. It makes opening the table faster and is no part of the commit.
func (f *FS) CheckpointIfDue(ctx context.Context, v deltalog.Version) error {
	_, err := f.table.CheckpointIfDue(ctx, v, nil)
	return err
}

// Checkpoint writes a checkpoint of the newest version, unless it has one.
func (f *FS) Checkpoint(ctx context.Context) (deltalog.Version, error) {
	tip, err := f.table.Tip(ctx)
	if err != nil {
		return 0, err
	}
	if _, err = f.table.WriteCheckpoint(ctx, tip, nil); errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return tip, err
}

// Vacuumed is what Vacuum removed.
type Vacuumed struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Vacuum removes the data files and large files that no version from safe on
// needs and that were removed, or written by a commit that never came, longer
// than retention ago. Time travel to versions below safe is then broken here;
// whatever is at safe and above stays as it was. A commit that takes longer than
// retention may lose its files to a vacuum, as in every Delta table.
func (f *FS) Vacuum(ctx context.Context, safe deltalog.Version, retention time.Duration) (done Vacuumed, err error) {
	before := time.Now().Add(-retention)
	keep, err := f.needed(ctx, safe, before)
	if err != nil {
		return done, err
	}
	err = filepath.WalkDir(f.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(f.dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && rel != "." && rel != largeDir && !strings.HasPrefix(rel, "part_id=") {
			return fs.SkipDir
		}
		if d.IsDir() || keep[rel] || path.Dir(rel) == "." {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.ModTime().After(before) {
			return err
		}
		done.Files++
		done.Bytes += info.Size()
		return os.Remove(name)
	})
	return done, err
}

// needed returns the paths of all files that some version from v on needs, and of
// those that were removed after a moment.
func (f *FS) needed(ctx context.Context, v deltalog.Version, after time.Time) (map[string]bool, error) {
	keep := map[string]bool{}
	tip, err := f.table.Tip(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.addLive(ctx, v, keep); err != nil {
		return nil, err
	}
	for v++; v <= tip; v++ {
		commit, err := f.scanCommit(ctx, v)
		if err != nil {
			return nil, err
		}
		for _, file := range commit.Files {
			keep[file.Path] = true
		}
	}
	if err := f.addRemoved(ctx, tip, after, keep); err != nil {
		return nil, err
	}
	large, err := f.LargeFiles(ctx, tip) // no row is ever lost, so the newest version needs all of them
	for _, path := range large {
		keep[path] = true
	}
	return keep, err
}

func (f *FS) addLive(ctx context.Context, v deltalog.Version, keep map[string]bool) (err error) {
	s, err := f.table.Snapshot(ctx, v, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for path, err := range s.LiveFiles() {
		if err != nil {
			return err
		}
		keep[path] = true
	}
	return nil
}

func (f *FS) addRemoved(ctx context.Context, v deltalog.Version, after time.Time, keep map[string]bool) (err error) {
	s, err := f.table.Snapshot(ctx, v, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for stone, err := range s.Tombstones() {
		if err != nil {
			return err
		}
		var removed struct {
			DeletionTimestamp int64 `json:"deletionTimestamp"`
		}
		if err := json.Unmarshal(stone.JSON, &removed); err != nil {
			return fmt.Errorf("%w: remove of %s: %w", deltalog.ErrCorrupt, stone.RawPath, err)
		}
		path, err := deltalog.DecodePath(stone.RawPath)
		if err == nil && removed.DeletionTimestamp > after.UnixMilli() { // what has no path here names no file here
			keep[path] = true
		}
	}
	return nil
}

func (f *FS) scanCommit(ctx context.Context, v deltalog.Version) (_ *deltalog.Commit, err error) {
	file, err := f.table.OpenCommit(ctx, v)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return deltalog.ScanCommit(file)
}
