package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
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
	s.record(*src.done)
	p.stored, p.packed = src.done, src.sent
	s.log.Info("pushed", logVersion, p.version)
	return false, nil
}

// settle decides by content what "exists already" means: the same commit and
// every file that we would carry is success, all else another history.
func (s *session) settle(ctx context.Context, p *plan, src *packing[bundle.Version]) error {
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
		if f.Kind == bundle.KindCheckpoint {
			continue // who looked earlier may not have seen it yet
		}
		if t, ok := stored[f.Path]; !ok || !t.Same(f) {
			return fmt.Errorf("%w: the stored bundle has the same commit but not %s with sha256 %s", ErrDiverged, f.Path, f.SHA256)
		}
	}
	return nil
}

// newSource packs a small bundle at once, a large one while it is read.
func (s *session) newSource(ctx context.Context, p *plan) (*packing[bundle.Version], error) {
	src := &packing[bundle.Version]{pack: func(w io.Writer) (bundle.Version, error) {
		m, err := s.opts.Codec.Encode(ctx, w, p.manifest, s.opener(p.version))
		if err == nil && m.Versions[0].Commit.SHA256 != p.commit {
			err = fmt.Errorf("%w: the commit was rewritten in place: sha256 %s, then %s", ErrCorrupt, p.commit, m.Versions[0].Commit.SHA256)
		}
		if err != nil {
			return bundle.Version{}, err
		}
		return m.Versions[0], nil
	}}
	if p.size > smallBundle {
		return src, nil
	}
	return src, src.packSmall()
}

// opener opens the members of a version in the table.
func (s *session) opener(v deltalog.Version) bundle.OpenFunc {
	return func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		if path != v.CommitPath() {
			f, size, err := s.table.OpenFile(ctx, path)
			return watchedFile{f, s}, size, err
		}
		f, err := s.table.OpenCommit(ctx, v)
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
