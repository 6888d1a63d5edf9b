package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// Bounds of a run, which is what a backlog of small versions goes up as: one
// bundle that carries several versions. Far fewer requests than one a version,
// and still small enough to be packed in memory and to be sent again.
const (
	runBytes    = 8 << 20 // of table files and commits, before compression
	runVersions = 1024
	runSaid     = 16 << 20 // bytes that the manifest says of them, about
)

// plan is one bundle, ready to be packed: a version, or a run of small ones.
type plan struct {
	versions []*versionPlan
	size     int64                 // bytes of the files and the commits, before compression
	said     int64                 // about how many bytes the manifest says of them
	carried  map[string]bool       // paths; false: recorded absent
	taken    map[string]storedFile // of these, that the table lacks

	portion *portion // of what the push does
	memory  *loan    // that the upload has of Options.Memory

	parts     []bundle.PartRef // that are in the store, once it was divided
	partBytes int64            // of these

	// Known once it is uploaded:
	stored *bundle.Manifest // as packed; nil if the store has it in some other form
	packed int64            // bytes in the store

	moved   []bundle.Version // by this push, if need be in several bundles
	present int              // versions that were there already
	leads   deltalog.Version // the last one of the bundle that was there, be it beyond these
}

// versionPlan is one version as its bundle will carry it.
type versionPlan struct {
	bundle.Version
	digest bundle.Digest // that the commit had when it was planned
	commit []byte        // its bytes; nil if it is large, or they are in the store
	size   int64
	taken  map[string]storedFile // files that the table lacks, by path
	before position              // to plan it again
}

// said is about how many bytes the manifest says of v.
func (v *versionPlan) said() int64 {
	const each = 256 // names of keys, a size, a digest, a place
	n := int64(each)
	for _, f := range v.Files {
		n += int64(len(f.Path)) + each
	}
	for _, path := range v.Absent {
		n += int64(len(path)) + 16 // so that as many as FORMAT.md allows (L2) are too much
	}
	for key, value := range v.Metadata {
		n += int64(len(key)+len(value)) + 16
	}
	return n
}

func (p *plan) first() deltalog.Version { return deltalog.Version(p.versions[0].Version.Version) }

func (p *plan) last() deltalog.Version {
	return deltalog.Version(p.versions[len(p.versions)-1].Version.Version)
}

// takes reports whether v may join the versions of p in one bundle, in which
// no path stands twice (bundle/FORMAT.md, P5). A path that was used again may have another file of
// the same name in the store.
func (p *plan) takes(v *versionPlan) bool {
	if len(p.versions) == runVersions || p.size+v.size > runBytes || p.said+v.said() > runSaid || v.Gap != nil || v.FilesInBase || p.versions[0].FilesInBase {
		return false
	}
	for _, path := range v.Absent {
		if _, known := p.carried[path]; known {
			return false
		}
	}
	return !slices.ContainsFunc(v.Files, func(f bundle.File) bool {
		here, known := p.carried[f.Path]
		return known && (!here || p.taken[f.Path].file.SHA256 != v.taken[f.Path].file.SHA256)
	})
}

// add appends v. What an earlier version of the bundle carries v need not.
func (p *plan) add(v *versionPlan) {
	if p.carried == nil {
		p.carried = map[string]bool{}
	}
	v.Files = slices.DeleteFunc(v.Files, func(f bundle.File) bool { return p.carried[f.Path] })
	for _, f := range v.Files {
		p.carried[f.Path] = true
	}
	for _, path := range v.Absent {
		p.carried[path] = false
	}
	if p.taken == nil {
		p.taken = map[string]storedFile{}
	}
	maps.Copy(p.taken, v.taken)
	p.versions = append(p.versions, v)
	p.size += v.size
	p.said += v.said()
}

// commit returns the bytes of the commit of version v, nil if they were not kept.
func (p *plan) commit(v deltalog.Version) []byte {
	if p == nil || v < p.first() || v > p.last() {
		return nil
	}
	return p.versions[v-p.first()].commit
}

// taking returns where the store has a file that the table lacks.
func (p *plan) taking(path string) (storedFile, bool) {
	if p == nil {
		return storedFile{}, false
	}
	f, is := p.taken[path]
	return f, is
}

