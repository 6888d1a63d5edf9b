package deltalog

import (
	"context"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Hold keeps the table's folder open until release, for a caller who reads much of it. All
// that reads the table with the context that it returns, or one made of that, stays with the
// folder as it was even if another takes its place, and costs less. What writes does not. If
// the folder cannot be opened nothing is held, and whoever reads says so. Where a folder
// that is open keeps its name (Windows) it can be neither renamed nor removed meanwhile.
func (d *Dir) Hold(ctx context.Context) (held context.Context, release func()) {
	folder, err := atomicfile.Hold(d.folder)
	if err != nil {
		return d.anew(ctx), func() {}
	}
	return context.WithValue(ctx, holdKey{d}, folder), func() { folder.Release() } // read only: nothing can be lost
}

// holdKey is the key of the folder that a context holds of a table.
type holdKey struct{ of *Dir }

// anew undoes Hold, as for what reads the folder to write into it.
func (d *Dir) anew(ctx context.Context) context.Context {
	return context.WithValue(ctx, holdKey{d}, nil)
}

// reading returns the table's folder for one operation that only reads.
func (d *Dir) reading(ctx context.Context) (folder *atomicfile.Held, release func(), err error) {
	folder, held := ctx.Value(holdKey{d}).(*atomicfile.Held)
	if !held || !folder.Borrow() {
		if folder, err = atomicfile.Hold(d.folder); err != nil {
			return nil, nil, err
		}
	}
	return folder, func() { folder.Release() }, nil // read only: nothing can be lost
}
