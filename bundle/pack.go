package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// packer writes one archive: its members, then a last one that describes them,
// then the seek table.
type packer struct {
	ctx    context.Context // of the call, which the packer does not outlive
	open   OpenFunc
	frames *frames
	tally
	hash   hash.Hash
	header []byte // buffer for headers
	placed []placed
}

// placed is a member whose place is known once its frames are written.
type placed struct {
	file *File
	at   int64 // in the archive
}

func (c *Codec) packer(ctx context.Context, w io.Writer, open OpenFunc) *packer {
	return &packer{ctx: ctx, open: open, frames: newFrames(c, w), tally: tally{Limits: c.limits}, hash: sha256.New()}
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
	if err := p.begin(f.Path, size, modified); err != nil {
		return err
	}
	if err := p.frames.setLarge(size >= ownFrame); err != nil {
		return err
	}
	p.placed = append(p.placed, placed{f, p.frames.n})
	if err := p.copy(f, r, size); err != nil {
		return err
	}
	if err := p.frames.setLarge(false); err != nil {
		return err
	}
	return p.pad(size)
}

// copy packs the content of a member and measures it.
func (p *packer) copy(f *File, r io.Reader, size int64) error {
	p.hash.Reset()
	src := &source{ctx: p.ctx, r: r}
	n, err := p.frames.copyFrom(src, size, p.hash)
	if err != nil {
		return err
	}
	if n < size {
		return fmt.Errorf("ended after %d of %d bytes: %w: %w", n, size, ErrSize, io.ErrUnexpectedEOF)
	}
	f.Size = size
	p.hash.Sum(f.SHA256[:0])
	return atEnd(src, size)
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

// begin ends the frame begun if it has enough, and writes the header of the member
// that follows. That of a large one stands in the frame before its content, which
// the zeros of headers and padding would keep from being stored.
func (p *packer) begin(path string, size int64, modified time.Time) error {
	f := p.frames
	if !f.whole && len(f.buf) >= sharedFrame {
		if err := f.cut(); err != nil {
			return err
		}
	}
	p.header = appendHeader(p.header[:0], path, size, modified)
	return f.write(p.header)
}

// pad fills up the last block of a member of this size.
func (p *packer) pad(size int64) error {
	return p.frames.write(zeroBlock[:-size&(blockSize-1)])
}

var zeroBlock [2 * blockSize]byte

// settle writes all that was added and fills in the places.
func (p *packer) settle() error {
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
	err := checkObject(raw)
	if beyond := (*boundError)(nil); errors.As(err, &beyond) {
		err = fmt.Errorf("%s: %w", beyond.what, ErrTooLarge)
	}
	if err != nil { // it could not be read
		return err
	}
	f := p.frames
	if err := f.cut(); err != nil {
		return err
	}
	f.whole = true
	if err := p.begin(path, int64(len(raw)), modified); err != nil {
		return err
	}
	if err := f.write(raw); err != nil {
		return err
	}
	if err := p.pad(int64(len(raw))); err != nil {
		return err
	}
	if err := f.write(zeroBlock[:]); err != nil { // the end of the archive
		return err
	}
	if err := f.flush(); err != nil {
		return err
	}
	_, err = f.w.Write(f.table.frame())
	return err
}
