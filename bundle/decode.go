package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Decode reads one bundle from r to its end, hands every member but the manifest
// to put, in the order of the archive, and returns the manifest once it has
// checked that each member agrees with it in path, size, sha256 and time, and that a
// seek table at the end lists the frames that were there.
//
// It returns an error wrapping [ErrCorrupt] if anything is wrong with the bytes
// ([ErrTooLarge] too if they exceed a limit), [ErrUnsupported] if a newer program
// wrote them; else the error of ctx, r or put. A stream that ends early without
// an error of r is corrupt. After any error whatever put was given is void, since
// the digests come last.
func (c *Codec) Decode(ctx context.Context, r io.Reader, put PutFunc) (Manifest, error) {
	var order bundleOrder
	var m Manifest
	err := c.decode(ctx, r, put, &order, func(raw []byte) (expects, error) {
		var err error
		if m, err = parseManifest(raw); err != nil || len(m.Parts) == 0 {
			return m, err
		}
		if err := c.limits.check(m.files()); err != nil { // of what lies elsewhere
			return m, asCorrupt(err)
		}
		return m, nil
	})
	if err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// bundleOrder knows which members of a bundle may stand where.
type bundleOrder struct {
	first int64 // the first commit's version
	last  int64 // the latest commit's version
	begun bool  // there was a commit
}

func (o *bundleOrder) place(path string) (last bool, err error) {
	if o.begun && path == manifestPath(o.first) {
		return true, nil
	}
	version, isCommit := parseCommitPath(path)
	if !isCommit {
		return false, checkMemberPath(path)
	}
	if o.begun && version-1 != o.last {
		return false, corruptf("follows the commit of version %d", o.last)
	}
	if !o.begun {
		o.first, o.begun = version, true
	}
	o.last = version
	return false, nil
}

// order tells whether a member of this path may stand here, and whether it is
// the one that describes the others.
type order interface {
	place(path string) (last bool, err error)
}

// expects is what the last member says: the members before it, in order, and its
// own time.
type expects interface {
	members() iter.Seq[expected]
	modified() time.Time
}

// decode reads an archive whose last member parse understands.
func (c *Codec) decode(ctx context.Context, r io.Reader, put PutFunc, o order, parse func(raw []byte) (expects, error)) error {
	src := &source{ctx: ctx, r: r}
	marked, err := checkMark(src)
	if err != nil {
		return err
	}
	z, err := c.decoder(nil) // of no reader yet
	if err != nil {
		return err
	}
	defer c.releaseDecoder(z)
	d := decoder{ctx: ctx, put: put, src: src, tar: newArchive(newWhole(marked, z)), tally: tally{Limits: c.limits}}
	return d.read(o, parse)
}

// decoder is one call of decode.
type decoder struct {
	ctx context.Context // of the call, which the decoder does not outlive
	put PutFunc
	src *source
	tar *archive
	tally
	got []received // the members so far
}

func (d *decoder) read(o order, parse func(raw []byte) (expects, error)) error {
	for {
		hdr, err := d.next()
		if errors.Is(err, io.EOF) {
			return corruptf("no manifest")
		}
		if err != nil {
			return err
		}
		last, err := o.place(hdr.path)
		if err != nil {
			return inMember(hdr.path, err)
		}
		if last {
			return d.last(hdr, parse)
		}
		if err := d.member(hdr); err != nil {
			return inMember(hdr.path, err)
		}
	}
}

func (d *decoder) next() (header, error) {
	if err := d.ctx.Err(); err != nil {
		return header{}, err
	}
	hdr, err := d.tar.next()
	if err == io.EOF && d.src.err == nil {
		return header{}, err
	}
	return hdr, d.fault(err)
}

// fault tells a bad bundle from a bad connection: only a stream that r itself
// called complete can be corrupt.
func (d *decoder) fault(err error) error {
	switch {
	case d.src.err != nil:
		return d.src.err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%w: %w: %w", err, ErrTooLarge, ErrCorrupt)
	case err == nil:
		return nil
	default:
		return asCorrupt(err)
	}
}

func (d *decoder) member(hdr header) error {
	if err := d.add(hdr.path, hdr.size); err != nil {
		return asCorrupt(err)
	}
	m := Member{Path: hdr.path, Size: hdr.size, Modified: hdr.modified}
	r := &content{d: d, left: hdr.size, hash: sha256.New()}
	err := d.put(d.ctx, m, r)
	if r.err != nil {
		return r.err // the cause, whatever put made of it
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	d.got = append(d.got, received{m, r.SHA256()})
	return nil
}

// last reads the last member and what follows it, and compares.
func (d *decoder) last(hdr header, parse func(raw []byte) (expects, error)) error {
	if hdr.size > d.MaxManifest {
		return inMember(hdr.path, fmt.Errorf("%d bytes, limit is %d: %w: %w", hdr.size, d.MaxManifest, ErrTooLarge, ErrCorrupt))
	}
	raw, err := d.tar.readAll()
	if err := d.fault(err); err != nil {
		return inMember(hdr.path, err)
	}
	want, err := parse(raw)
	if err != nil {
		return inMember(hdr.path, err)
	}
	if err := d.compare(want.members()); err != nil {
		return err
	}
	if !hdr.modified.Equal(want.modified()) {
		return inMember(hdr.path, corruptf("time %v, want %v", hdr.modified, want.modified()))
	}
	return d.end()
}

// compare tests the members against the manifest.
func (d *decoder) compare(members iter.Seq[expected]) error {
	n := 0
	for want := range members {
		if n < len(d.got) {
			if err := d.got[n].agrees(want); err != nil {
				return inMember(d.got[n].Path, err)
			}
		}
		n++
	}
	if len(d.got) != n {
		return corruptf("%d members, manifest lists %d", len(d.got), n)
	}
	return nil
}

// received is a member as it came.
type received struct {
	Member
	sha256 Digest
}

func (got received) agrees(want expected) error {
	switch {
	case got.Path != want.Path:
		return corruptf("manifest has %q in its place", want.Path)
	case got.Size != want.Size:
		return corruptf("size %d, manifest says %d", got.Size, want.Size)
	case got.sha256 != want.SHA256:
		return corruptf("sha256 %v, manifest says %v", got.sha256, want.SHA256)
	case !got.Modified.Equal(want.modified):
		return corruptf("time %v, manifest says %v", got.Modified, want.modified)
	}
	return nil
}

// end tests that nothing follows the manifest.
func (d *decoder) end() error {
	switch hdr, err := d.next(); {
	case err == nil:
		return inMember(hdr.path, corruptf("stands after the manifest"))
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// content reads one member and hashes what passes.
type content struct {
	d    *decoder
	left int64
	hash hash.Hash
	err  error // what broke the stream, for good
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.d.tar.Read(p)
	c.hash.Write(p[:n])
	c.left -= int64(n)
	if err == io.EOF && c.left == 0 {
		return n, io.EOF
	}
	c.err = c.d.fault(err)
	return n, c.err
}

// SHA256 is that of what was read so far: whoever takes the content need not hash it
// again.
func (c *content) SHA256() (sum [sha256.Size]byte) {
	c.hash.Sum(sum[:0])
	return sum
}

// source reads from r for as long as ctx lives, and keeps the error that r
// ended with, unless that is io.EOF.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
