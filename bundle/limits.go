package bundle

import (
	"fmt"
	"iter"
)

// Limits bound what one bundle may hold, in both directions: Encode refuses
// with [ErrTooLarge] what a Decode of the same limits would refuse. A field that
// is zero has its default.
type Limits struct {
	// MaxMember is the largest member in bytes. Default: 64 GiB.
	MaxMember int64
	// MaxTotal is the largest sum of all members in bytes, the manifest not
	// counted. Default: 1 TiB.
	MaxTotal int64
	// MaxMembers is the largest number of members, commits counted, the
	// manifest not. Default: 1,048,576.
	MaxMembers int
	// MaxManifest is the largest manifest in bytes. Default: 64 MiB, which is
	// room for some 250,000 files. Manifest and names are held in memory, so it
	// bounds what a hostile bundle can make Decode hold: a few times this.
	MaxManifest int64
}

// MaxVersions is how many versions one bundle carries at most: whoever looks for a
// version need not look at bundles that begin further below.
const MaxVersions = 4096

// Defaults of Limits.
const (
	defaultMaxMember   = 64 << 30
	defaultMaxTotal    = 1 << 40
	defaultMaxMembers  = 1 << 20
	defaultMaxManifest = 64 << 20
)

func (l Limits) withDefaults() (Limits, error) {
	if l.MaxMember < 0 || l.MaxTotal < 0 || l.MaxMembers < 0 || l.MaxManifest < 0 {
		return Limits{}, fmt.Errorf("negative limit in %+v", l)
	}
	setDefault(&l.MaxMember, defaultMaxMember)
	setDefault(&l.MaxTotal, defaultMaxTotal)
	setDefault(&l.MaxMembers, defaultMaxMembers)
	setDefault(&l.MaxManifest, defaultMaxManifest)
	return l, nil
}

func setDefault[T int | int64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// minEntry is the fewest bytes that a member takes in a manifest, beside its
// path: names, punctuation and the digest.
const minEntry = int64(len(`{"path":"","size":0,"sha256":""}`)) + 64

// maxFrames is more frames than Encode could make of a bundle within the limits:
// two for each member, what its header adds, and one for each segment.
func (l Limits) maxFrames() int64 { return 3*int64(l.MaxMembers) + l.MaxTotal/segment + 2 }

// tally counts a bundle's members against the limits as they come.
type tally struct {
	Limits
	members int
	total   int64 // bytes of content
	entries int64 // bytes that the manifest needs at least
}

// check counts files that are listed somewhere.
func (l Limits) check(files iter.Seq[File]) error {
	t := tally{Limits: l}
	for f := range files {
		if err := t.add(f.Path, f.Size); err != nil {
			return inMember(f.Path, err)
		}
	}
	return nil
}

// minPlace is the fewest bytes that an entry of Encode has on top, if the file has a kind and
// is not empty.
const minPlace = int64(len(`"kind":"",`) + len(`,"place":{"offset":0,"length":1,"skip":0}`))

// Fits returns an error wrapping [ErrTooLarge] if no bundle can hold the files of m, of which
// it needs paths, kinds and sizes. Encode finds that too, at last when it comes to the
// manifest: who reads or sends much before asks first.
func (c *Codec) Fits(m Manifest) error {
	t := tally{Limits: c.limits}
	for f := range m.files() {
		if f.Kind != "" && f.Size > 0 {
			t.entries += minPlace + int64(len(f.Kind))
		}
		if err := t.add(f.Path, f.Size); err != nil {
			return inMember(f.Path, err)
		}
	}
	return nil
}

// add counts one more member. It also refuses names that no manifest within
// the limit could list, so that names alone never fill the memory.
func (t *tally) add(path string, size int64) error {
	if size > t.MaxMember {
		return fmt.Errorf("%d bytes, limit is %d: %w", size, t.MaxMember, ErrTooLarge)
	}
	if size > t.MaxTotal-t.total {
		return fmt.Errorf("members of %d bytes and more, limit is %d: %w", t.total+size, t.MaxTotal, ErrTooLarge)
	}
	t.members++
	t.total += size
	t.entries += minEntry + int64(len(path))
	if t.members > t.MaxMembers {
		return fmt.Errorf("more than %d members: %w", t.MaxMembers, ErrTooLarge)
	}
	if t.entries > t.MaxManifest {
		return fmt.Errorf("manifest of more than %d bytes: %w", t.MaxManifest, ErrTooLarge)
	}
	return nil
}
