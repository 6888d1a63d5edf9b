package deltalog

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"
)

// Files yields the paths of all regular files in the table's folder, relative to it
// and with slashes, in no particular order: but those of the log, of this library's
// own folder, and hidden ones, whose name begins with a dot. A table that is not
// there has none. It ends after an error.
func (d *Dir) Files(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		root, err := d.open()
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield("", err)
			return
		}
		defer root.Close() // read only
		err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			switch {
			case e.IsDir() && (path == LogDir || path == privateDir):
				return fs.SkipDir
			case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), "."):
				return nil
			case !yield(path, nil):
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}
