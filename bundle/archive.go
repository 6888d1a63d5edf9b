package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
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
	raw *counter
	tar *tar.Reader
	end int64 // where the current member ends, its padding included
}

func newArchive(r io.Reader) *archive {
	raw := &counter{r: r}
	return &archive{raw: raw, tar: tar.NewReader(raw)}
}

// next goes to the next member, the current one having been read to its end. It
// returns io.EOF at a proper end of the archive. What a header claims may cost
// nothing: at most maxHeaders bytes are read for it.
func (a *archive) next() (*tar.Header, error) {
	a.raw.stop = a.end + maxHeaders
	hdr, err := a.tar.Next()
	a.raw.stop = 0
	if errors.Is(err, io.EOF) {
		return nil, a.finish()
	}
	if err != nil {
		return nil, err
	}
	if err := checkHeader(hdr); err != nil {
		return nil, inMember(hdr.Name, err)
	}
	padding := -hdr.Size & (blockSize - 1)
	a.end = a.raw.n + hdr.Size + padding
	return hdr, nil
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
