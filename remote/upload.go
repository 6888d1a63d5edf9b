package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// vanishTries is how often a bundle is planned anew because a file vanished
// while it was read, such as under a VACUUM.
const vanishTries = 3

// upload brings the versions of p into the store. That is one bundle, unless
// another pusher was first with a shorter run, or a file vanished meanwhile: then
// the rest is planned anew.
func (s *session) upload(ctx context.Context, p *plan, tip deltalog.Version) error {
	whole, last := p, p.last()
	for tries := 1; p != nil; {
		again := planner{s: s, last: last, tip: tip}
		end, err := s.create(ctx, p, tip)
		if p != whole {
			whole.moved, whole.present = append(whole.moved, p.moved...), whole.present+p.present
			whole.leads = max(whole.leads, p.leads)
		}
		switch {
		case err == nil && p == whole && end == last:
			whole.portion.finish()
			return nil
		case err == nil:
			again.at = p.at(end)
		case errors.Is(err, fs.ErrNotExist) && tries < vanishTries:
			tries++
			again.at = p.versions[0].before
		default:
			return err
		}
		whole.stored = nil
		if p, err = again.next(ctx); err != nil {
			return err
		}
		if p != nil {
			p.portion, p.memory = whole.portion, whole.memory
		}
	}
	whole.portion.finish()
	return nil
}

// at returns where the store is when it has come to version v of p.
func (p *plan) at(v deltalog.Version) position {
	done := p.versions[v-p.first()]
	pos := done.before
	pos.advance(done)
	return pos
}

