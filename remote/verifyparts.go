package remote

import (
	"context"
	"io"
	"maps"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// badPart is a part that cannot be read, and why.
type badPart struct {
	key string
	err error
}

// lookAtParts reads what the parts of a bundle say of themselves, or with Data all
// of them, one after the other.
func (v *verifier) lookAtParts(ctx context.Context, b *looked) {
	for _, p := range b.manifest.Parts {
		_, err := v.lookAtPart(ctx, b.version, p, b.read)
		if err != nil {
			b.badParts = append(b.badParts, badPart{partKey(b.version, p.Name), err})
		}
	}
}

// lookAtPart reads all of a part, or only what it says of itself.
func (v *verifier) lookAtPart(ctx context.Context, of deltalog.Version, p bundle.PartRef, all bool) (bundle.Part, error) {
	portion := v.portion(p.Size)
	if !all {
		if v.want.Data { // read by the call that was cut off
			portion.finish()
		}
		return v.peekPart(ctx, partAt(of, p), p.Name)
	}
	return v.decodePart(ctx, of, p, portion, func(ctx context.Context, m bundle.Member, r io.Reader) error {
		return discarded(ctx, m, watched{r, v.session, nil})
	})
}

// takeParts notes what came of the parts of a bundle.
func (v *verifier) takeParts(b looked) error {
	for _, p := range b.manifest.Parts {
		v.parts[partKey(b.version, p.Name)] = true
	}
	for _, bad := range b.badParts {
		if !v.found.damage(b.version, bad.key, bad.err) {
			return bad.err
		}
	}
	return nil
}

// basePart is a part that only bases refer to, and what was found out about it.
type basePart struct {
	object
	name string
	is   bundle.Part
	read bool
	err  error
}

// lookAtBaseParts looks at the parts that bases refer to and no bundle names, and
// notes what they carry.
func (v *verifier) lookAtBaseParts(ctx context.Context, listed []object) error {
	sizes := map[string]int64{}
	for _, o := range listed {
		sizes[o.Key] = o.Size
	}
	var parts []basePart
	for _, key := range slices.Sorted(maps.Keys(v.baseParts)) {
		if v.parts[key] {
			continue
		}
		v.parts[key] = true
		of, name, _ := parsePartKey(key)
		size, known := sizes[key]
		if !known {
			size = -1
		}
		parts = append(parts, basePart{object: partAt(of, bundle.PartRef{Name: name, Size: size}), name: name})
	}
	return inOrder(ctx, partPeeksAhead, parts, v.lookAtBasePart, v.takeBasePart)
}

func (v *verifier) lookAtBasePart(ctx context.Context, p basePart) basePart {
	if p.Size < 0 { // it was not listed, since packs have what lies around it
		var part bundle.PartRef
		if part, p.err = v.findPart(ctx, p.version, p.name); p.err != nil {
			return p
		}
		p.Size = part.Size
	}
	if known := v.state.get(p.object); known != nil {
		p.is, p.err = v.lookAtPart(ctx, p.version, bundle.PartRef{Name: p.name, Size: p.Size}, false)
		if p.err == nil && known.isOf(p.is) {
			return p
		}
	}
	p.read = v.want.Data
	p.is, p.err = v.lookAtPart(ctx, p.version, bundle.PartRef{Name: p.name, Size: p.Size}, p.read)
	return p
}

func (v *verifier) takeBasePart(p basePart) error {
	if p.err != nil {
		v.damaged[p.Key] = true
		if !v.found.damage(p.version, p.Key, p.err) {
			return p.err
		}
		return nil
	}
	for _, f := range p.is.Files {
		if err := v.note(f.Path, fileNote{Is: isCarried, Version: p.is.Version, Key: p.is.Version, Part: p.name, Size: f.Size, SHA256: f.SHA256}); err != nil {
			return err
		}
	}
	if !p.read {
		return nil
	}
	return v.state.add(p.object, p.is, nil)
}

// lookForParts tells of parts that nobody names, as far as they were listed and retention
// has not given them up.
func (v *verifier) lookForParts(parts []object) {
	for _, o := range parts {
		if o.version < v.chain.start || v.parts[o.Key] || v.damaged[bundleKey(o.version)] {
			continue
		}
		what := "it is of a push that was cut off, which the next one may go on with"
		if o.version <= v.chain.end {
			what = "it is left of a push that was cut off, or of a base that was lost; prune removes it when no push can need it any more"
		}
		v.found.version(FindingLeftover, o.version, o.Key, "neither a bundle nor a base names it: %s", what)
	}
}
