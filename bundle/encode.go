package bundle

import (
	"context"
	"fmt"
	"io"
)

// Encode writes one bundle to w: the versions that m lists, each with its files
// in the order of m and then its commit, and at the end the manifest. m gives
// paths, kinds and what is known of each version; sizes, digests and places are
// computed here from the bytes that open yields, as is Previous of every version
// but the first. Files that lie in a part are not opened, what m says of them is
// taken over. It returns the finished manifest and leaves m as it was.
//
// The same input gives the same bytes, from the same version of this module.
// About 8 MiB of memory are held: up to four frames are under way at 2 MiB each.
// Their compression runs in goroutines that end with the call.
//
// It returns an error wrapping [ErrCorrupt], [ErrTooLarge] or [ErrUnsupported]
// if m is something that Decode would refuse, [ErrSize] if a reader yields
// another number of bytes than open announced (and io.ErrUnexpectedEOF too if
// fewer), else the error of ctx, open, a reader or w. After any error what was
// written is cut short and no reader accepts it.
func (c *Codec) Encode(ctx context.Context, w io.Writer, m Manifest, open OpenFunc) (Manifest, error) {
	m, err := c.draft(m)
	if err != nil {
		return Manifest{}, err
	}
	p := c.packer(ctx, w, open)
	defer p.frames.abandon()
	if err := p.versions(&m); err != nil {
		return Manifest{}, err
	}
	raw, err := m.marshal()
	if err != nil {
		return Manifest{}, err
	}
	if err := p.last(manifestPath(m.Versions[0].Version), raw, m.modified()); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// draft returns the manifest as far as it is known before a member was read.
func (c *Codec) draft(m Manifest) (Manifest, error) {
	if m.Format != 0 && m.Format != Format {
		return Manifest{}, fmt.Errorf("format %d, this program writes %d: %w", m.Format, Format, ErrUnsupported)
	}
	m = m.clone()
	m.Format = Format
	for i := range m.Versions {
		v := &m.Versions[i]
		if v.Commit.Path == "" {
			v.Commit.Path = commitPath(v.Version)
		}
		v.Commit.unmeasure()
		for j := range v.Files {
			if v.Files[j].Part == "" {
				v.Files[j].unmeasure()
			}
		}
	}
	if err := c.limits.check(m.files()); err != nil {
		return Manifest{}, err
	}
	return m, m.check()
}

// unmeasure drops what packing finds out.
func (f *File) unmeasure() { f.Size, f.Place = 0, nil }

// versions packs the members and completes m on the way.
func (p *packer) versions(m *Manifest) error {
	for i := range m.Versions {
		if err := p.version(&m.Versions[i]); err != nil {
			return err
		}
		if i+1 < len(m.Versions) && m.Versions[i+1].Previous == nil {
			digest := m.Versions[i].Commit.SHA256
			m.Versions[i+1].Previous = &digest
		}
	}
	if err := m.checkChain(); err != nil {
		return err
	}
	return p.settle()
}

func (p *packer) version(v *Version) error {
	for i := range v.Files {
		f := &v.Files[i]
		err := error(nil)
		if f.Part == "" {
			err = p.add(f, v.Modified)
		} else {
			err = p.tally.add(f.Path, f.Size)
		}
		if err != nil {
			return inMember(f.Path, err)
		}
	}
	return inMember(v.Commit.Path, p.add(&v.Commit, v.Modified))
}
