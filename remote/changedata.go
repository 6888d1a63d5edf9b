package remote

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// No state of a table needs change data, so no base has it. But who reads the feed of a replica
// from the version on with which it begins needs what that version brought: its bundle has it.

// addChangeData adds to change what the version of a base brought as change data, as far as its
// bundle is there and can be read: without, the feed of the replica begins with the next version.
func (s *session) addChangeData(ctx context.Context, own *staging, b bundle.Base, kept *keptBase, g *goal, change *deltalog.Change) error {
	any := false
	if err := kept.eachChangeData(s.opts.Memory/8, func(string) bool { any = true; return false }); err != nil || !any {
		return err
	}
	files, err := s.stageChangeData(ctx, own, b, kept, g)
	if isBroken(err) {
		s.log.Warn("change data not restored", logVersion, b.Version, logError, err)
		return nil
	}
	change.Files = append(change.Files, files...)
	return err
}

// eachChangeData calls yield with the paths that the commit of the base names as change data, until
// it returns false.
func (k *keptBase) eachChangeData(memory int64, yield func(path string) bool) (err error) {
	files, err := deltalog.SortFiles(io.NewSectionReader(k.commit, 0, math.MaxInt64), memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	for f, err := range files.All() {
		if err != nil {
			return err
		}
		if f.Kind == deltalog.KindChangeData && !yield(f.Path) {
			break
		}
	}
	return nil
}

// stageChangeData stages what the bundle of the version has as change data and its commit names.
func (s *session) stageChangeData(ctx context.Context, own *staging, b bundle.Base, kept *keptBase, g *goal) ([]deltalog.Staged, error) {
	var l listing
	var err error
	if g != nil {
		l = g.listing
	} else if l, err = s.list(ctx); err != nil {
		return nil, err
	}
	t, err := s.carrierOf(ctx, l, deltalog.Version(b.Version))
	if err != nil || t.found == nil || t.found.Commit.SHA256 != b.Commit.SHA256 {
		return nil, err
	}
	carried := map[string]bundle.File{}
	for _, f := range t.found.Files {
		if f.Kind == bundle.KindChangeData {
			carried[f.Path] = f
		}
	}
	objects := map[string][]bundle.File{} // by their part
	err = kept.eachChangeData(s.opts.Memory/8, func(path string) bool {
		if f, is := carried[path]; is {
			objects[f.Part] = append(objects[f.Part], f)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	var all []deltalog.Staged
	for part, files := range objects {
		in := bundle.IndexEntry{File: bundle.File{Part: part}, Version: int64(t.found.version)}
		o := s.objectOf(in)
		if part == "" {
			o = t.found.object
		}
		if err := s.stageFiles(ctx, own, o, in, files); err != nil {
			return nil, at(o.version, o.Key, err)
		}
		staged, err := own.takeAll(files)
		if err != nil {
			return nil, at(o.version, o.Key, err)
		}
		all = append(all, staged...)
	}
	return all, nil
}
