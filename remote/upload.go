package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/storage"
)

// upload packs a version and creates its bundle. present: another pusher, or
// an earlier attempt whose reply was lost, created the same one before.
func (s *session) upload(ctx context.Context, p *plan) (present bool, err error) {
	key := bundleKey(p.version)
	src, err := s.newSource(ctx, p)
	if err == nil {
		err = s.store.creator.Create(ctx, key, src, src.size())
		if cerr := src.Close(); err == nil {
			err = cerr
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("a file vanished while it was read, push again: %w", err)
	}
	if errors.Is(err, storage.ErrExists) {
		present, err = true, s.settle(ctx, p, src)
	}
	if err != nil {
		return false, at(p.version, key, err)
	}
	s.stepped()
	if present {
		s.mu.Lock()
		s.report.Present++
		s.mu.Unlock()
		return true, nil
	}
	s.record(src.manifest.Versions[0])
	s.log.Info("pushed", logVersion, p.version)
	return false, nil
}

// settle decides by content what "exists already" means: the same commit and
// every file that we would carry is success, all else another history.
func (s *session) settle(ctx context.Context, p *plan, src *source) error {
	ours, err := src.finished()
	if err != nil {
		return err
	}
	theirs, err := s.readManifest(ctx, p.version)
	if err != nil {
		return err
	}
	if theirs.Commit.SHA256 != ours.Commit.SHA256 {
		return diverged(p.version, ours.Commit.SHA256, theirs.Commit.SHA256)
	}
	if a, b := ours.Previous, theirs.Previous; a != nil && b != nil && *a != *b {
		return diverged(p.version-1, *a, *b)
	}
	stored := make(map[string]bundle.File, len(theirs.Files))
	for _, f := range theirs.Files {
		stored[f.Path] = f
	}
	for _, f := range ours.Files {
		if t, ok := stored[f.Path]; !ok || !t.Same(f) {
			return fmt.Errorf("%w: the stored bundle has the same commit but not %s with sha256 %s", ErrDiverged, f.Path, f.SHA256)
		}
	}
	return nil
}

// source is a bundle being packed, as a reader that can start over, so that an
// upload can be tried again.
type source struct {
	pack     func(io.Writer) (bundle.Manifest, error)
	manifest bundle.Manifest // of the last complete packing

	whole *bytes.Reader // a small bundle, packed; else
	pipe  *io.PipeReader
	done  chan struct{} // closed when the packing behind pipe has ended
}

// newSource packs a small bundle at once, a large one while it is read.
func (s *session) newSource(ctx context.Context, p *plan) (*source, error) {
	src := &source{}
	src.pack = func(w io.Writer) (bundle.Manifest, error) {
		m, err := s.opts.Codec.Encode(ctx, w, p.manifest, s.opener(p))
		if err == nil && m.Versions[0].Commit.SHA256 != p.commit {
			err = fmt.Errorf("%w: the commit was rewritten in place: sha256 %s, then %s", ErrCorrupt, p.commit, m.Versions[0].Commit.SHA256)
		}
		return m, err
	}
	if p.size > smallBundle {
		return src, nil
	}
	var buf bytes.Buffer
	m, err := src.pack(&buf)
	if err != nil {
		return nil, err
	}
	src.manifest, src.whole = m, bytes.NewReader(buf.Bytes())
	return src, nil
}

// opener opens the members of a version in the table.
func (s *session) opener(p *plan) bundle.OpenFunc {
	return func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		if path != p.version.CommitPath() {
			f, size, err := s.table.OpenFile(ctx, path)
			return watchedFile{f, s}, size, err
		}
		f, err := s.table.OpenCommit(ctx, p.version)
		if err != nil {
			return nil, 0, err
		}
		return watchedFile{f, s}, f.Size, nil
	}
}

// watchedFile reports what is read of a file as progress.
type watchedFile struct {
	io.ReadCloser
	s *session
}

func (w watchedFile) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.s.progress(int64(n), 0, 0)
	return n, err
}

// size in bytes, negative as long as it is not known.
func (src *source) size() int64 {
	if src.whole != nil {
		return src.whole.Size()
	}
	return -1
}

// Read yields the bundle. An error of the packing arrives instead of the end,
// so a bundle that failed is never complete.
func (src *source) Read(b []byte) (int, error) {
	if src.whole != nil {
		return src.whole.Read(b)
	}
	if src.pipe == nil {
		src.begin()
	}
	return src.pipe.Read(b)
}

func (src *source) begin() {
	r, w := io.Pipe()
	src.pipe, src.done = r, make(chan struct{})
	go func() {
		defer close(src.done)
		m, err := src.pack(w)
		if err == nil {
			src.manifest = m
		}
		w.CloseWithError(err)
	}()
}

// Seek tells the position, or goes back to the start; that is all that trying
// again needs.
func (src *source) Seek(offset int64, whence int) (int64, error) {
	switch {
	case src.whole != nil:
		return src.whole.Seek(offset, whence)
	case offset == 0 && whence == io.SeekStart:
		return 0, src.Close()
	case offset == 0 && whence == io.SeekCurrent && src.pipe == nil:
		return 0, nil
	}
	return 0, errors.New("a bundle can only be read again from its start")
}

// Close ends a packing that is under way and waits for it.
func (src *source) Close() error {
	if src.pipe == nil {
		return nil
	}
	err := src.pipe.Close()
	<-src.done
	src.pipe = nil
	return err
}

// finished returns the version as packed, packing it now if nobody read it to
// its end.
func (src *source) finished() (bundle.Version, error) {
	if len(src.manifest.Versions) == 0 {
		m, err := src.pack(io.Discard)
		if err != nil {
			return bundle.Version{}, err
		}
		src.manifest = m
	}
	return src.manifest.Versions[0], nil
}
