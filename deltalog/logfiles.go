package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// LogFiles is a table's log as this package reads it, wherever it lies. Dir has
// its own; a table elsewhere implements it and calls FindTip, ReadSnapshot and
// their like. Paths are relative to the table's root. Errors wrap fs.ErrNotExist
// for what is not there. Methods may be called by many goroutines at once.
type LogFiles interface {
	// Names returns the names in the log's folder, in no order. Those that
	// begin with a version below from may be left out, and so may all that do not
	// begin with a version.
	Names(ctx context.Context, from Version) ([]string, error)
	// Open opens a file to be read from its beginning.
	Open(ctx context.Context, path string) (io.ReadCloser, error)
	// OpenAt opens a file to be read anywhere, and tells its size in bytes.
	OpenAt(ctx context.Context, path string) (ReadAtCloser, int64, error)
}

// ReadAtCloser is a file that can be read anywhere.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

// dirLog is the log of a Dir.
type dirLog struct{ *Dir }

var _ LogFiles = dirLog{}

func (d dirLog) Names(ctx context.Context, _ Version) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	folder, release, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return folder.ReadNames(LogDir)
}

func (d dirLog) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	return asReader(d.openReader(ctx, path))
}

func (d dirLog) OpenAt(ctx context.Context, path string) (ReadAtCloser, int64, error) {
	return d.openReaderAt(ctx, path)
}

func asReader(f *regularFile, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err // no nil pointer that is not nil
	}
	return f, nil
}

// heldLog is the log of a Dir for one operation that reads many of its files.
type heldLog struct{ *atomicfile.Held }

var _ LogFiles = heldLog{}

// hold returns the log, to be released. If its folder cannot be opened, that is
// left to the calls that follow, whose errors say what for.
func (d *Dir) hold(ctx context.Context) (log LogFiles, release func()) {
	folder, release, err := d.reading(ctx)
	if err != nil {
		return dirLog{d}, func() {}
	}
	return heldLog{folder}, release
}

func (h heldLog) Names(ctx context.Context, _ Version) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return h.ReadNames(LogDir)
}

func (h heldLog) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return asReader(openReader(h.Held, path))
}

func (h heldLog) OpenAt(ctx context.Context, path string) (ReadAtCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return openReaderAt(h.Held, path)
}

// walkLog reads a file of JSON actions and calls f with each that is of one of
// the kinds.
func walkLog(ctx context.Context, log LogFiles, path string, f func(kind string, value []byte) error, kinds ...string) error {
	file, err := log.Open(ctx, path)
	if err != nil {
		return err
	}
	return errors.Join(eachAction(ctx, file, f, kinds...), file.Close())
}

func eachAction(ctx context.Context, file io.Reader, f func(kind string, value []byte) error, kinds ...string) error {
	return eachValue(contextReader{ctx, file}, func(raw []byte) error {
		kind, value, err := oneOf(raw, kinds...)
		if err != nil || kind == "" {
			return err
		}
		if kind == "checkpoint" || kind == "contentRoot" {
			return refuse(kind)
		}
		if err := f(kind, value); err != nil {
			return fmt.Errorf("action %q: %w", kind, err)
		}
		return nil
	})
}

// isUnreadable reports whether err, met while a checkpoint was read, is the
// checkpoint's own fault, so that an older one may do.
func isUnreadable(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) || errors.Is(err, fs.ErrNotExist)
}
