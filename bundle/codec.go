// Package bundle packs versions of a table into one self-checking object and
// back: a tar of the files, the commit and a manifest, compressed with zstd.
// FORMAT.md beside this file says what the bytes are. The package knows neither
// stores nor Delta actions.
//
// [NewCodec] gives a [Codec]; its Encode and Decode stream, so a bundle may be
// larger than memory. A bundle is untrusted input: Decode refuses whatever breaks
// a rule, and what it handed out before counts only if it returns no error.
package bundle

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Member is one file of the archive, the manifest not among them.
type Member struct {
	Path     string    // relative to the table's root; obeys CheckPath or is a commit's
	Size     int64     // bytes
	Modified time.Time // of its version's commit file, UTC
}

// OpenFunc opens a member by its path, a commit too, and tells its size in
// bytes. Encode closes the reader.
type OpenFunc func(ctx context.Context, path string) (io.ReadCloser, int64, error)

// PutFunc takes one member. r ends after m.Size bytes or fails; an error of r
// means that the bundle is bad or cannot be read, and Decode returns it whatever
// PutFunc makes of it. What PutFunc leaves unread Decode reads, so that it is
// checked all the same. Until Decode has returned without an error nothing may
// be published: the digests stand at the end of a bundle. r has a method
// SHA256() [32]byte as well, the sha256 of what was read from it so far.
type PutFunc func(ctx context.Context, m Member, r io.Reader) error

// Options of a Codec. The zero value has the defaults.
type Options struct {
	// Level of zstd, 1 to 22, or 0 to store everything as it is. Levels 1-2, 3-5,
	// 6-9 and 10-22 are the same. Default (nil): as fast as pays, which is the
	// fastest mode, and coding by frequency, the costly half of it, only where a
	// sample promises that it saves a sixteenth.
	Level *int
	// Limits on what a bundle may hold.
	Limits Limits
}

// Codec writes and reads bundles. Its methods may be called by many goroutines
// at once; no call leaves a goroutine behind.
type Codec struct {
	limits   Limits
	compress compressor
	buffers  sync.Pool // of *[]byte, for frames
	decoders sync.Pool // of *zstd.Decoder, bound to no reader
}

// NewCodec makes a Codec. opts may be nil. It returns an error if a field is out
// of its range.
func NewCodec(opts *Options) (*Codec, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	limits, err := o.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	z, err := newCompressor(o.Level)
	if err != nil {
		return nil, err
	}
	return &Codec{limits: limits, compress: z}, nil
}

// maxWindow is how far back zstd may refer, in bytes: FORMAT.md allows 8 MiB,
// which the reader must hold in memory.
const maxWindow = 8 << 20

// bufferSize is what a frame may take, packed or not: stored it is a little
// longer, and a member's padding and the next header may follow.
const bufferSize = frameSize + frameSize/64

// buffer returns an empty buffer with room for a frame.
func (c *Codec) buffer() []byte {
	if b, ok := c.buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, bufferSize)
}

// release gives a buffer back, unless a manifest made it too large to keep.
func (c *Codec) release(b []byte) {
	if cap(b) == bufferSize {
		c.buffers.Put(&b)
	}
}

func (c *Codec) decoder(r io.Reader) (*zstd.Decoder, error) {
	if z, ok := c.decoders.Get().(*zstd.Decoder); ok {
		return z, z.Reset(r)
	}
	return zstd.NewReader(r,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
}

func (c *Codec) releaseDecoder(z *zstd.Decoder) {
	if z.Reset(nil) == nil {
		c.decoders.Put(z)
	}
}
