package bundle

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"
)

// packer writes one archive: its members, then a last one that describes them,
// then the seek table.
type packer struct {
	ctx    context.Context // of the call, which the packer does not outlive
	open   OpenFunc
	frames *frames
	tar    *tar.Writer
	tally
	large  bool // the frame begun belongs to one member alone
	placed []placed
	buf    []byte
}

// placed is a member whose place is known once its frames are written.
type placed struct {
	file *File
	at   int64 // in the archive
}

const copySize = 64 << 10 // bytes at once from a member to the archive

func (c *Codec) packer(ctx context.Context, w io.Writer, open OpenFunc) *packer {
	f := newFrames(c, w)
	return &packer{
		ctx: ctx, open: open, frames: f, tar: tar.NewWriter(f),
		tally: tally{Limits: c.limits}, buf: make([]byte, copySize),
	}
}

// add packs the member of f's path and fills in its size and digest now, its
// place with last. f must stay where it is until then.
func (p *packer) add(f *File, modified time.Time) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	r, size, err := p.open(p.ctx, f.Path)
	if err != nil {
		return err
	}
	err = p.content(f, modified, r, size)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

func (p *packer) content(f *File, modified time.Time, r io.Reader, size int64) error {
	if size < 0 {
		return fmt.Errorf("announced with %d bytes: %w", size, ErrSize)
	}
	if err := p.tally.add(f.Path, size); err != nil {
		return err
	}
	if err := p.begin(size); err != nil {
		return err
	}
	if err := p.tar.WriteHeader(header(f.Path, size, modified)); err != nil {
		return err
	}
	p.placed = append(p.placed, placed{f, p.frames.n})
	h := sha256.New()
	r = &source{ctx: p.ctx, r: r}
	n, err := io.CopyBuffer(io.MultiWriter(p.tar, h), io.LimitReader(r, size), p.buf)
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

// begin ends the frame begun where the member that follows should not share it.
func (p *packer) begin(size int64) error {
	if err := p.tar.Flush(); err != nil { // the padding of the member before
		return err
	}
	large := size >= ownFrame
	if large || p.large || len(p.frames.buf) >= sharedFrame {
		if err := p.frames.cut(); err != nil {
			return err
		}
	}
	p.large = large
	return nil
}

// settle writes all that was added and fills in the places.
func (p *packer) settle() error {
	if err := p.tar.Flush(); err != nil {
		return err
	}
	if err := p.frames.flush(); err != nil {
		return err
	}
	for _, m := range p.placed {
		if m.file.Size > 0 {
			place := p.frames.table.place(m.at, m.file.Size)
			m.file.Place = &place
		}
	}
	p.placed = nil
	return nil
}

// last packs the member that describes the others, the one content of its
// frame, and finishes the archive. It must not be called after an error: without
// it no reader takes what was written for a bundle.
func (p *packer) last(path string, raw []byte, modified time.Time) error {
	if int64(len(raw)) > p.MaxManifest {
		return fmt.Errorf("manifest of %d bytes, limit is %d: %w", len(raw), p.MaxManifest, ErrTooLarge)
	}
	p.frames.whole = true
	if err := p.tar.WriteHeader(header(path, int64(len(raw)), modified)); err != nil {
		return err
	}
	if _, err := p.tar.Write(raw); err != nil {
		return err
	}
	if err := p.tar.Close(); err != nil {
		return err
	}
	if err := p.frames.flush(); err != nil {
		return err
	}
	_, err := p.frames.w.Write(p.frames.table.frame())
	return err
}
