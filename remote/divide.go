package remote

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// defaultPartSize is how many bytes of files, before compression, a bundle holds
// itself; what a commit has beyond goes into parts of this size. It is what an
// upload that is cut off loses at most, a minute or two where 10 MB/s go through,
// and still so much that hardly any commit is divided: dividing reads every file
// twice, for its digest and for its content.
const defaultPartSize = 1 << 30

// divide puts files of a large commit into parts, which are in the store when it
// returns. Parts that a push which was cut off has left are used as they are, also
// by another process. What fits into one object at last stays in the bundle.
func (s *session) divide(ctx context.Context, p *plan) error {
	d := &division{session: s, plan: p, version: p.versions[0], portion: p.portion}
	d.split()
	if d.done() {
		return nil
	}
	if err := d.reuse(ctx); err != nil {
		return err
	}
	for !d.done() {
		if err := d.upload(ctx, d.next()); err != nil {
			return err
		}
	}
	d.version.Files = append(append(d.divided, d.left...), d.kept...)
	p.parts, p.partBytes, p.size = d.parts, d.sent, p.size-d.taken
	return nil
}

// division is a version whose files are being divided.
type division struct {
	*session
	plan    *plan
	version *versionPlan
	portion *portion      // of the push that the version is
	left    []bundle.File // that may go into parts
	size    int64         // of these
	kept    []bundle.File // that stay in the bundle
	divided []bundle.File // that lie in parts, in the order of these
	parts   []bundle.PartRef
	taken   int64 // bytes of the files that lie in parts
	sent    int64 // bytes of the parts, also of those that were there
}

func (d *division) key() deltalog.Version { return deltalog.Version(d.version.Version.Version) }

// split leaves checkpoints in the bundle: which one there is depends on the time
// of the push, so a part with one would not be found again.
func (d *division) split() {
	for _, f := range d.version.Files {
		if f.Kind == bundle.KindCheckpoint {
			d.kept = append(d.kept, f)
			continue
		}
		d.left = append(d.left, f)
		d.size += f.Size
	}
}

// done reports whether the bundle can hold what is left: a file is never divided.
func (d *division) done() bool { return d.size <= d.partSize || len(d.left) == 1 }

// next takes the files of the next part: as many as fit, at least one.
func (d *division) next() []bundle.File {
	n, size := 0, int64(0)
	for n < len(d.left) && (n == 0 || size+d.left[n].Size <= d.partSize) {
		size += d.left[n].Size
		n++
	}
	files := d.left[:n:n]
	d.left, d.size = d.left[n:], d.size-size
	return files
}

// reuse takes the parts that are in the store already and hold files as they are
// in the table.
func (d *division) reuse(ctx context.Context) error {
	parts, err := d.partsOf(ctx, d.key())
	if err != nil {
		return err
	}
	for part, err := range d.usable(ctx, parts) {
		if err == nil {
			err = d.reuseOne(ctx, part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *division) reuseOne(ctx context.Context, part storedPart) error {
	at := make(map[string]int, len(d.left))
	for i, f := range d.left {
		at[f.Path] = i
	}
	taken := make(map[string]bool, len(part.is.Files))
	for _, f := range part.is.Files {
		i, wanted := at[f.Path]
		if !wanted || d.left[i].Kind != f.Kind || d.left[i].Size != f.Size {
			return nil // of a push that was planned otherwise
		}
		here, err := d.measure(ctx, d.left[i])
		if err != nil {
			return err
		}
		if !here.Same(f) {
			return nil
		}
		taken[f.Path] = true
	}
	var left []bundle.File
	for _, f := range d.left {
		if taken[f.Path] {
			d.size -= f.Size
		} else {
			left = append(left, f)
		}
	}
	d.left = left
	d.take(part.is, part.Size)
	d.log.Info("found part", logVersion, d.key(), logKey, part.Key)
	return nil
}

// take makes a part that is in the store one of the bundle.
func (d *division) take(is bundle.Part, size int64) {
	name, taken := bundle.PartName(is.Files), d.taken
	for _, f := range is.Files {
		f.Part = name
		d.divided = append(d.divided, f)
		d.taken += f.Size
	}
	d.portion.settle(d.taken - taken)
	d.parts = append(d.parts, bundle.PartRef{Name: name, Size: size})
	d.sent += size
}

// measure reads a file of the table for its size and digest.
func (s *session) measure(ctx context.Context, f bundle.File) (bundle.File, error) {
	r, _, err := s.table.OpenFile(ctx, f.Path)
	if err != nil {
		return f, err
	}
	h := sha256.New()
	f.Size, err = io.Copy(h, r)
	f.SHA256 = bundle.Digest(h.Sum(nil))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = ctx.Err()
	}
	return f, err
}

// measure does that for a file of the version, of which one that the store has is known.
func (d *division) measure(ctx context.Context, f bundle.File) (bundle.File, error) {
	if stored, taken := d.plan.taking(f.Path); taken {
		f.Size, f.SHA256 = stored.file.Size, stored.file.SHA256
		return f, nil
	}
	return d.session.measure(ctx, f)
}

// upload creates the part that holds these files.
func (d *division) upload(ctx context.Context, files []bundle.File) error {
	part := bundle.Part{Writer: d.opts.Writer, Version: d.version.Version.Version, Modified: d.version.Modified}
	size := int64(0)
	for _, f := range files {
		f, err := d.measure(ctx, f)
		if err != nil {
			return err
		}
		part.Files = append(part.Files, f)
		size += f.Size
	}
	name := bundle.PartName(part.Files)
	key := partKey(d.key(), name)
	src := &packing[bundle.Part]{portion: d.portion, stands: size}
	src.pack = func(w io.Writer) (bundle.Part, error) {
		return d.opts.Codec.EncodePart(ctx, w, part, d.opener(d.plan, src.reading))
	}
	err := d.store.creator.Create(ctx, key, src, -1)
	if cerr := src.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, storage.ErrExists) {
		return d.takeOther(ctx, name)
	}
	if err != nil {
		return at(d.key(), key, err)
	}
	d.take(*src.done, src.sent)
	d.log.Info("pushed part", logVersion, d.key(), logKey, key)
	return nil
}

// takeOther takes a part that another pusher, or an attempt of ours whose reply was
// lost, has created meanwhile. What its name says is what it must hold.
func (d *division) takeOther(ctx context.Context, name string) error {
	part, err := d.findPart(ctx, d.key(), name)
	if err != nil {
		return at(d.key(), partKey(d.key(), name), err)
	}
	is, err := d.peekPart(ctx, partAt(d.key(), part), name)
	if err == nil {
		d.take(is, part.Size)
	}
	return err
}
