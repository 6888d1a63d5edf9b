package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// PartRef names a part of a bundle: an object beside it that holds some of its
// files. See [Part].
type PartRef struct {
	Name string `json:"name"` // see PartName
	Size int64  `json:"size"` // bytes of the object
}

// Part describes an object that holds some of the files of a bundle or a base which
// would be too large alone. It is created before that, so that a push which is cut
// off finds it again: its name is made of what it holds.
type Part struct {
	Format int    `json:"format"`
	Writer Writer `json:"writer"`
	// Version is the one in the key of the bundle or base.
	Version int64 `json:"version"`
	// Modified is the modification time of the members, UTC.
	Modified time.Time `json:"modified"`
	// Files are the members, in the order of the archive. Place is where they lie
	// in the part.
	Files []File `json:"files"`
}

// partNameLength is how many characters the name of a part has.
const partNameLength = 32

// PartName returns the name of the part that holds these files in this order: the
// first 32 hexadecimal digits of the sha256 of, for each, its size in decimal, a
// space, its sha256, a space, its path and a zero byte.
func PartName(files []File) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %v %s\x00", f.Size, f.SHA256, f.Path)
	}
	return hex.EncodeToString(h.Sum(nil))[:partNameLength]
}

// IsPartName reports whether s could have come from PartName.
func IsPartName(s string) bool {
	return len(s) == partNameLength && strings.Trim(s, "0123456789abcdef") == ""
}

// EncodePart writes a part to w as Encode writes a bundle. Sizes and digests of
// the files must be known, since the name is made of them; places are filled in.
// It returns the finished description. Errors are those of Encode, and
// [ErrCorrupt] if a file is not what p says.
func (c *Codec) EncodePart(ctx context.Context, w io.Writer, p Part, open OpenFunc) (Part, error) {
	p, err := c.draftPart(p)
	if err != nil {
		return Part{}, err
	}
	k := c.packer(ctx, w, open)
	defer k.frames.abandon()
	for i := range p.Files {
		want := p.Files[i]
		err := k.add(&p.Files[i], p.Modified)
		if err == nil && !p.Files[i].Same(want) {
			err = corruptf("%d bytes with sha256 %v, want %d with %v", p.Files[i].Size, p.Files[i].SHA256, want.Size, want.SHA256)
		}
		if err != nil {
			return Part{}, inMember(want.Path, err)
		}
	}
	if err := k.settle(); err != nil {
		return Part{}, err
	}
	raw, err := marshal(p)
	if err != nil {
		return Part{}, err
	}
	if err := k.last(p.path(), raw, p.Modified); err != nil {
		return Part{}, err
	}
	return p, nil
}

func (c *Codec) draftPart(p Part) (Part, error) {
	if p.Format != 0 && p.Format != Format {
		return Part{}, fmt.Errorf("format %d, this program writes %d: %w", p.Format, Format, ErrUnsupported)
	}
	p = p.clone()
	p.Format = Format
	for i := range p.Files {
		p.Files[i].Place = nil
	}
	if err := c.limits.check(slices.Values(p.Files)); err != nil {
		return Part{}, err
	}
	return p, p.check()
}

// DecodePart reads one part from r to its end, as Decode reads a bundle. Errors
// are those of Decode.
func (c *Codec) DecodePart(ctx context.Context, r io.Reader, put PutFunc) (Part, error) {
	var order partOrder
	var p Part
	err := c.decode(ctx, r, put, &order, func(raw []byte) (expects, error) {
		var err error
		p, err = parsePart(raw, order.last)
		return p, err
	})
	if err != nil {
		return Part{}, err
	}
	return p, nil
}

// ReadPart is ReadManifest for a part.
func (c *Codec) ReadPart(ctx context.Context, size int64, open RangeFunc) (Part, error) {
	return readLast(ctx, c, size, open, parsePart)
}

// partOrder knows which members of a part may stand where.
type partOrder struct{ last string }

func (o *partOrder) place(path string) (last bool, err error) {
	if strings.HasPrefix(path, sluiceDir+"/") {
		o.last = path
		return true, nil
	}
	return false, checkMemberPath(path)
}

// parsePart reads the description of a part that stands under this path.
func parsePart(raw []byte, path string) (Part, error) {
	var p Part
	if err := parseLast(raw, &p); err != nil {
		return Part{}, err
	}
	if err := p.check(); err != nil {
		return Part{}, err
	}
	if err := checkDigests(p.Files...); err != nil {
		return Part{}, err
	}
	if path != p.path() {
		return Part{}, corruptf("it describes %s", p.path())
	}
	return p.clone(), nil
}

// check tests what a part says as far as that goes without its members.
func (p Part) check() error {
	if p.Version < 0 {
		return corruptf("negative version")
	}
	if len(p.Files) == 0 {
		return corruptf("no files")
	}
	if err := checkModified(p.Modified); err != nil {
		return err
	}
	paths := make(map[string]bool)
	for _, f := range p.Files {
		if err := f.check(p.Version); err != nil {
			return err
		}
		if err := f.checkHere(); err != nil {
			return err
		}
		if err := checkNew(paths, f.Path); err != nil {
			return err
		}
	}
	return checkUTF8(p.Writer.Program, p.Writer.Version, p.Writer.Host)
}

func (p Part) clone() Part {
	p.Modified = p.Modified.UTC().Round(0)
	p.Files = slices.Clone(p.Files)
	return p
}

func (p Part) members() iter.Seq[expected] {
	return func(yield func(expected) bool) {
		for _, f := range p.Files {
			if !yield(expected{f, p.Modified}) {
				return
			}
		}
	}
}

func (p Part) modified() time.Time { return p.Modified }

// path is where the description stands in the archive.
func (p Part) path() string { return versionDir(p.Version) + "part-" + PartName(p.Files) + ".json" }

// checkHere refuses a file that is said to lie in a part where that cannot be.
func (f File) checkHere() error {
	if f.Part != "" {
		return corruptf("file %q is said to lie in part %.80q", f.Path, f.Part)
	}
	return nil
}

// checkParts tests that the files which lie in parts are just those that make up
// the names of the parts.
func (m Manifest) checkParts() error {
	files := map[string][]File{}
	for _, v := range m.Versions {
		for _, f := range v.Files {
			if f.Part == "" {
				continue
			}
			if err := f.checkDigest(); err != nil {
				return err
			}
			files[f.Part] = append(files[f.Part], f)
		}
		if err := v.Commit.checkHere(); err != nil {
			return err
		}
	}
	for _, p := range m.Parts {
		switch has := files[p.Name]; {
		case !IsPartName(p.Name) || p.Size <= 0:
			return corruptf("part %.80q of %d bytes", p.Name, p.Size)
		case len(has) == 0:
			return corruptf("part %s has no files, or stands twice", p.Name)
		case PartName(has) != p.Name:
			return corruptf("part %s has files that make up the name %s", p.Name, PartName(has))
		}
		delete(files, p.Name)
	}
	for name, has := range files {
		return corruptf("file %q lies in part %.80q, which is not listed", has[0].Path, name)
	}
	return nil
}