// create packs p and creates its bundle. It returns the last version of p that
// the store has by that key: all, unless another pusher was first.
func (s *session) create(ctx context.Context, p *plan, tip deltalog.Version) (end deltalog.Version, err error) {
	key := bundleKey(p.first())
	src, free, err := s.newSource(ctx, p)
	if err == nil {
		defer free()
		defer p.forgetCommits()
		err = s.createAbsent(ctx, p.first(), src)
		if cerr := src.Close(); err == nil {
			err = cerr
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("a file vanished while it was read, push again: %w", err)
	}
	if errors.Is(err, storage.ErrExists) {
		end, err = s.settle(ctx, p, src, tip)
		return end, at(p.first(), key, err)
	}
	if err != nil {
		return 0, at(p.first(), key, err)
	}
	p.stored, p.packed = src.done, src.sent+p.partBytes
	p.moved = src.done.Versions
	s.progress(0, len(p.moved), 0)
	s.log.Info("pushed", logVersion, p.first(), logLast, p.last())
	return p.last(), nil
}

// createAbsent creates the bundle of version v. A name whose bundle lies in a pack may be free, and
// is taken all the same: readers go by the pack.
func (s *session) createAbsent(ctx context.Context, v deltalog.Version, src *packing[bundle.Manifest]) error {
	if _, packed := s.packs[v]; packed {
		return storage.ErrExists
	}
	return s.store.creator.Create(ctx, bundleKey(v), src, src.size())
}

// settle decides by content what "exists already" means: for each version that
// both have the same commit, and every file that we would carry, is success; all
// else another history. It returns the last such version.
func (s *session) settle(ctx context.Context, p *plan, src *packing[bundle.Manifest], tip deltalog.Version) (deltalog.Version, error) {
	ours, err := src.finished()
	if err != nil {
		return 0, err
	}
	o := s.bundle(p.first())
	theirs, err := s.readManifest(ctx, o)
	if errors.Is(err, ErrCorrupt) { // as it came
		theirs, err = s.readManifest(ctx, o)
	}
	if errors.Is(err, ErrCorrupt) {
		err = inTheWay(o, err)
	}
	if err != nil {
		return 0, err
	}
	both := min(len(ours.Versions), len(theirs.Versions))
	stored := map[string]bundle.File{}
	for i, v := range theirs.Versions {
		for _, f := range v.Files {
			stored[f.Path] = f
		}
		if i < both {
			if err := settleVersion(ours.Versions[i], v, stored); err != nil {
				return 0, err
			}
		}
	}
	if a, b := ours.Versions[0], theirs.Versions[0]; a.FilesInBase != b.FilesInBase && b.Gap == nil {
		listing := b
		if b.FilesInBase {
			listing = a
		}
		if err := s.settleMixed(ctx, listing, b.FilesInBase); err != nil {
			return 0, err
		}
	}
	if err := s.checkLead(ctx, theirs.Versions[both:], tip); err != nil {
		return 0, err
	}
	p.present, p.leads = both, endOf(theirs)
	s.progress(0, both, 0)
	return p.first() + deltalog.Version(both) - 1, nil
}

// checkLead makes sure that what a stored bundle has beyond a plan is of this table, up to its tip:
// no head may be written below.
func (s *session) checkLead(ctx context.Context, beyond []bundle.Version, tip deltalog.Version) error {
	for _, v := range beyond {
		n := deltalog.Version(v.Version)
		if n > tip {
			return nil
		}
		here, err := hashLocal(ctx, s.table, n)
		if err != nil {
			return err
		}
		if here != v.Commit.SHA256 {
			return diverged(n, here, v.Commit.SHA256)
		}
	}
	return nil
}

// settleVersion compares what this pusher would store with what is stored; files
// are all that the stored bundle carries up to this version.
func settleVersion(ours, theirs bundle.Version, files map[string]bundle.File) error {
	v := deltalog.Version(ours.Version)
	if theirs.Commit.SHA256 != ours.Commit.SHA256 {
		return diverged(v, ours.Commit.SHA256, theirs.Commit.SHA256)
	}
	if ours.Gap != nil && theirs.Gap == nil {
		return noGap(v)
	}
	if a, b := ours.Previous, theirs.Previous; a != nil && b != nil && *a != *b {
		return diverged(v-1, *a, *b)
	}
	if theirs.FilesInBase { // see settleMixed
		return nil
	}
	if theirs.Gap != nil && ours.Gap == nil { // of a pusher with a shorter log: the base beside it has the files
		return nil
	}
	for _, f := range ours.Files {
		if f.Kind == bundle.KindCheckpoint {
			continue // who looked earlier may not have seen it yet
		}
		if t, ok := files[f.Path]; !ok || !t.Same(f) {
			return at(v, "", fmt.Errorf("%w: the stored bundle has the same commit but not %s with sha256 %s", ErrDiverged, f.Path, f.SHA256))
		}
	}
	return nil
}

// newSource packs a small bundle at once, a large one while it is read; where several
// stores are pushed to, one packing serves all that want the same bundle. free is to
// be called when it is not read any more. What a large one leaves to parts is stored
// before.
func (s *session) newSource(ctx context.Context, p *plan) (src *packing[bundle.Manifest], free func(), err error) {
	small := p.size <= s.packedInMemory() // by which it has its memory; what parts leave of a large one may be small
	if err := s.divide(ctx, p); err != nil {
		return nil, nil, err
	}
	src = s.packer(ctx, p)
	if s.group != nil {
		if free, err := s.group.share(ctx, s, p, src); free != nil || err != nil {
			return src, free, err
		}
	}
	if small {
		err = src.packSmall()
	}
	return src, func() {}, err
}

func (s *session) packer(ctx context.Context, p *plan) *packing[bundle.Manifest] {
	src := &packing[bundle.Manifest]{portion: p.portion, stands: p.size, streamed: func() { p.memory.keep(p.sentMemory()) }}
	src.pack = func(w io.Writer) (bundle.Manifest, error) {
		draft := p.manifest(s.opts.Writer)
		files := s.readFilesAhead(ctx, draft, s.opener(p, src.reading))
		defer files.close()
		m, err := s.opts.Codec.Encode(ctx, w, draft, files.open)
		if err != nil {
			return bundle.Manifest{}, err
		}
		for i, v := range p.versions {
			if got := m.Versions[i].Commit.SHA256; got != v.digest {
				return bundle.Manifest{}, fmt.Errorf("%w: the commit was rewritten in place: sha256 %s, then %s", ErrCorrupt, v.digest, got)
			}
		}
		return m, nil
	}
	return src
}

// opener opens members of bundles and bases: commits that p has and files that it takes from the
// store, if there is a plan, and all else in the table. What is read of them counts as of, unless that returns nil.
func (s *session) opener(p *plan, of func() *portion) bundle.OpenFunc {
	return func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		v, isCommit := deltalog.ParseCommitPath(path)
		if f, taken := p.taking(path); taken {
			r, err := s.openStored(ctx, f)
			return watchedFile{watched{r, s, of()}, r}, f.file.Size, err
		}
		if !isCommit {
			f, size, err := s.table.OpenFile(ctx, path)
			return watchedFile{watched{f, s, of()}, f}, size, err
		}
		if raw := p.commit(v); raw != nil {
			return io.NopCloser(watched{bytes.NewReader(raw), s, of()}), int64(len(raw)), nil
		}
		f, err := s.table.OpenCommit(ctx, v)
		if err != nil {
			return nil, 0, err
		}
		return watchedFile{watched{f, s, of()}, f}, f.Size, nil
	}
}
