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
	"fmt"
	"io"
	"runtime"
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
// be published: the digests stand at the end of a bundle.
type PutFunc func(ctx context.Context, m Member, r io.Reader) error

// Options of a Codec. The zero value has the defaults.
type Options struct {
	// Level of zstd, 1 to 22. Default: 3. The compressor has four modes, for
	// levels 1-2, 3-5, 6-9 and 10-22; see Encode for their memory.
	Level int
	// Limits on what a bundle may hold.
	Limits Limits
}

// Codec writes and reads bundles. Its methods may be called by many goroutines
// at once; no call leaves a goroutine behind.
type Codec struct {
	limits   Limits
	frames   *zstd.Encoder // of whole frames, by many goroutines at once
	ahead    int           // how many frames of a bundle are compressed at once
	buffers  sync.Pool     // of *[]byte, for frames
	decoders sync.Pool     // of *zstd.Decoder, bound to no reader
}

// NewCodec makes a Codec. opts may be nil. It returns an error if a field is out
// of its range.
func NewCodec(opts *Options) (*Codec, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	setDefault(&o.Level, 3)
	if o.Level < 1 || o.Level > 22 {
		return nil, fmt.Errorf("compression level %d, want 1 to 22", o.Level)
	}
	limits, err := o.Limits.withDefaults()
	if err != nil {
		return nil, err
	}
	workers := runtime.GOMAXPROCS(0)
	z, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(o.Level)),
		zstd.WithEncoderConcurrency(workers),
		zstd.WithWindowSize(frameSize),
		zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	return &Codec{limits: limits, frames: z, ahead: workers}, nil
}

// maxWindow is how far back zstd may refer, in bytes: FORMAT.md allows 8 MiB,
// which the reader must hold in memory.
const maxWindow = 8 << 20

// buffer returns an empty buffer for a frame.
func (c *Codec) buffer() []byte {
	if b, ok := c.buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

// release gives a buffer back, unless a manifest made it too large to keep.
func (c *Codec) release(b []byte) {
	if cap(b) <= 2*frameSize {
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
