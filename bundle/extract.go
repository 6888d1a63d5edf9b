package bundle

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrNoPlace: a file cannot be read alone, since its place is not known or not
// what the bytes say. The bundle as a whole may still be good.
var ErrNoPlace = errors.New("place in the bundle is unknown or wrong")

// Extract reads single files out of a part of a bundle or base. r yields its
// bytes from byte at on; every file has a Place, and it lies in that part: empty
// files, which have none, are the caller's. Each goes to put in the order of the places, then as in
// Decode, but checked at once: a reader that ended with io.EOF gave the right
// bytes.
//
// It returns an error wrapping [ErrNoPlace] if there is something else at a
// place, which a wrong place and a damaged bundle both may cause; else the error
// of ctx, r or put.
func (c *Codec) Extract(ctx context.Context, r io.Reader, at int64, files []File, put PutFunc) error {
	src := &counter{r: &source{ctx: ctx, r: r}, n: at}
	if i := slices.IndexFunc(files, func(f File) bool { return f.Place == nil }); i >= 0 {
		return inMember(files[i].Path, ErrNoPlace)
	}
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Place.Offset, b.Place.Offset), cmp.Compare(a.Place.Skip, b.Place.Skip))
	})
	for len(files) > 0 {
		n := 1
		for n < len(files) && files[n].Place.Offset == files[0].Place.Offset {
			n++
		}
		if err := c.extractFrames(ctx, src, files[:n], put); err != nil {
			return err
		}
		files = files[n:]
	}
	return nil
}

// extractFrames reads the files whose frames begin at the same byte.
func (c *Codec) extractFrames(ctx context.Context, src *counter, files []File, put PutFunc) error {
	first := files[0]
	if first.Place.Offset < src.n {
		return inMember(first.Path, fmt.Errorf("byte %d was passed: %w", first.Place.Offset, ErrNoPlace))
	}
	if _, err := io.CopyN(io.Discard, src, first.Place.Offset-src.n); err != nil {
		return inMember(first.Path, c.misplaced(src, err))
	}
	length := int64(0)
	for _, f := range files {
		length = max(length, f.Place.Length)
	}
	z, err := c.decoder(io.LimitReader(src, length))
	if err != nil {
		return inMember(first.Path, c.misplaced(src, err))
	}
	defer c.releaseDecoder(z)
	content := &counter{r: z}
	for _, f := range files {
		if err := c.extractOne(ctx, src, content, f, put); err != nil {
			return inMember(f.Path, err)
		}
	}
	return nil
}

