package bundle

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
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
// checked against them.
//
// The end of an object is no verdict on all of it: a later format may look like
// anything there, and a bundle of this one may lack a seek table or be cut into
// other frames. So whatever makes no sense wraps [ErrNoPlace], and nothing wraps
// [ErrCorrupt]: Decode tells what it is. It returns an error wrapping
// [ErrUnsupported] if the manifest itself says so; else the error of ctx or open.
func (c *Codec) ReadManifest(ctx context.Context, size int64, open RangeFunc) (Manifest, error) {
	return readLast(ctx, c, size, open, func(raw []byte, path string) (Manifest, error) {
		m, err := parseManifest(raw)
		if err == nil && path != manifestPath(m.Versions[0].Version) {
			err = corruptf("manifest of version %d", m.Versions[0].Version)
		}
		return m, err
	})
}

// ReadBase is ReadManifest for a base.
func (c *Codec) ReadBase(ctx context.Context, size int64, open RangeFunc) (Base, error) {
	return readLast(ctx, c, size, open, func(raw []byte, path string) (Base, error) {
		b, err := parseBase(raw)
		if err == nil && path != basePath(b.Version) {
			err = corruptf("base of version %d", b.Version)
		}
		return b, err
	})
}

// readLast reads the last member and returns what parse makes of it.
func readLast[T any](ctx context.Context, c *Codec, size int64, open RangeFunc, parse func(raw []byte, path string) (T, error)) (v T, err error) {
	frame, unpacked, err := c.lastFrame(ctx, size, open)
	if err != nil {
		return v, err
	}
	raw, path, err := c.unpackLast(frame, unpacked)
	if err == nil {
		if v, err = parse(raw, path); err == nil {
			return v, nil
		}
	}
	var none T
	if !errors.Is(err, ErrUnsupported) {
		err = fmt.Errorf("%w: %v", ErrNoPlace, err) // not %w: it is not found to be corrupt yet
	}
	if path == "" {
		return none, err
	}
	return none, inMember(path, err)
}

// lastFrame returns the last frame of an object of size bytes, as its seek table
// has it, and how many bytes are packed in it. The table is read as a stream: what it
// claims of itself costs no memory.
func (c *Codec) lastFrame(ctx context.Context, size int64, open RangeFunc) (frame []byte, unpacked int64, err error) {
	n := min(size, tailGuess)
	if n < minSeekTable {
		return nil, 0, fmt.Errorf("%d bytes: %w", size, ErrNoPlace)
	}
	var tail bytes.Buffer
	err = c.readRange(ctx, open, size-n, n, func(r io.Reader) error {
		_, err := io.CopyN(&tail, r, n)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	end := parseSeekEnd(tail.Bytes())
	rest := end.last + end.size()
	if end.frames == 0 || end.frames > c.limits.maxFrames() || end.last > c.limits.MaxManifest+tailGuess || rest > size {
		return nil, 0, fmt.Errorf("no seek table, or one of %d frames, the last of %d bytes: %w", end.frames, end.last, ErrNoPlace)
	}
	if rest <= n { // it is here already
		open = func(context.Context, int64, int64) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(tail.Bytes()[n-rest:])), nil
		}
	}
	err = c.readRange(ctx, open, size-rest, rest, func(r io.Reader) (err error) {
		frame, err = end.lastFrame(r, size)
		return err
	})
	return frame, end.raw, err
}

// readRange lets read have n bytes from byte off on. That they end early, or are
// not what read expects, is an ErrNoPlace.
func (c *Codec) readRange(ctx context.Context, open RangeFunc, off, n int64, read func(r io.Reader) error) error {
	r, err := open(ctx, off, n)
	if err != nil {
		return err
	}
	defer r.Close() // everything was read; closing can lose nothing
	src := &counter{r: &source{ctx: ctx, r: io.LimitReader(r, n)}}
	if err := read(src); err != nil {
		return c.misplaced(src, err)
	}
	return nil
}

// unpackLast reads the one member that the frame holds, and the end of the archive,
// which together have to be as long as the seek table says.
func (c *Codec) unpackLast(frame []byte, unpacked int64) (raw []byte, path string, err error) {
	z, err := c.decoder(nil) // of no reader yet
	if err != nil {
		return nil, "", err
	}
	defer c.releaseDecoder(z)
	w := newWhole(bytes.NewReader(frame), z)
	a := newArchive(w)
	hdr, err := a.next()
	if err != nil {
		return nil, "", err
	}
	// Cut otherwise, the frame may begin with a file, which may look like a manifest.
	if !strings.HasPrefix(hdr.path, sluiceDir+"/") || hdr.size > c.limits.MaxManifest {
		return nil, hdr.path, fmt.Errorf("not a description, or one of %d bytes", hdr.size)
	}
	if raw, err = a.readAll(); err != nil {
		return nil, hdr.path, err
	}
	if _, err = a.next(); err != io.EOF {
		return nil, hdr.path, fmt.Errorf("not at the end of the archive: %w", err)
	}
	if w.frames != 1 || w.unlisted || w.raw != unpacked {
		return nil, hdr.path, fmt.Errorf("not the one frame of %d bytes that the seek table has", unpacked)
	}
	return raw, hdr.path, nil
}