// forgetCommits frees what packing p needed.
func (p *plan) forgetCommits() {
	for _, v := range p.versions {
		v.commit = nil
	}
}

func (p *plan) manifest(w bundle.Writer) bundle.Manifest {
	m := bundle.Manifest{Format: bundle.Format, Writer: w, Parts: p.parts}
	for _, v := range p.versions {
		m.Versions = append(m.Versions, v.Version)
	}
	return m
}

// planner plans the bundles of a push, one after the other.
type planner struct {
	s         *session
	ahead     *commitsAhead // nil: commits are read at their turn
	at        position      // behind what was planned
	last, tip deltalog.Version
	held      *versionPlan // planned, and left for the next bundle
	err       error        // met behind what was handed out
}

// next returns the next bundle, nil behind the last. What was planned before an
// error is handed out first, so that it is pushed.
func (pl *planner) next(ctx context.Context) (*plan, error) {
	p := &plan{}
	for {
		v, err := pl.version(ctx)
		if err != nil && len(p.versions) == 0 {
			return nil, err
		}
		if pl.err = err; v == nil {
			break
		}
		if len(p.versions) > 0 && !p.takes(v) {
			pl.held = v
			break
		}
		p.add(v)
	}
	if len(p.versions) == 0 {
		return nil, nil
	}
	return p, nil
}

// version returns the next version, nil behind the last.
func (pl *planner) version(ctx context.Context) (*versionPlan, error) {
	if v := pl.held; v != nil {
		pl.held = nil
		return v, nil
	}
	v := pl.at.next()
	if pl.err != nil || v > pl.last {
		return nil, pl.err
	}
	c, err := pl.commit(ctx, v)
	var p *versionPlan
	if err == nil {
		p, err = pl.s.planVersion(ctx, v, c, &pl.at, pl.tip)
	}
	if err != nil {
		return nil, at(v, "", err)
	}
	pl.at.advance(p)
	return p, nil
}

func (pl *planner) commit(ctx context.Context, v deltalog.Version) (localCommit, error) {
	if pl.ahead == nil {
		return pl.s.scanLocal(ctx, v)
	}
	return pl.ahead.take(ctx, v)
}

// planVersion decides what the bundle of version v carries, which comes after pos and has
// this commit.
func (s *session) planVersion(ctx context.Context, v deltalog.Version, c localCommit, pos *position, tip deltalog.Version) (*versionPlan, error) {
	p := &versionPlan{digest: c.SHA256, commit: c.raw, size: c.Size, before: *pos, Version: bundle.Version{
		Version:   int64(v),
		Commit:    bundle.File{Path: v.CommitPath()},
		Modified:  c.file.Modified.UTC(),
		Timestamp: deltalog.CommitTimestamp(c.Commit, c.file.Modified),
		Operation: c.Operation,
	}}
	switch {
	case pos.gap != nil:
		p.Gap = &bundle.Gap{From: int64(pos.gap.from)}
	case pos.some:
		previous := pos.commit
		p.Previous = &previous
		p.Timestamp = deltalog.Monotone(c.Commit, p.Timestamp, pos.time)
	}
	if c.Protocol != nil && c.Protocol.Catalog() != "" {
		s.log.Warn("the table belongs to a catalog, without which engines may not open a replica", logVersion, v, "feature", c.Protocol.Catalog())
	}
	if c.Omitted {
		if err := s.planMany(ctx, p, &c); err != nil {
			return nil, err
		}
	}
	if err := s.planFiles(ctx, p, &c, tip); err != nil {
		return nil, err
	}
	if p.Gap != nil {
		p.keepChangeData() // the base has all that is live
	} else if !p.FilesInBase {
		if err := s.planExtra(ctx, p); err != nil {
			return nil, err
		}
		if err := s.planCheckpoint(ctx, p); err != nil {
			return nil, err
		}
	}
	if s.opts.Metadata != nil {
		var err error
		if p.Metadata, err = s.opts.Metadata(ctx, v); err != nil {
			return nil, fmt.Errorf("metadata hook: %w", err)
		}
	}
	return p, s.checkFits(p)
}

