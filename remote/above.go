package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// bundlesAbove are those that a listing has above the end of the store: left of a push that was
// cut off above one that did not get there, or of a history of which one was lost. They count for
// nothing, but may have what the table has lost since, and then a version takes it from there.
type bundlesAbove struct {
	mu      sync.Mutex                            // guards what follows
	bundles []object                              // ascending by version
	ends    map[deltalog.Version]deltalog.Version // of those that were looked into, -1 of one that is of no use
	last    bundle.Manifest                       // that was read last of the others
}

// storedFile is a file of the table where the store has it.
type storedFile struct {
	in   object // a bundle or a part
	file bundle.File
}

// noteAbove remembers what the listing has above the versions without a gap.
func (s *session) noteAbove(l listing, segments []segment) {
	from := 0
	if n := len(segments); n > 0 {
		from, _ = search(l.bundles, segments[n-1].last+1)
	}
	s.aboveEnd.mu.Lock()
	defer s.aboveEnd.mu.Unlock()
	s.aboveEnd.bundles, s.aboveEnd.ends, s.aboveEnd.last = l.bundles[from:], map[deltalog.Version]deltalog.Version{}, bundle.Manifest{}
}

// lacks decides about a file that the table lacks and need not have: p takes it from above the
// end of the store if that has it whole, else records it as absent, for good.
func (s *session) lacks(ctx context.Context, p *versionPlan, path string, kind bundle.Kind) error {
	if !s.endIsSure {
		return errUnsureEnd
	}
	v := deltalog.Version(p.Version.Version)
	f, err := s.findAbove(ctx, v, p.digest, path)
	if err != nil {
		return err
	}
	if f == nil {
		s.log.Warn("file is gone, recorded as absent", logVersion, v, logPath, path)
		p.Absent = append(p.Absent, path)
		return nil
	}
	s.log.Warn("file is gone, taken from what the store has above its end", logVersion, v, logPath, path, logKey, f.in.Key)
	if p.taken == nil {
		p.taken = map[string]storedFile{}
	}
	p.taken[path] = *f
	p.carry(path, kind, f.file.Size)
	return nil
}

// findAbove looks above the end for a file that version v with that commit names. It is nil if no
// bundle of the table has it whole.
func (s *session) findAbove(ctx context.Context, v deltalog.Version, commit bundle.Digest, path string) (*storedFile, error) {
	s.aboveEnd.mu.Lock()
	defer s.aboveEnd.mu.Unlock()
	to, _ := search(s.aboveEnd.bundles, v+1)
	from, _ := search(s.aboveEnd.bundles, v+1-maxRun)
	for _, o := range slices.Backward(s.aboveEnd.bundles[max(from, to-runAhead):to]) {
		m, err := s.readAbove(ctx, o, v)
		if err != nil {
			return nil, err
		}
		file, found := fileOf(m, v, commit, path)
		if !found {
			continue
		}
		f := &storedFile{o, file}
		if file.Part != "" {
			f.in = partOf(m, file.Part)
		}
		good, err := s.canRead(ctx, f)
		if good || err != nil {
			return f, err
		}
	}
	return nil, nil
}

// readAbove returns the manifest of a bundle if it carries version v, is of the history of the table,
// and can be read.
func (s *session) readAbove(ctx context.Context, o object, v deltalog.Version) (m bundle.Manifest, err error) {
	above := &s.aboveEnd
	if n := above.last.Versions; len(n) > 0 && beginOf(above.last) == o.version && endOf(above.last) >= v {
		return above.last, nil
	}
	if end, known := above.ends[o.version]; known && end < v {
		return m, nil
	}
	m, err = s.peek(ctx, o)
	if errors.Is(err, ErrCorrupt) { // as it came
		m, err = s.peek(ctx, o)
	}
	if isBroken(err) || errors.Is(err, ErrUnsupported) {
		s.log.Warn("a bundle above the end of the store cannot be read", logKey, o.Key, logError, err)
		above.ends[o.version] = -1
		return bundle.Manifest{}, nil
	}
	if err != nil {
		return bundle.Manifest{}, err
	}
	ours, err := s.isOurs(ctx, m)
	if err != nil {
		return bundle.Manifest{}, err
	}
	if !ours {
		above.ends[o.version] = -1
		return bundle.Manifest{}, nil
	}
	if above.ends[o.version] = endOf(m); endOf(m) < v {
		return bundle.Manifest{}, nil
	}
	above.last = m
	return m, nil
}

// isOurs reports whether the table has the commits that m says, and the one before, as far as its log
// goes back.
func (s *session) isOurs(ctx context.Context, m bundle.Manifest) (bool, error) {
	if before := m.Versions[0].Previous; before != nil {
		if foreign, err := s.isForeign(ctx, beginOf(m)-1, *before); foreign || err != nil {
			return false, err
		}
	}
	for _, v := range m.Versions {
		if foreign, err := s.isForeign(ctx, deltalog.Version(v.Version), v.Commit.SHA256); foreign || err != nil {
			return false, err
		}
	}
	return true, nil
}

// fileOf returns what m says of a file that version v with that commit names: of several versions
// that name it the first has it.
func fileOf(m bundle.Manifest, v deltalog.Version, commit bundle.Digest, path string) (f bundle.File, found bool) {
	if len(m.Versions) == 0 || m.Versions[v-beginOf(m)].Commit.SHA256 != commit {
		return f, false
	}
	for _, has := range m.Versions[:v-beginOf(m)+1] {
		if i := slices.IndexFunc(has.Files, func(f bundle.File) bool { return f.Path == path }); i >= 0 {
			return has.Files[i], true
		}
	}
	return f, false
}

// partOf returns the part of that name.
func partOf(m bundle.Manifest, name string) object {
	i := slices.IndexFunc(m.Parts, func(p bundle.PartRef) bool { return p.Name == name })
	if i < 0 {
		return partAt(beginOf(m), bundle.PartRef{Name: name, Size: -1})
	}
	return partAt(beginOf(m), m.Parts[i])
}

// canRead reads the file, so that nothing is promised which packing would find damaged. What comes
// damaged is read once more, without regard to its place: the line may have been at fault, or the place.
func (s *session) canRead(ctx context.Context, f *storedFile) (bool, error) {
	err := s.readStored(ctx, *f, io.Discard)
	if errors.Is(err, bundle.ErrNoPlace) || errors.Is(err, ErrCorrupt) {
		f.file.Place = nil
		err = s.readStored(ctx, *f, io.Discard)
	}
	if isBroken(err) || errors.Is(err, ErrUnsupported) {
		s.log.Warn("a file above the end of the store cannot be read", logKey, f.in.Key, logPath, f.file.Path, logError, err)
		return false, nil
	}
	return err == nil, err
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

// openStored opens a file of the store that was found good. What is read of it is right if it ends
// with io.EOF; if it comes otherwise, another push finds out why.
func (s *session) openStored(ctx context.Context, f storedFile) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	read := &storedReader{PipeReader: r, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(read.ended)
		err := s.readStored(ctx, f, w)
		if isBroken(err) || errors.Is(err, bundle.ErrNoPlace) {
			err = at(f.in.version, f.in.Key, fmt.Errorf("%w: it was good just now: %w", storage.ErrUnavailable, bare(err)))
		}
		w.CloseWithError(err)
	}()
	return read
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
