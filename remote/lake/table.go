package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Options of a Table. The zero value of every field is its default.
type Options struct {
	// TempDir is the folder of temporary files: what is staged, as large as the
	// versions that are fetched ahead, and large checkpoints while they are read.
	// Default: the system's.
	TempDir string
	// Concurrency is how many objects are created or deleted at once. Default: 8.
	Concurrency int
}

// Table is a table at the root of a store. Its methods may be called by many
// goroutines at once, and several processes may read it; of several that apply
// the same version one wins and the others find the same content.
type Table struct {
	store   storage.Store
	deleter storage.Deleter    // nil: it cannot delete
	over    storage.Overwriter // nil: it cannot overwrite
	opts    Options
	seen    infos
	spool   spool

	mu   sync.Mutex        // guards last
	last *deltalog.Version // the newest version that this Table made visible, or saw; nil: look
}

var (
	_ remote.LogApplier   = (*Table)(nil)
	_ remote.StateReader  = (*Table)(nil)
	_ remote.Checkpointer = (*Table)(nil)
)

// Open returns the table in store; it need not exist. Open sends no request. The
// store is retried as by storage.Retry. opts may be nil.
func Open(store storage.Store, opts *Options) *Table {
	t := &Table{store: storage.Retry(store, nil)}
	if opts != nil {
		t.opts = *opts
	}
	if t.opts.Concurrency <= 0 {
		t.opts.Concurrency = 8
	}
	t.deleter, _ = t.store.(storage.Deleter)
	t.over, _ = t.store.(storage.Overwriter)
	t.spool.dir = t.opts.TempDir
	return t
}

// open streams an object, or n bytes of it from off.
func (t *Table) open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := t.store.Open(ctx, key, off, n)
	return r, asTable(err)
}

// asTable makes the store's errors those of a table: what is not there wraps
// fs.ErrNotExist, and a path that no store can hold deltalog.ErrUnsupported. The
// first hides what it was, lest the caller take it for an object among the
// backups.
func asTable(err error) error {
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return fmt.Errorf("%w: %v", fs.ErrNotExist, err)
	case errors.Is(err, storage.ErrUnavailable):
		return fmt.Errorf("the table's store: %w", err) // there are two
	case errors.Is(err, storage.ErrInvalidKey):
		return fmt.Errorf("%w: %w", deltalog.ErrUnsupported, err)
	}
	return err
}
