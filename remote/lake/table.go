package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Options of a Table. The zero value of every field is its default.
type Options struct {
	// TempDir is the folder of temporary files: large checkpoints while they are
	// read. Default: the system's.
	TempDir string
}

// Table is a table at the root of a store. Its methods may be called by many
// goroutines at once.
type Table struct {
	store storage.Reader
	opts  Options
	seen  infos
}

var _ remote.StateReader = (*Table)(nil)

// Open returns the table in store; it need not exist. Open sends no request. The
// store is retried as by storage.RetryReader. opts may be nil.
func Open(store storage.Reader, opts *Options) *Table {
	t := &Table{store: storage.RetryReader(store, nil)}
	if opts != nil {
		t.opts = *opts
	}
	return t
}

// open streams an object, or n bytes of it from off.
func (t *Table) open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := t.store.Open(ctx, key, off, n)
	return r, missing(err)
}

// missing makes the store's errors those of a table: what is not there wraps
// fs.ErrNotExist, and a path that no store can hold deltalog.ErrUnsupported. The
// first hides what it was, lest the caller take it for an object among the
// backups.
func missing(err error) error {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return fmt.Errorf("%w: %v", fs.ErrNotExist, err)
	case errors.Is(err, storage.ErrInvalidKey):
		return fmt.Errorf("%w: %w", deltalog.ErrUnsupported, err)
	}
	return err
}
