package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
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

// checkHeader tests that h says no more than appendHeader can: nothing in it
// depends on who packs the bundle, where and when.
func checkHeader(h *tar.Header) error {
	switch {
	case h.Typeflag != tar.TypeReg:
		return corruptf("not a regular file but type %q", h.Typeflag)
	case h.Format != tar.FormatPAX && h.Format != tar.FormatUSTAR:
		return corruptf("%v header, want ustar or pax", h.Format)
	case h.Mode != 0o644 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "":
		return corruptf("mode %o, owner %d/%d %.40q/%.40q, want 644, 0/0 and no names", h.Mode, h.Uid, h.Gid, h.Uname, h.Gname)
	case h.Linkname != "" || h.Devmajor != 0 || h.Devminor != 0:
		return corruptf("names a link or a device")
	}
	for key := range h.PAXRecords {
		if key != "path" && key != "size" && key != "mtime" {
			return corruptf("pax record %.80q", key)
		}
	}
	return nil
}

// archive reads the tar inside a bundle, and only what FORMAT.md allows of the
// many things that archive/tar understands.
type archive struct {
	raw     *counter
	left    int64           // of the current member's content
	end     int64           // where the current member ends, its padding included
	blocks  []byte          // buffer for what stands before a content
	canon   []byte          // buffer for what we would write there
	padding [blockSize]byte // buffer for what stands behind it
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
	a.raw.stop = a.end + maxHeaders
	h, err := a.header()
	a.raw.stop = 0
	if errors.Is(err, io.EOF) {
		return header{}, a.finish()
	}
	if err != nil {
		return h, err
	}
	a.left = h.size
	a.end = a.raw.n + h.size + -h.size&(blockSize-1)
	return h, nil
}

func (a *archive) skipPadding() error {
	if a.left > 0 {
		return fmt.Errorf("a member was not read to its end: %w", io.ErrUnexpectedEOF)
	}
	_, err := io.ReadFull(a.raw, a.padding[:a.end-a.raw.n])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// header reads what stands before a content. Mostly that is what appendHeader
// writes, which it tells by writing it again; what anything else means, and
// whether it means anything, archive/tar knows, at many times the cost.
func (a *archive) header() (header, error) {
	a.blocks = a.blocks[:0]
	err := a.more(blockSize)
	if err == nil && a.blocks[typeField] == 'x' {
		if n := parseOctal(a.blocks[sizeField:][:numberLength]); n > 0 && n <= maxHeaders-3*blockSize {
			err = a.more(int(n + -n&(blockSize-1) + blockSize))
		}
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return header{}, err
	}
	if err == nil {
		h, ok := parseHeader(a.blocks)
		if ok {
			a.canon = appendHeader(a.canon[:0], h.path, h.size, h.modified)
			ok = bytes.Equal(a.canon, a.blocks)
		}
		if ok {
			return h, nil
		}
	}
	h, err := tar.NewReader(io.MultiReader(bytes.NewReader(a.blocks), a.raw)).Next()
	if err != nil {
		return header{}, err
	}
	if err := checkHeader(h); err != nil {
		return header{}, inMember(h.Name, err)
	}
	return header{h.Name, h.Size, h.ModTime.UTC()}, nil
}

// more appends the next n bytes to blocks, or as many as there are.
func (a *archive) more(n int) error {
	begin := len(a.blocks)
	a.blocks = slices.Grow(a.blocks, n)[:begin+n]
	n, err := io.ReadFull(a.raw, a.blocks[begin:])
	a.blocks = a.blocks[:begin+n]
	return err
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

// finish reads what follows the last member. archive/tar ends at two blocks of
// zeros, but also where the input does, and says nothing of what comes after.
func (a *archive) finish() error {
	if a.raw.n != a.end+2*blockSize {
		return fmt.Errorf("the blocks that end the archive are missing: %w", io.ErrUnexpectedEOF)
	}
	buf := make([]byte, blockSize)
	for {
		n, err := a.raw.Read(buf)
		if len(bytes.Trim(buf[:n], "\x00")) > 0 || a.raw.n > a.end+maxTail {
			return corruptf("data after the end of the archive")
		}
		if err != nil {
			return err
		}
	}
}

// counter counts what was read and, where stop is set, refuses to read beyond.
type counter struct {
	r    io.Reader
	n    int64
	stop int64
}

func (c *counter) Read(p []byte) (int, error) {
	if c.stop > 0 && c.n+int64(len(p)) > c.stop {
		return 0, fmt.Errorf("headers of more than %d bytes: %w", maxHeaders, ErrTooLarge)
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
