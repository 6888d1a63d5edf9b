package bundle

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Encode writes one bundle to w: the versions that m lists, each with its files
// in the order of m and then its commit, and at the end the manifest. m gives
// paths, kinds and what is known of each version; sizes and digests are computed
// here from the bytes that open yields, as is Previous of every version but the
// first. It returns the finished manifest and leaves m as it was.
//
// The same input gives the same bytes, from the same version of this module.
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
	z, err := c.encoder(w)
	if err != nil {
		return Manifest{}, err
	}
	defer c.releaseEncoder(z)
	e := encoder{
		ctx: ctx, open: open, tar: tar.NewWriter(z),
		tally: tally{Limits: c.limits}, buf: make([]byte, copySize),
	}
	if err := e.write(&m); err != nil {
		return Manifest{}, err
	}
	if err := finish(e.tar, z); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

const copySize = 64 << 10 // bytes at once from a member to the archive

// draft returns the manifest as far as it is known before a member was read.
func (c *Codec) draft(m Manifest) (Manifest, error) {
	if m.Format != 0 && m.Format != Format {
		return Manifest{}, fmt.Errorf("format %d, this program writes %d: %w", m.Format, Format, ErrUnsupported)
	}
	m = m.clone()
	m.Format = Format
	members := 0
	for i := range m.Versions {
		v := &m.Versions[i]
		if v.Commit.Path == "" {
			v.Commit.Path = commitPath(v.Version)
		}
		v.Commit.Size = 0
		for j := range v.Files {
			v.Files[j].Size = 0
		}
		members += len(v.Files) + 1
	}
	if members > c.limits.MaxMembers {
		return Manifest{}, fmt.Errorf("%d members, limit is %d: %w", members, c.limits.MaxMembers, ErrTooLarge)
	}
	return m, m.check()
}

// encoder is one call of Encode.
type encoder struct {
	ctx  context.Context // of the call, which the encoder does not outlive
	open OpenFunc
	tar  *tar.Writer
	tally
	buf []byte
}

// write completes m on the way.
func (e *encoder) write(m *Manifest) error {
	for i := range m.Versions {
		if err := e.version(&m.Versions[i]); err != nil {
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
	return e.manifest(*m)
}

func (e *encoder) version(v *Version) error {
	for i := range v.Files {
		if err := e.member(&v.Files[i], v.Modified); err != nil {
			return inMember(v.Files[i].Path, err)
		}
	}
	return inMember(v.Commit.Path, e.member(&v.Commit, v.Modified))
}

func (e *encoder) member(f *File, modified time.Time) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	r, size, err := e.open(e.ctx, f.Path)
	if err != nil {
		return err
	}
	err = e.content(f, modified, r, size)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

// content fills in the size and the digest of f.
func (e *encoder) content(f *File, modified time.Time, r io.Reader, size int64) error {
	if size < 0 {
		return fmt.Errorf("announced with %d bytes: %w", size, ErrSize)
	}
	if err := e.add(f.Path, size); err != nil {
		return err
	}
	if err := e.tar.WriteHeader(header(f.Path, size, modified)); err != nil {
		return err
	}
	h := sha256.New()
	r = &source{ctx: e.ctx, r: r}
	n, err := io.CopyBuffer(io.MultiWriter(e.tar, h), io.LimitReader(r, size), e.buf)
	if err != nil {
		return err
	}
	if n < size {
		return fmt.Errorf("ended after %d of %d bytes: %w: %w", n, size, ErrSize, io.ErrUnexpectedEOF)
	}
	f.Size, f.SHA256 = size, Digest(h.Sum(nil))
	return atEnd(r, size)
}

func atEnd(r io.Reader, size int64) error {
	var one [1]byte
	switch _, err := io.ReadFull(r, one[:]); {
	case err == nil:
		return fmt.Errorf("goes on after %d bytes: %w", size, ErrSize)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

func (e *encoder) manifest(m Manifest) error {
	raw, err := m.marshal()
	if err != nil {
		return err
	}
	if int64(len(raw)) > e.MaxManifest {
		return fmt.Errorf("manifest of %d bytes, limit is %d: %w", len(raw), e.MaxManifest, ErrTooLarge)
	}
	hdr := header(manifestPath(m.Versions[0].Version), int64(len(raw)), m.last().Modified)
	if err := e.tar.WriteHeader(hdr); err != nil {
		return err
	}
	_, err = e.tar.Write(raw)
	return err
}

// finish makes the archive a whole one. It must not be called after an error:
// without it no reader takes what was written for a bundle.
func finish(t *tar.Writer, z *zstd.Encoder) error {
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}
