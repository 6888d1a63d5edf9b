package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/storage"
)

// storedFile is a file of the table where the store has it.
type storedFile struct {
	in   object // a bundle or a part
	file bundle.File
}

// canRead reads the file, so that nothing is promised which packing would find damaged.
func (s *session) canRead(ctx context.Context, f *storedFile) (bool, error) {
	err := s.readAgain(ctx, f, func() io.Writer { return io.Discard })
	if errors.Is(err, storage.ErrNotFound) && f.file.Part != "" { // a part is named, and need not have been listed
		if _, perr := s.findPart(ctx, f.in.version, f.file.Part); !errors.Is(perr, storage.ErrNotFound) {
			return false, firstOf(perr, thereJustNow(err))
		}
		err = partGone(err)
	}
	if errors.Is(err, ErrCorrupt) {
		s.log.Warn("a file above the end of the store cannot be read", logKey, f.in.Key, logPath, f.file.Path, logError, err)
		return false, nil
	}
	return err == nil, at(f.in.version, f.in.Key, thereJustNow(err))
}

// readAgain reads the file, and once more, without regard to its place, if it comes damaged: the line
// may have been at fault, or the place.
func (s *session) readAgain(ctx context.Context, f *storedFile, into func() io.Writer) error {
	err := s.readStored(ctx, *f, into())
	if errors.Is(err, bundle.ErrNoPlace) || errors.Is(err, ErrCorrupt) {
		f.file.Place = nil
		err = s.readStored(ctx, *f, into())
	}
	return err
}

// readStored writes a file of the store to w, and fails in the end if it is not what it should be.
func (s *session) readStored(ctx context.Context, f storedFile, w io.Writer) error {
	h, n := sha256.New(), int64(0)
	put := func(_ context.Context, _ bundle.Member, r io.Reader) (err error) {
		n, err = io.Copy(io.MultiWriter(h, w), r)
		return err
	}
	files := []bundle.File{f.file}
	var err error
	switch {
	case f.file.Size == 0:
		err = put(ctx, bundle.Member{}, bytes.NewReader(nil))
	case f.file.Place != nil:
		err = s.stageSpans(ctx, f.in, files, put)
	default:
		err = s.stageWhole(ctx, f.in, bundle.IndexEntry{File: f.file}, files, put)
	}
	if err == nil && (n != f.file.Size || bundle.Digest(h.Sum(nil)) != f.file.SHA256) {
		err = fmt.Errorf("%w: %s is not what the manifest says", ErrCorrupt, f.file.Path)
	}
	return at(f.in.version, f.in.Key, err)
}

// heldStored is up to how many bytes a file of the store is read before any of it is handed on.
const heldStored = 1 << 20

// openStored opens a file of the store that was found good. What is read of it is right if it ends
// with io.EOF; if it comes otherwise, another push finds out why.
func (s *session) openStored(ctx context.Context, f storedFile) (io.ReadCloser, error) {
	if f.file.Size <= heldStored {
		var content *bytes.Buffer
		err := s.readAgain(ctx, &f, func() io.Writer { content = new(bytes.Buffer); return content })
		return io.NopCloser(content), goodJustNow(f, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	read := &storedReader{PipeReader: r, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(read.ended)
		w.CloseWithError(goodJustNow(f, s.readStored(ctx, f, w)))
	}()
	return read, nil
}

type storedReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	ended  chan struct{}
}

// Close gives up what was not read.
func (r *storedReader) Close() error {
	r.cancel()
	err := r.PipeReader.Close()
	<-r.ended
	return err
}

// thereJustNow says of an object that was listed, and is not there when it is read, that the same
// call may go otherwise: it may be for a moment, and if not the next listing tells.
func thereJustNow(err error) error {
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: it was listed just now: %w", storage.ErrUnavailable, bare(err))
}

// goodJustNow says of a file that was found good, and is not, that the same call may go otherwise.
func goodJustNow(f storedFile, err error) error {
	if isBroken(err) || errors.Is(err, bundle.ErrNoPlace) {
		err = fmt.Errorf("%w: %s was good just now: %w", storage.ErrUnavailable, f.file.Path, bare(err))
	}
	return at(f.in.version, f.in.Key, err)
}
