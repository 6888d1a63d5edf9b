package remote

import (
	"context"
	"fmt"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// smallBundle is the size in bytes of table files up to which a bundle is
// built in memory; a larger one is streamed, and goes alone.
const smallBundle = 4 << 20

// plan is one version, ready to be packed.
type plan struct {
	version  deltalog.Version
	commit   bundle.Digest // that the commit had when it was planned
	manifest bundle.Manifest
	size     int64 // bytes of the files and the commit, before compression

	// Known once it is uploaded, unless the bundle was there already:
	stored *bundle.Version // as packed
	packed int64           // bytes of the bundle
}

// weight is how many of the n places for transfers the upload takes.
func (p *plan) weight(n int) int64 {
	if p.size <= smallBundle {
		return 1
	}
	return int64(n)
}

// plan reads the commit after pos and decides what its bundle carries.
func (s *session) plan(ctx context.Context, pos *position, tip deltalog.Version) (*plan, error) {
	v := pos.next()
	p, err := s.planVersion(ctx, v, pos, tip)
	return p, at(v, "", err)
}

func (s *session) planVersion(ctx context.Context, v deltalog.Version, pos *position, tip deltalog.Version) (*plan, error) {
	c, err := s.scanLocal(ctx, v)
	if err != nil {
		return nil, err
	}
	bv := bundle.Version{
		Version:   int64(v),
		Commit:    bundle.File{Path: v.CommitPath()},
		Modified:  c.file.Modified.UTC(),
		Timestamp: deltalog.CommitTimestamp(c.Commit, c.file.Modified),
		Operation: c.Operation,
	}
	switch {
	case pos.gap != nil:
		bv.Gap = &bundle.Gap{From: int64(pos.gap.from)}
	case pos.some:
		previous := pos.commit
		bv.Previous = &previous
		bv.Timestamp = deltalog.Monotone(c.Commit, bv.Timestamp, pos.time)
	}
	p := &plan{version: v, commit: c.SHA256, size: c.Size}
	if err := s.planFiles(ctx, p, &bv, c.Commit, tip); err != nil {
		return nil, err
	}
	if bv.Gap != nil {
		bv.Files = onlyChangeData(bv.Files) // the base has all that is live
	} else {
		if err := s.planExtra(ctx, p, &bv); err != nil {
			return nil, err
		}
		if err := s.planCheckpoint(ctx, p, &bv); err != nil {
			return nil, err
		}
	}
	if s.opts.Metadata != nil {
		if bv.Metadata, err = s.opts.Metadata(ctx, v); err != nil {
			return nil, fmt.Errorf("metadata hook: %w", err)
		}
	}
	p.manifest = bundle.Manifest{Format: bundle.Format, Writer: s.opts.Writer, Versions: []bundle.Version{bv}}
	return p, nil
}

// planFiles carries every file that the commit names and does not prove to be
// there already: shipping twice is always right, assuming shipped never.
func (s *session) planFiles(ctx context.Context, p *plan, bv *bundle.Version, c *deltalog.Commit, tip deltalog.Version) error {
	for _, f := range c.Files {
		size, found, err := s.fileSize(ctx, f.Path)
		if err != nil {
			return err
		}
		// A kept file that is gone is looked into like any other: it may have
		// been gone when the version that brought it was pushed.
		if found && f.Kept {
			continue
		}
		if !found {
			if err := s.checkDead(ctx, f.Path, p.version, tip); err != nil {
				return err
			}
			s.log.Warn("file is gone, recorded as absent", logVersion, p.version, logPath, f.Path)
			bv.Absent = append(bv.Absent, f.Path)
			continue
		}
		if f.Size > 0 && f.Size != size {
			s.log.Warn("file is not as long as its commit says", logVersion, p.version, logPath, f.Path, "size", size, "stated", f.Size)
		}
		bv.Files = append(bv.Files, bundle.File{Path: f.Path, Kind: bundle.Kind(f.Kind)})
		p.size += size
	}
	return nil
}

func onlyChangeData(files []bundle.File) []bundle.File {
	return slices.DeleteFunc(files, func(f bundle.File) bool { return f.Kind != bundle.KindChangeData })
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
		return fmt.Errorf("%w: the table lacks %s, which version %d still needs", ErrCorrupt, path, int64(tip))
	}
	return nil
}

// planExtra carries the host's own files that the version before did not list.
func (s *session) planExtra(ctx context.Context, p *plan, bv *bundle.Version) error {
	if s.opts.Extra == nil {
		return nil
	}
	paths, err := s.opts.Extra(ctx, p.version)
	if err != nil {
		return fmt.Errorf("extra files hook: %w", err)
	}
	var before []string
	if p.version > 0 {
		if before, err = s.opts.Extra(ctx, p.version-1); err != nil {
			return fmt.Errorf("extra files hook: %w", err)
		}
	}
	for _, path := range newPaths(paths, before) {
		size, found, err := s.fileSize(ctx, path)
		if err != nil {
			return err
		}
		if !found && s.opts.AllowMissing {
			s.log.Error("an extra file is gone, and may be", logVersion, p.version, logPath, path)
			bv.Absent = append(bv.Absent, path)
			continue
		}
		if !found {
			return fmt.Errorf("%w: the table lacks the extra file %s", ErrCorrupt, path)
		}
		bv.Files = append(bv.Files, bundle.File{Path: path, Kind: bundle.KindExtra})
		p.size += size
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
