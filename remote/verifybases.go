package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/storage"
)

// lookAtBases reads all bases, notes what their indexes refer to, and returns the
// digests of their commits. Of a base below the floor, which is there only because
// others refer to it, it is noted what it carries.
func (v *verifier) lookAtBases(ctx context.Context, bases []object) (map[deltalog.Version]bundle.Digest, error) {
	commits := map[deltalog.Version]bundle.Digest{}
	referred := map[deltalog.Version]bool{}
	for _, o := range bases {
		err := v.lookAtBase(ctx, o, func(b wholeBase) error {
			commits[o.version] = b.Commit.SHA256
			if err := v.compareBase(ctx, o, b); err != nil {
				return err
			}
			return v.noteBase(b.Base, b.index, referred)
		})
		if err != nil {
			return nil, err
		}
	}
	for _, at := range slices.Sorted(maps.Keys(referred)) {
		if _, looked := find(bases, at); looked {
			continue
		}
		o := object{version: at, Info: storage.Info{Key: baseKey(at), Size: -1}}
		if err := v.lookAtBase(ctx, o, func(b wholeBase) error { return v.noteCarried(b.Base) }); err != nil {
			return nil, err
		}
	}
	return commits, nil
}

// wholeBase is a base that was read to its end.
type wholeBase struct {
	bundle.Base
	index *extsort.Sorter // by path
	log   *baseLog        // its checkpoint; nil without VerifyOptions.Data
}

// lookAtBase reads a base and calls note with it, if it is whole.
func (v *verifier) lookAtBase(ctx context.Context, o object, note func(wholeBase) error) (err error) {
	b := wholeBase{index: v.sorter()}
	defer func() { err = at(o.version, o.Key, errors.Join(err, b.close())) }()
	put := putIndex(b.index, o.version, nil)
	if v.want.Data {
		if b.log, err = newBaseLog(); err != nil {
			return err
		}
		put = b.log.put(put)
	}
	b.Base, err = v.readBase(ctx, o, put)
	if err == nil {
		v.done.Bases++
		return note(b)
	}
	if v.found.damage(o.version, o.Key, err) {
		v.damaged[o.Key], err = true, nil
	}
	return err
}

func (b *wholeBase) close() error {
	err := b.index.Close()
	if b.log != nil {
		err = errors.Join(err, b.log.Close())
	}
	return err
}

func (v *verifier) readBase(ctx context.Context, o object, put bundle.PutFunc) (bundle.Base, error) {
	r, err := v.store.Open(ctx, o.Key, 0, -1)
	if err != nil {
		return bundle.Base{}, err
	}
	b, err := v.opts.Codec.DecodeBase(ctx, r, put)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && b.Version != int64(o.version) {
		err = fmt.Errorf("%w: the base is of version %d", ErrCorrupt, b.Version)
	}
	return b, err
}

// compareBase makes sure that the index of a base lists all that its checkpoint calls live.
func (v *verifier) compareBase(ctx context.Context, o object, b wholeBase) (err error) {
	if b.log == nil {
		return nil
	}
	live := v.sorter()
	defer func() { err = errors.Join(err, live.Close()) }()
	if err := b.log.addLive(ctx, live, b.Base, v.stateMemory()); err != nil {
		if v.found.damage(o.version, o.Key, err) {
			return nil
		}
		return err
	}
	for path, err := range unlisted(b.Base, live, b.index) {
		if err != nil {
			return err
		}
		v.found.add(Finding{Kind: FindingDamaged, Version: &o.version, Key: o.Key, Path: path, Detail: unlistedFile})
	}
	return nil
}

// lookAtBrought makes sure that the base of a version which leaves the list of its files to that
// is there, and with Data, reading it once more, that it lists what the version brings.
func (v *verifier) lookAtBrought(ctx context.Context, ver bundle.Version) (err error) {
	n := deltalog.Version(ver.Version)
	key := baseKey(n)
	switch {
	case !ver.FilesInBase:
		return nil
	case !v.chain.hasBase(n):
		if n >= v.chain.start || v.below.promises(n) {
			v.found.version(FindingMissing, n, key, "it lists the files of that version")
		}
		return nil
	case !v.want.Data || v.damaged[key]:
		return nil
	}
	kept, err := newKeptBase()
	if err != nil {
		return err
	}
	brought, listed := v.sorter(), v.sorter()
	defer func() { err = errors.Join(err, kept.close(), brought.Close(), listed.Close()) }()
	b, err := v.readBase(ctx, object{version: n, Info: storage.Info{Key: key}}, kept.put(n, discarded))
	if err != nil {
		return at(n, key, err)
	}
	for _, err := range kept.entries(listed) {
		if err != nil {
			return at(n, key, err)
		}
	}
	if _, err := kept.addBrought(brought, b, v.opts.Memory/8); err != nil {
		return at(n, key, err)
	}
	for path, err := range without(brought, listed) {
		if err != nil {
			return err
		}
		v.found.add(Finding{Kind: FindingDamaged, Version: &n, Key: key, Path: path, Detail: "the version brings it, the index lacks it"})
	}
	return nil
}

// noteCarried notes what a base carries.
func (v *verifier) noteCarried(b bundle.Base) error {
	for _, f := range b.Files {
		if err := v.note(f.Path, fileNote{Is: isCarried, Version: b.Version, Key: b.Version, InBase: true, Size: f.Size, SHA256: f.SHA256}); err != nil {
			return err
		}
	}
	return nil
}

// noteBase notes what a base carries and what it refers to, other bases in referred.
func (v *verifier) noteBase(b bundle.Base, index *extsort.Sorter, referred map[deltalog.Version]bool) error {
	if err := v.noteCarried(b); err != nil {
		return err
	}
	for _, path := range b.Absent {
		if err := v.note(path, fileNote{Is: isAbsent, Version: b.Version, InBase: true}); err != nil {
			return err
		}
	}
	var live bundle.Totals
	for record, err := range index.Sorted() {
		if err != nil {
			return err
		}
		e, err := decodeEntry(record.Value)
		if err != nil {
			return err
		}
		live.Files++
		live.Bytes += e.Size
		switch in := deltalog.Version(e.Version); {
		case e.InBase:
			referred[in] = true
		case e.Part != "":
			v.baseParts[partKey(in, e.Part)] = true
		default:
			v.below.refer(in)
		}
		if err := v.note(e.Path, fileNote{Is: isReferred, Version: b.Version, Key: e.Version, InBase: e.InBase, Part: e.Part, Size: e.Size, SHA256: e.SHA256}); err != nil {
			return err
		}
	}
	if err := checkTotals(b, live); err != nil {
		v.found.damage(deltalog.Version(b.Version), baseKey(deltalog.Version(b.Version)), err)
	}
	return nil
}
