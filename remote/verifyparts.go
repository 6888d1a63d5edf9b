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

// lookAtBaseParts looks at the parts that bases refer to and no bundle names, and notes
// what they carry.
func (v *verifier) lookAtBaseParts(ctx context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(v.baseParts)) {
		if v.parts[key] {
			continue
		}
		v.parts[key] = true
		of, name, _ := parsePartKey(key)
		part, err := v.findPart(ctx, of, name)
		var is bundle.Part
		if err == nil {
			is, err = v.lookAtPart(ctx, of, part, v.want.Data)
		}
		if err != nil {
			if !v.found.damage(of, key, err) {
				return err
			}
			v.badParts[key] = true
		}
		for _, f := range is.Files {
			if err := v.note(f.Path, fileNote{Is: isCarried, Version: is.Version, Key: is.Version, Size: f.Size, SHA256: f.SHA256}); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookForParts tells of parts that nobody names, as far as they were listed.
func (v *verifier) lookForParts(parts []object) {
	for _, o := range parts {
		if !v.parts[o.Key] && !v.damaged[o.version] {
			v.found.version(FindingLeftover, o.version, o.Key, "neither a bundle nor a base names it: it is of a push that was cut off, which the next one may go on with")
		}
	}
}
