package lake

import (
	"context"
	"io"

	"github.com/pondworks/sluice/deltalog"
)

// Tip returns the newest version: one read of _last_checkpoint, and one listing
// from there on. A commit without any bytes is not there yet: programs that write
// through a mounted bucket make the name first. Errors are those of deltalog.FindTip.
func (t *Table) Tip(ctx context.Context) (deltalog.Version, error) {
	t.seen.forget()
	return deltalog.FindTip(ctx, tableLog{t})
}

// TipFrom does what Tip does by one listing from version from on, if that is
// there.
func (t *Table) TipFrom(ctx context.Context, from deltalog.Version) (deltalog.Version, error) {
	t.seen.forget()
	return deltalog.FindTipFrom(ctx, tableLog{t}, from)
}

// OpenCommit opens the commit of a version, verbatim. Its Modified is the time
// that the service gave the object. Wraps fs.ErrNotExist if it is not there. The
// object is asked for when it is first read, as by OpenFile.
func (t *Table) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	info, err := t.commitInfo(ctx, v)
	if err != nil {
		return nil, err
	}
	return &deltalog.CommitFile{ReadCloser: &lazyFile{ctx: ctx, table: t, key: info.Key}, Size: info.Size, Modified: info.ModTime}, nil
}

// OpenFile opens a file of the table by its decoded path and tells its size in
// bytes, by a listing. The object itself is asked for when it is first read; if it
// vanished in between, that read wraps fs.ErrNotExist. Otherwise the errors are
// those of deltalog.Dir.OpenFile, and a path that is no storage.CheckKey wraps
// deltalog.ErrUnsupported.
func (t *Table) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if err := deltalog.CheckPath(path); err != nil {
		return nil, 0, err
	}
	info, err := t.info(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return &lazyFile{ctx: ctx, table: t, key: path}, info.Size, nil
}

// lazyFile is an object that is asked for when it is first read: a push looks at
// the sizes of all files before it reads any, and asks whether a commit is there.
type lazyFile struct {
	ctx   context.Context // of OpenFile, as for every store
	table *Table
	key   string
	r     io.ReadCloser
}

func (f *lazyFile) Read(p []byte) (int, error) {
	if f.r == nil {
		r, err := f.table.open(f.ctx, f.key, 0, -1)
		if err != nil {
			return 0, err
		}
		f.r = r
	}
	return f.r.Read(p)
}

func (f *lazyFile) Close() error {
	if f.r == nil {
		return nil
	}
	return f.r.Close()
}
