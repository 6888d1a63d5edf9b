package deltalog

import (
	"context"
	"sync"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Hold opens the table's folder and keeps it open until release. With the context that it
// returns, or one made of that, these methods of d read the folder as it was, also if
// another takes its place, and cost less: OpenCommit, OpenFile, FileSize, Tip, TipFrom,
// Start, LastCheckpoint, Checkpoints, Snapshot. If it cannot be opened they say so. After
// release they open it anew. Others are not affected. Where a folder that is open keeps its
// name (Windows), it can be neither renamed nor removed meanwhile.
func (d *Dir) Hold(ctx context.Context) (held context.Context, release func()) {
	folder, err := atomicfile.Hold(d.folder)
	if err != nil {
		return context.WithValue(ctx, holdKey{d}, err), func() {}
	}
	return context.WithValue(ctx, holdKey{d}, folder), sync.OnceFunc(func() {
		folder.Release() // read only: nothing can be lost
	})
}

// holdKey is the key of what a context holds of a table: a folder, or why there is none.
type holdKey struct{ of *Dir }

// anew returns a context with which the table is read at its path: whoever writes reads
// what he writes to.
func (d *Dir) anew(ctx context.Context) context.Context {
	return context.WithValue(ctx, holdKey{d}, nil)
}

// reading returns the table's folder for one operation that only reads.
func (d *Dir) reading(ctx context.Context) (folder *atomicfile.Held, release func(), err error) {
	switch held := ctx.Value(holdKey{d}).(type) {
	case error:
		return nil, nil, held
	case *atomicfile.Held:
		if held.Borrow() {
			folder = held
		}
	}
	if folder == nil {
		if folder, err = atomicfile.Hold(d.folder); err != nil {
			return nil, nil, err
		}
	}
	return folder, func() { folder.Release() }, nil // read only: nothing can be lost
}
