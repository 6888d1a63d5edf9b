package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// staging is what was staged out of one object, by path.
type staging struct {
	s     *session
	table LogApplier
	of    *portion // that what is staged adds to; nil: none

	mu    sync.Mutex
	files map[string]deltalog.Staged
}

func (s *session) newStaging(table LogApplier) *staging {
	return &staging{s: s, table: table, files: map[string]deltalog.Staged{}}
}

// put stages one member; it is a bundle.PutFunc.
func (st *staging) put(ctx context.Context, m bundle.Member, r io.Reader) error {
	f, err := st.table.Stage(ctx, m.Path, st.watch(r))
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.files[m.Path] = f
	return nil
}

// watch shows what is read of r as progress. The codec's readers hash what passes.
func (st *staging) watch(r io.Reader) io.Reader {
	w := watched{r, st.s, st.of}
	if sum, ok := r.(deltalog.Summer); ok {
		return struct {
			watched
			deltalog.Summer
		}{w, sum}
	}
	return w
}

// take returns the staged file, which must be what a manifest says.
func (st *staging) take(want bundle.File) (deltalog.Staged, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	got, ok := st.files[want.Path]
	if !ok || got.Size != want.Size || got.SHA256 != want.SHA256 {
		return got, fmt.Errorf("%w: %s is not what the manifest says", ErrCorrupt, want.Path)
	}
	delete(st.files, want.Path)
	return got, nil
}

// takeAll does the same for several.
func (st *staging) takeAll(want []bundle.File) ([]deltalog.Staged, error) {
	got := make([]deltalog.Staged, 0, len(want))
	for _, w := range want {
		f, err := st.take(w)
		if err != nil {
			return nil, err
		}
		got = append(got, f)
	}
	return got, nil
}

// change is what the table is to do for a version that brings these files.
func (st *staging) change(v bundle.Version, files []bundle.File) (deltalog.Change, error) {
	c := deltalog.Change{Version: deltalog.Version(v.Version), Modified: v.Modified}
	var err error
	if c.Commit, err = st.take(v.Commit); err != nil {
		return c, err
	}
	for _, f := range files {
		got, err := st.take(f)
		if err != nil {
			return c, err
		}
		if f.Kind == bundle.KindCheckpoint {
			c.Older = append(c.Older, got)
		} else {
			c.Files = append(c.Files, got)
		}
	}
	return c, nil
}

// smallCommit is up to how many bytes a commit is held in memory to be staged and
// scanned.
const smallCommit = 1 << 20

// putCommit stages a commit file and reads it on the way, listing up to most of its files.
func (st *staging) putCommit(ctx context.Context, m bundle.Member, r io.Reader, most int) (*deltalog.Commit, error) {
	if m.Size > smallCommit {
		return st.streamCommit(ctx, m, r, most)
	}
	raw := make([]byte, m.Size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, err
	}
	if err := st.put(ctx, m, bytes.NewReader(raw)); err != nil {
		return nil, err
	}
	return deltalog.ScanCommitUpTo(bytes.NewReader(raw), most)
}

// streamCommit does that for one of any size.
func (st *staging) streamCommit(ctx context.Context, m bundle.Member, r io.Reader, most int) (*deltalog.Commit, error) {
	pr, pw := io.Pipe()
	staged := make(chan error, 1)
	go func() {
		err := st.put(ctx, m, pr)
		pr.CloseWithError(err) // a stage that gave up must not block the scan
		staged <- err
	}()
	c, err := deltalog.ScanCommitUpTo(io.TeeReader(r, pw), most)
	pw.CloseWithError(err)
	if serr := <-staged; err == nil {
		err = serr
	}
	return c, err
}
