package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/internal/tempfile"
)

// A base says twice what is live: its checkpoint for readers of the table, its index for
// those who rebuild it. Where the index lacks what the checkpoint has, the table that is
// rebuilt lacks a file that every engine looks for. The index may have more: what the host
// named besides.

// baseLog keeps the checkpoint of a base in a temporary file, one of its files after the
// other, and is the log of a table that has nothing else.
type baseLog struct {
	file  *tempfile.File
	size  int64 // bytes of all so far
	files map[string]*io.SectionReader
}

var _ deltalog.LogFiles = (*baseLog)(nil)

func newBaseLog() (*baseLog, error) {
	f, err := tempfile.Create("", "sluice-checkpoint-")
	if err != nil {
		return nil, err
	}
	return &baseLog{file: f, files: map[string]*io.SectionReader{}}, nil
}

// put keeps the files of the checkpoint, of the members of a base, and hands what it has
// read to next.
func (l *baseLog) put(next bundle.PutFunc) bundle.PutFunc {
	return func(ctx context.Context, m bundle.Member, r io.Reader) error {
		if !bundle.IsCheckpointPath(m.Path) {
			return next(ctx, m, r)
		}
		n, err := io.Copy(l.file, r)
		if err != nil {
			return err
		}
		l.files[m.Path] = io.NewSectionReader(l.file, l.size, n)
		l.size += n
		return next(ctx, m, io.NewSectionReader(l.files[m.Path], 0, n))
	}
}

// Names returns the names of the checkpoint's files, but for sidecars.
func (l *baseLog) Names(context.Context, deltalog.Version) ([]string, error) {
	var names []string
	for p := range l.files {
		if path.Dir(p) == deltalog.LogDir {
			names = append(names, path.Base(p))
		}
	}
	return names, nil
}

// Open opens a file of the checkpoint.
func (l *baseLog) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	f, _, err := l.OpenAt(ctx, path)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(f.(openSection).SectionReader), nil
}

// OpenAt does that for reading anywhere.
func (l *baseLog) OpenAt(_ context.Context, path string) (deltalog.ReadAtCloser, int64, error) {
	f, found := l.files[path]
	if !found {
		return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return openSection{io.NewSectionReader(f, 0, f.Size())}, f.Size(), nil
}

type openSection struct{ *io.SectionReader }

func (openSection) Close() error { return nil }

// Close removes the file.
func (l *baseLog) Close() error { return l.file.Close() }

// unlistedFile says what is wrong with a base whose index lacks a path.
const unlistedFile = "its checkpoint calls it live, or its commit brings it, and its index does not list it"

// addLive adds the paths of what the checkpoint of b calls live. It takes so many bytes of
// memory, and wraps ErrCorrupt or ErrUnsupported if the checkpoint cannot be read.
func (l *baseLog) addLive(ctx context.Context, live *extsort.Sorter, b bundle.Base, memory int64) error {
	state, err := deltalog.ReadSnapshot(ctx, l, deltalog.Version(b.Version), &deltalog.SnapshotOptions{Memory: memory})
	if errors.Is(err, fs.ErrNotExist) { // a sidecar, say
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return err
	}
	return errors.Join(addAdds(ctx, live, state, never), state.Close())
}

// unlisted yields the paths of what is live that the index of b, by path, lacks, ascending,
// but for what b says is absent.
func unlisted(b bundle.Base, live, index *extsort.Sorter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		absent := slices.Sorted(slices.Values(b.Absent))
		for path, err := range without(live, index) {
			if _, gone := slices.BinarySearch(absent, path); !gone && !yield(path, err) {
				return
			}
		}
	}
}

// checkTotals makes sure that the index of a base lists as much as the base says.
func checkTotals(b bundle.Base, listed bundle.Totals) error {
	if listed == b.Live {
		return nil
	}
	return fmt.Errorf("%w: the index lists %d files of %d bytes, the base says %d of %d", ErrCorrupt, listed.Files, listed.Bytes, b.Live.Files, b.Live.Bytes)
}

// without yields the keys of all that others has not, each once.
func without(all, others *extsort.Sorter) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		next, stop := iter.Pull2(others.Sorted())
		defer stop()
		other, err, more := next()
		last, some := "", false
		for one, aerr := range all.Sorted() {
			for aerr == nil && err == nil && more && other.Key < one.Key {
				other, err, more = next()
			}
			if err := errors.Join(aerr, err); err != nil {
				yield("", err)
				return
			}
			if some && one.Key == last || more && other.Key == one.Key {
				continue
			}
			last, some = one.Key, true
			if !yield(one.Key, nil) {
				return
			}
		}
	}
}