func (c *Codec) extractOne(ctx context.Context, src, content *counter, f File, put PutFunc) error {
	if f.Place.Skip < content.n {
		return fmt.Errorf("overlaps the file before it: %w", ErrNoPlace)
	}
	if f.Size > c.limits.MaxMember {
		return fmt.Errorf("%d bytes, limit is %d: %w", f.Size, c.limits.MaxMember, ErrTooLarge)
	}
	if _, err := io.CopyN(io.Discard, content, f.Place.Skip-content.n); err != nil {
		return c.misplaced(src, err)
	}
	r := &checked{r: content, left: f.Size, hash: sha256.New(), want: f.SHA256, fault: func(err error) error { return c.misplaced(src, err) }}
	err := put(ctx, Member{Path: f.Path, Size: f.Size}, r)
	if r.err != nil && r.err != io.EOF {
		return r.err
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// misplaced tells a wrong place from a bad connection.
func (c *Codec) misplaced(src *counter, err error) error {
	if s, ok := src.r.(*source); ok && s.err != nil {
		return s.err
	}
	return fmt.Errorf("%w: %w", err, ErrNoPlace)
}

// tailGuess is how many bytes from the end are read in the hope that they hold
// the seek table and the last member: enough for some 200 files.
const tailGuess = 64 << 10

// RangeFunc opens n bytes of an object from byte off on.
type RangeFunc func(ctx context.Context, off, n int64) (io.ReadCloser, error)

// ReadManifest reads the manifest of a bundle of size bytes and nothing else of
// it, mostly with a single call of open. What it says of the members is not
// checked against them. Errors are those of Decode; without a seek table, which a
// bundle may lack, it wraps [ErrNoPlace].
func (c *Codec) ReadManifest(ctx context.Context, size int64, open RangeFunc) (Manifest, error) {
	raw, path, err := c.readLast(ctx, size, open)
	if err != nil {
		return Manifest{}, err
	}
	m, err := parseManifest(raw)
	if err == nil && path != manifestPath(m.Versions[0].Version) {
		err = corruptf("manifest of version %d", m.Versions[0].Version)
	}
	if err != nil {
		return Manifest{}, inMember(path, err)
	}
	return m, nil
}

// ReadBase is ReadManifest for a base.
func (c *Codec) ReadBase(ctx context.Context, size int64, open RangeFunc) (Base, error) {
	raw, path, err := c.readLast(ctx, size, open)
	if err != nil {
		return Base{}, err
	}
	b, err := parseBase(raw)
	if err == nil && path != basePath(b.Version) {
		err = corruptf("base of version %d", b.Version)
	}
	if err != nil {
		return Base{}, inMember(path, err)
	}
	return b, nil
}

// readLast returns the content and the path of the last member.
func (c *Codec) readLast(ctx context.Context, size int64, open RangeFunc) (raw []byte, path string, err error) {
	tail, err := readRange(ctx, open, max(0, size-tailGuess), min(size, tailGuess))
	if err != nil {
		return nil, "", err
	}
	packed, after, err := lastFrame(tail)
	if err != nil {
		return nil, "", err
	}
	if packed > c.limits.MaxManifest+tailGuess {
		return nil, "", fmt.Errorf("manifest of %d bytes, packed, limit is %d: %w: %w", packed, c.limits.MaxManifest, ErrTooLarge, ErrCorrupt)
	}
	if packed+after > size {
		return nil, "", corruptf("the seek table speaks of more bytes than there are")
	}
	if packed+after > int64(len(tail)) {
		if tail, err = readRange(ctx, open, size-packed-after, packed+after); err != nil {
			return nil, "", err
		}
	}
	return c.unpackLast(ctx, tail[int64(len(tail))-packed-after:][:packed])
}

func readRange(ctx context.Context, open RangeFunc, off, n int64) (b []byte, err error) {
	r, err := open(ctx, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close() // everything was read; closing can lose nothing
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(r, n)); err != nil {
		return nil, err
	}
	if int64(buf.Len()) < n {
		return nil, corruptf("ended after %d of %d bytes", off+int64(buf.Len()), off+n)
	}
	return buf.Bytes(), nil
}

// lastFrame returns how many bytes the last frame of the archive takes, and how
// many follow it.
func lastFrame(tail []byte) (packed, after int64, err error) {
	le := binary.LittleEndian
	n := len(tail)
	if n < seekHeaderSize+seekEntrySize+seekFooterSize || le.Uint32(tail[n-4:]) != seekMagic {
		return 0, 0, fmt.Errorf("no seek table: %w", ErrNoPlace)
	}
	entry := seekEntrySize
	if tail[n-5]&0x80 != 0 { // the table has checksums
		entry += 4
	}
	count := int64(le.Uint32(tail[n-seekFooterSize:]))
	if count == 0 {
		return 0, 0, corruptf("a seek table without frames")
	}
	packed = int64(le.Uint32(tail[n-seekFooterSize-entry:]))
	return packed, count*int64(entry) + seekHeaderSize + seekFooterSize, nil
}

// unpackLast reads the one member that the frame holds.
func (c *Codec) unpackLast(ctx context.Context, packed []byte) (raw []byte, path string, err error) {
	z, err := c.decoder(&source{ctx: ctx, r: bytes.NewReader(packed)})
	if err != nil {
		return nil, "", asCorrupt(err)
	}
	defer c.releaseDecoder(z)
	a := newArchive(z)
	hdr, err := a.next()
	if err != nil {
		return nil, "", asCorrupt(err)
	}
	if hdr.size > c.limits.MaxManifest {
		return nil, "", inMember(hdr.path, fmt.Errorf("%d bytes, limit is %d: %w: %w", hdr.size, c.limits.MaxManifest, ErrTooLarge, ErrCorrupt))
	}
	raw, err = io.ReadAll(a)
	if err != nil {
		return nil, "", inMember(hdr.path, asCorrupt(err))
	}
	return raw, hdr.path, nil
}
