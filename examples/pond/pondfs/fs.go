// Package pondfs keeps the files of a pond in a Delta table: a folder that any
// Delta engine opens, with one row for each version of each file.
//
// The rows of one directory lie in one partition, part_id=<uuid>. The content
// of a small file is in its row; that of a large one is beside the table, in
// _large_files under the digest of its bytes, where no Delta action names it:
// [FS.LargeFiles] is the hook through which replication learns of these.
//
// Every change is one commit of the table, by exclusive create, so any number
// of processes may write to a pond at once.
package pondfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/pondworks/sluice/deltalog"
)

// FS is the files of one pond. Its methods may be called by many goroutines at
// once.
type FS struct {
	dir   string
	table *deltalog.Dir
}

// Open returns the files of the table in folder dir, which need not exist yet.
func Open(dir string) (*FS, error) {
	table, err := deltalog.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return &FS{dir: dir, table: table}, nil
}

// Table is the Delta table, as sluice replicates it.
func (f *FS) Table() *deltalog.Dir { return f.table }

// Create makes the table: version 0, with an empty root directory. It wraps
// fs.ErrExist if there is a table already.
func (f *FS) Create(ctx context.Context, info Info) error {
	if _, err := f.table.Tip(ctx); !errors.Is(err, deltalog.ErrNoTable) {
		if err == nil {
			err = fmt.Errorf("%s: %w", f.dir, fs.ErrExist)
		}
		return err
	}
	if err := os.MkdirAll(filepath.Join(f.dir, deltalog.LogDir), 0o755); err != nil {
		return err
	}
	return f.publish(0, append(tableActions(uuid.NewString(), time.Now()), info.action("CREATE TABLE", time.Now())))
}

// ID returns the id of the pond, which is that of its table: replicas and
// restored ponds have the same.
func (f *FS) ID(ctx context.Context) (string, error) {
	tip, err := f.table.Tip(ctx)
	if err != nil {
		return "", err
	}
	s, err := f.table.Snapshot(ctx, tip, nil)
	if err != nil {
		return "", err
	}
	return s.Metadata.ID, s.Close()
}

// open opens a file of the table for reading. It never leaves the table, also
// if the log of a replica came from somebody hostile.
func (f *FS) open(path string) (*os.File, error) {
	return os.OpenInRoot(f.dir, filepath.FromSlash(path))
}