// checkFits refuses what no bundle can hold before anything of it is sent, if the codec can
// tell.
func (s *session) checkFits(p *versionPlan) error {
	codec, ok := s.opts.Codec.(interface{ Fits(bundle.Manifest) error })
	if !ok {
		return nil
	}
	return codec.Fits(bundle.Manifest{Versions: []bundle.Version{p.Version}})
}

// carry adds a file of size bytes.
func (p *versionPlan) carry(path string, kind bundle.Kind, size int64) {
	p.Files = append(p.Files, bundle.File{Path: path, Kind: kind, Size: size})
	p.size += size
}

// planFiles carries every file that the commit names and does not prove to be
// there already: shipping twice is always right, assuming shipped never.
func (s *session) planFiles(ctx context.Context, p *versionPlan, c *localCommit, tip deltalog.Version) error {
	for i, f := range c.Files {
		size, found, err := c.size(ctx, s, i)
		if err != nil {
			return err
		}
		// A kept file that is gone is looked into like any other: it may have
		// been gone when the version that brought it was pushed.
		if found && f.Kept {
			continue
		}
		v := p.Version.Version
		if !found {
			if !s.endIsSure {
				return errUnsureEnd
			}
			if err := s.checkDead(ctx, f.Path, deltalog.Version(v), tip); err != nil {
				return err
			}
			if err := s.lacks(ctx, p, f.Path, bundle.Kind(f.Kind)); err != nil {
				return err
			}
			continue
		}
		if f.Size > 0 && f.Size != size {
			s.log.Warn("file is not as long as its commit says", logVersion, v, logPath, f.Path, "size", size, "stated", f.Size)
		}
		p.carry(f.Path, bundle.Kind(f.Kind), size)
	}
	return nil
}

// keepChangeData carries nothing but change data.
func (p *versionPlan) keepChangeData() {
	p.Files = slices.DeleteFunc(p.Files, func(f bundle.File) bool {
		drop := f.Kind != bundle.KindChangeData
		if drop {
			p.size -= f.Size
		}
		return drop
	})
}

// checkDead makes sure that the newest version does without a file that is
// missing; a live file that is missing means that the source is damaged.
func (s *session) checkDead(ctx context.Context, path string, v, tip deltalog.Version) error {
	live, err := s.isLive(ctx, path, tip)
	if err != nil {
		return err
	}
	if live && s.opts.AllowMissing {
		s.log.Error("a file that the newest version needs is gone, and may be", logVersion, v, logPath, path)
		return nil
	}
	if live {
		return fmt.Errorf("%w: the table lacks %s, which version %d still needs", errLost, path, int64(tip))
	}
	return nil
}

// planExtra carries the host's own files that the version before did not list.
func (s *session) planExtra(ctx context.Context, p *versionPlan) error {
	if s.opts.Extra == nil {
		return nil
	}
	v := deltalog.Version(p.Version.Version)
	paths, err := s.opts.Extra(ctx, v)
	if err != nil {
		return fmt.Errorf("extra files hook: %w", err)
	}
	var before []string
	if v > 0 {
		if before, err = s.opts.Extra(ctx, v-1); err != nil {
			return fmt.Errorf("extra files hook: %w", err)
		}
	}
	for _, path := range newPaths(paths, before) {
		size, found, err := s.fileSize(ctx, path)
		if err != nil {
			return err
		}
		if !found && s.opts.AllowMissing {
			s.log.Error("an extra file is gone, and may be", logVersion, v, logPath, path)
			if err := s.lacks(ctx, p, path, bundle.KindExtra); err != nil {
				return err
			}
			continue
		}
		if !found {
			return fmt.Errorf("%w: the table lacks the extra file %s", errLost, path)
		}
		p.carry(path, bundle.KindExtra, size)
	}
	return nil
}

// newPaths returns the paths that are not among before, sorted, each once.
func newPaths(paths, before []string) []string {
	known := make(map[string]bool, len(before))
	for _, b := range before {
		known[b] = true
	}
	added := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return known[p] })
	slices.Sort(added)
	return slices.Compact(added)
}
