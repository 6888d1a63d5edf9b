package bundle

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"
)

// Sizes of the tar format in bytes.
const (
	blockSize = 512
	// maxHeaders is what may stand before a member's content: its header and
	// one extended header, in which a path of maxPath has room.
	maxHeaders = 8 << 10
	// maxTail is how far zeros may pad the archive; GNU tar fills up records
	// of this length.
	maxTail = 20 * blockSize
)

// archive reads the tar inside a bundle, and of the many things that a tar may be
// only what appendHeader writes: another tar that reads it finds nothing else there.
type archive struct {
	raw     *counter
	left    int64           // of the current member's content
	end     int64           // where the current member ends, its padding included
	blocks  []byte          // buffer for what stands before a content
	canon   []byte          // buffer for what we would write there
	padding [blockSize]byte // buffer for what stands behind it, and behind the last
}

func newArchive(r io.Reader) *archive { return &archive{raw: &counter{r: r}} }

// header is what an archive says of a member.
type header struct {
	path     string
	size     int64
	modified time.Time // UTC
}

// next goes to the next member, the current one having been read to its end. It
// returns io.EOF at a proper end of the archive. What a header claims may cost
// nothing: at most maxHeaders bytes are read for it.
func (a *archive) next() (header, error) {
	if err := a.skipPadding(); err != nil {
		return header{}, err
	}
	a.blocks = a.blocks[:0]
	if err := a.more(blockSize); err != nil {
		return header{}, err
	}
	if isZero(a.blocks) {
		return header{}, a.finish()
	}
	h, err := a.header()
	if err != nil {
		return header{}, err
	}
	a.left = h.size
	a.end = a.raw.n + h.size + -h.size&(blockSize-1)
	return h, nil
}

// skipPadding refuses what could hide behind a content.
func (a *archive) skipPadding() error {
	if a.left > 0 {
		return fmt.Errorf("a member was not read to its end: %w", io.ErrUnexpectedEOF)
	}
	padding := a.padding[:a.end-a.raw.n]
	if _, err := io.ReadFull(a.raw, padding); err != nil {
		return noEOF(err)
	}
	if !isZero(padding) {
		return corruptf("padding that is not zero")
	}
	return nil
}

// header reads what stands before a content, whose first block was read. Whatever
// it says must be said as appendHeader does, which is found out by doing it again:
// two readers that make different things of one header would see two tables.
func (a *archive) header() (header, error) {
	if a.blocks[typeField] == 'x' {
		n := parseOctal(a.blocks[sizeField:][:numberLength])
		if n += -n & (blockSize - 1); n > maxHeaders-2*blockSize {
			return header{}, fmt.Errorf("headers of more than %d bytes: %w", maxHeaders, ErrTooLarge)
		}
		if err := a.more(int(n) + blockSize); err != nil {
			return header{}, err
		}
	}
	h, ok := parseHeader(a.blocks)
	if ok {
		a.canon = appendHeader(a.canon[:0], h.path, h.size, h.modified)
	}
	if !ok || !bytes.Equal(a.canon, a.blocks) {
		return header{}, inMember(h.path, corruptf("not the header of a regular file as FORMAT.md has it"))
	}
	return h, nil
}

func isZero(b []byte) bool { return bytes.Equal(b, zeroBlock[:len(b)]) }

// noEOF makes an end of the input that may not be here an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// more appends the next n bytes to blocks.
func (a *archive) more(n int) error {
	begin := len(a.blocks)
	a.blocks = slices.Grow(a.blocks, n)[:begin+n]
	_, err := io.ReadFull(a.raw, a.blocks[begin:])
	return noEOF(err)
}

// Read reads the content of the current member.
func (a *archive) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.raw.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	switch {
	case err == io.EOF && a.left > 0:
		err = io.ErrUnexpectedEOF
	case err == nil && a.left == 0:
		err = io.EOF
	}
	return n, err
}

// readAll reads what is left of the current member. What it holds grows with what comes, not
// with what is claimed, eight times at most.
func (a *archive) readAll() ([]byte, error) {
	var b []byte
	for a.left > 0 {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(int64(len(b))+a.left, max(512, 8*int64(cap(b))))), b...)
		}
		n, err := a.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil && err != io.EOF {
			return b, err
		}
	}
	return b, nil
}

// finish reads what follows the first of the blocks that end the archive.
func (a *archive) finish() error {
	for {
		n, err := a.raw.Read(a.padding[:])
		switch {
		case !isZero(a.padding[:n]) || a.raw.n > a.end+maxTail:
			return corruptf("data after the end of the archive")
		case err == io.EOF && a.raw.n < a.end+2*blockSize:
			return fmt.Errorf("the blocks that end the archive are missing: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return err
		}
	}
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
