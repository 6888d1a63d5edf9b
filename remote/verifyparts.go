package remote

import (
	"context"
	"io"

	"github.com/pondworks/sluice/bundle"
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
		err := v.lookAtPart(ctx, b, p)
		if err != nil {
			b.badParts = append(b.badParts, badPart{partKey(b.version, p.Name), err})
		}
	}
}

func (v *verifier) lookAtPart(ctx context.Context, b *looked, p bundle.PartRef) error {
	of := v.portion(p.Size)
	if !b.read {
		if v.want.Data { // read by the call that was cut off
			of.finish()
		}
		_, err := v.peekPart(ctx, partAt(b.version, p), p.Name)
		return err
	}
	_, err := v.decodePart(ctx, b.version, p, of, func(ctx context.Context, m bundle.Member, r io.Reader) error {
		return discarded(ctx, m, watched{r, v.session, nil})
	})
	return err
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

// lookForParts tells of parts that no bundle names.
func (v *verifier) lookForParts(parts []object) {
	for _, o := range parts {
		if !v.parts[o.Key] && !v.damaged[o.version] {
			v.found.version(FindingLeftover, o.version, o.Key, "no bundle names it: it is of a push that was cut off, which the next one may go on with")
		}
	}
}
