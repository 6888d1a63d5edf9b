package remote

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/internal/inorder"
)

// aheadMemory bounds the files of one bundle that are read ahead, in bytes. It is part
// of what packing a bundle in memory takes: nobody holds a copy of it yet.
const aheadMemory = 2 << 20

// filesAhead reads small files of a bundle before their turn, Options.Concurrency of them
// at once: while one is packed the next are on their way, for which a table in a bucket
// takes long.
type filesAhead struct {
	table bundle.OpenFunc
	large int64 // bytes from which on a file is left for its turn

	mu   sync.Mutex // guards what follows
	left []string   // paths of those to come, in the order of the bundle
	next func() (fileRead, bool)
	stop func()
}

// fileRead is what came of reading a file.
type fileRead struct {
	content *bytes.Buffer // all that there is
	size    int64         // as announced
	large   bool          // it was left for its turn
	err     error
}

// readFilesAhead reads files of m out of the table. It must be closed.
func (s *session) readFilesAhead(ctx context.Context, m bundle.Manifest, table bundle.OpenFunc) *filesAhead {
	a := &filesAhead{table: table, large: aheadMemory / int64(s.opts.Concurrency)}
	for _, v := range m.Versions {
		for _, f := range v.Files {
			if f.Part == "" && f.Size < a.large {
				a.left = append(a.left, f.Path)
			}
		}
	}
	paths := a.left
	a.next, a.stop = iter.Pull(inorder.Seq(ctx, s.opts.Concurrency, func(yield func(string) bool) {
		for _, p := range paths {
			if !yield(p) {
				return
			}
		}
	}, a.read))
	return a
}

// read reads a file, and one byte more than it should have, so that whoever packs it sees
// that it is longer.
func (a *filesAhead) read(ctx context.Context, path string) (r fileRead) {
	f, size, err := a.table(ctx, path)
	if err != nil {
		return fileRead{err: err}
	}
	if r.size, r.large = size, size < 0 || size >= a.large; !r.large {
		r.content = contents.Get().(*bytes.Buffer)
		r.content.Reset()
		r.content.Grow(int(size) + 1 + bytes.MinRead)
		_, r.err = r.content.ReadFrom(io.LimitReader(f, size+1))
	}
	if cerr := f.Close(); r.err == nil {
		r.err = cerr
	}
	return r
}

// contents are buffers for the content of files. Who takes one empties it.
var contents = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// contentReader reads a content, whose buffer is used for others after Close.
type contentReader struct{ content *bytes.Buffer }

func (r *contentReader) Read(p []byte) (int, error) {
	if r.content == nil {
		return 0, fs.ErrClosed
	}
	return r.content.Read(p)
}

func (r *contentReader) Close() error {
	if r.content == nil {
		return fs.ErrClosed
	}
	contents.Put(r.content)
	r.content = nil
	return nil
}

// open is a bundle.OpenFunc. A file that is not the next of those read ahead it opens in
// the table.
func (a *filesAhead) open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if r, taken := a.take(path); taken {
		return &contentReader{r.content}, r.size, r.err
	}
	return a.table(ctx, path)
}

func (a *filesAhead) take(path string) (fileRead, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.left) == 0 || a.left[0] != path {
		return fileRead{}, false
	}
	a.left = a.left[1:]
	r, more := a.next()
	return r, more && !r.large
}

// close gives up what was not taken.
func (a *filesAhead) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop()
}
