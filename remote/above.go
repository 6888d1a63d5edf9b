package remote

import (
	"context"
	"errors"
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
	mu      sync.Mutex // guards what follows
	bundles []object   // ascending by version
	looked  map[bundlePlace]aboveLook
	last    bundle.Manifest // that was read last, of
	at      bundlePlace
}

// bundlePlace is where a bundle lies.
type bundlePlace struct {
	key string
	off int64
}

// aboveLook is what came of looking into a bundle above the end.
type aboveLook struct {
	end   deltalog.Version // that it carries, -1 if it is of no use
	whole bool             // all of it was read, and is good
	bad   bool             // it was read, and is not
}

// noteAbove remembers what the listing has above the versions without a gap.
func (s *session) noteAbove(l listing, segments []segment) {
	from := 0
	if n := len(segments); n > 0 {
		from, _ = search(l.bundles, segments[n-1].last+1)
	}
	above := &s.aboveEnd
	above.mu.Lock()
	defer above.mu.Unlock()
	above.bundles, above.looked = slices.Clone(l.bundles[from:]), map[bundlePlace]aboveLook{}
	above.last, above.at = bundle.Manifest{}, bundlePlace{}
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
	for _, o := range slices.Backward(s.aboveEnd.bundles[from:to]) {
		f, err := s.findIn(ctx, o, v, commit, path)
		if f == nil && err == nil && o.pack && s.aboveEnd.looked[bundlePlace{o.Key, o.off}].bad { // it may be there alone
			f, err = s.findIn(ctx, bundleAt(o.version), v, commit, path)
		}
		if f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil
}

// findIn looks for the file in one bundle.
func (s *session) findIn(ctx context.Context, o object, v deltalog.Version, commit bundle.Digest, path string) (*storedFile, error) {
	m, whole, err := s.readAbove(ctx, o, v)
	if err != nil {
		return nil, err
	}
	file, found := fileOf(m, v, commit, path)
	if !found {
		return nil, nil
	}
	f := &storedFile{o, file}
	if file.Part == "" && whole && file.Size <= heldStored {
		return f, nil
	}
	if file.Part != "" {
		f.in = partOf(m, file.Part)
	}
	if good, err := s.canRead(ctx, f); !good {
		return nil, err
	}
	return f, nil
}

// readAbove returns the manifest of a bundle if it carries version v, is of the history of the table,
// and can be read. whole: so can all that the bundle itself has.
func (s *session) readAbove(ctx context.Context, o object, v deltalog.Version) (m bundle.Manifest, whole bool, err error) {
	above, at := &s.aboveEnd, bundlePlace{o.Key, o.off}
	look, looked := above.looked[at]
	if looked && look.end < v {
		return m, false, nil
	}
	if looked && above.at == at {
		return above.last, look.whole, nil
	}
	if !looked {
		m, look, err = s.lookInto(ctx, o)
	} else {
		m, err = s.peekAgain(ctx, o)
	}
	if err != nil {
		return bundle.Manifest{}, false, err
	}
	above.looked[at], above.last, above.at = look, m, at
	if look.end < v {
		return bundle.Manifest{}, false, nil
	}
	return m, look.whole, nil
}

// lookInto reads a bundle above the end: all of it, if that is not much, since several files of
// it may be looked for.
func (s *session) lookInto(ctx context.Context, o object) (m bundle.Manifest, look aboveLook, err error) {
	look.end = -1
	if o.Size >= 0 && o.Size <= groupBytes {
		m, err = s.readManifest(ctx, o)
		look.whole, look.bad = err == nil, errors.Is(err, ErrCorrupt)
	}
	if !look.whole && (err == nil || errors.Is(err, ErrCorrupt)) {
		m, err = s.peekAgain(ctx, o)
	}
	if errors.Is(err, ErrCorrupt) || o.Size < 0 && errors.Is(err, storage.ErrNotFound) {
		s.log.Warn("a bundle above the end of the store cannot be read", logKey, o.Key, logError, err)
		return m, look, nil
	}
	if err != nil {
		return m, look, thereJustNow(err)
	}
	ours, err := s.isOurs(ctx, m)
	if ours {
		look.end = endOf(m)
	}
	return m, look, err
}

// peekAgain reads the manifest of a bundle, and once more if it comes damaged: the line may have been
// at fault.
func (s *session) peekAgain(ctx context.Context, o object) (bundle.Manifest, error) {
	m, err := s.peek(ctx, o)
	if errors.Is(err, ErrCorrupt) {
		m, err = s.peek(ctx, o)
	}
	return m, err
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
