package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// logFiles is a table's log as reading its state needs it, wherever it lies.
// Paths are relative to the table's root. Errors wrap fs.ErrNotExist for what
// is not there.
type logFiles interface {
	// names returns the names in the log's folder, in no order. Those that
	// begin with a version below from may be left out.
	names(ctx context.Context, from Version) ([]string, error)
	// open opens a file to be read from its beginning.
	open(ctx context.Context, path string) (io.ReadCloser, error)
	// openAt opens a file to be read anywhere, and tells its size in bytes.
	openAt(ctx context.Context, path string) (readAtCloser, int64, error)
}

type readAtCloser interface {
	io.ReaderAt
	io.Closer
}

// dirLog is the log of a Dir.
type dirLog struct{ *Dir }

var _ logFiles = dirLog{}

func (d dirLog) names(ctx context.Context, _ Version) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := d.Dir.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return readNames(root, LogDir)
}

func (d dirLog) open(ctx context.Context, path string) (io.ReadCloser, error) {
	f, _, err := d.openRegular(ctx, path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d dirLog) openAt(ctx context.Context, path string) (readAtCloser, int64, error) {
	f, info, err := d.openRegular(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// walkLog reads a file of JSON actions and calls f with each that is of one of
// the kinds.
func walkLog(ctx context.Context, log logFiles, path string, f func(kind string, value []byte) error, kinds ...string) error {
	file, err := log.open(ctx, path)
	if err != nil {
		return err
	}
	err = eachValue(contextReader{ctx, file}, func(raw []byte) error {
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
	return errors.Join(err, file.Close())
}

// isUnreadable reports whether err, met while a checkpoint was read, is the
// checkpoint's own fault, so that an older one may do.
func isUnreadable(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) || errors.Is(err, fs.ErrNotExist)
}
