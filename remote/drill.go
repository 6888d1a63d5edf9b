package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// DrillOptions say what Drill restores, and where.
type DrillOptions struct {
	// Version to restore. Default: one at random of those that can be.
	Version *deltalog.Version
	// Folder in which the temporary folder is made. Default: the system's for
	// temporary files.
	Folder string
}

// Drilled is what came of a Drill.
type Drilled struct {
	Version deltalog.Version `json:"version"`
	// Restore is the report of the init; how long it took is what a real one would
	// take. Check is what Verify found when it compared the restored table.
	Restore Report       `json:"restore"`
	Check   Verification `json:"check"`
}

// Drill is a rehearsal: it restores a version of the store into a temporary
// folder, reads that back, every byte of it, compares it with what the store says
// and removes it. opts are those of an Init; its targets are not looked at. An error
// says that the restore failed, or wraps what Verification.Err does if what was
// restored, or the store, is not as it should be.
func Drill(ctx context.Context, store storage.Reader, opts *Options, d DrillOptions) (done Drilled, err error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if done.Version, err = drillVersion(ctx, store, o, d.Version); err != nil {
		return done, opError("drill", err)
	}
	folder, err := os.MkdirTemp(d.Folder, "sluice-drill-")
	if err != nil {
		return done, opError("drill", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	table, err := deltalog.OpenDir(folder)
	if err != nil {
		return done, opError("drill", err)
	}
	o.Target, o.TargetTime = &done.Version, time.Time{}
	r, err := New(table, store, &o)
	if err != nil {
		return done, err
	}
	if done.Restore, err = r.Init(ctx); err != nil {
		return done, opError("drill", err)
	}
	if done.Check, err = r.newSession("drill").verify(ctx, VerifyOptions{}, true); err == nil {
		err = checkDrill(done)
	}
	return done, opError("drill", err)
}

// checkDrill makes sure that the restored table is what it should be.
func checkDrill(d Drilled) error {
	if err := d.Check.Err(); err != nil {
		return err
	}
	for _, f := range d.Check.Findings {
		if f.Kind == FindingExtra {
			return fmt.Errorf("%w: the restored table has %s, which no version has", ErrCorrupt, f.Path)
		}
	}
	if v := d.Check.Table.Version; v != d.Version {
		return fmt.Errorf("%w: the restored table is at version %d", ErrCorrupt, int64(v))
	}
	return nil
}

// drillVersion returns the version to restore.
func drillVersion(ctx context.Context, store storage.Reader, o Options, want *deltalog.Version) (deltalog.Version, error) {
	if want != nil {
		return *want, nil
	}
	r, err := New(nil, store, &o)
	if err != nil {
		return 0, err
	}
	_, _, segments, err := r.newSession("drill").wholeHistory(ctx)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, seg := range segments {
		n += int64(seg.last - seg.first + 1)
	}
	if n == 0 {
		return 0, ErrEmptyStore
	}
	n = rand.Int64N(n)
	for _, seg := range segments {
		count := int64(seg.last - seg.first + 1)
		if n < count {
			return seg.first + deltalog.Version(n), nil
		}
		n -= count
	}
	return 0, ErrEmptyStore
}
