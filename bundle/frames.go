package bundle

import (
	"encoding/binary"
	"io"
)

const (
	// frameSize is how many bytes of the archive one frame holds at most, the
	// manifest's aside. It bounds the memory of packing and the waste of reading
	// a single member.
	frameSize = 1 << 20
	// sharedFrame is where small members stop sharing a frame: a frame for each
	// would cost two thirds more bytes.
	sharedFrame = 128 << 10
	// ownFrame is how large a member is that gets frames of its own, so that reading
	// it alone reads little else. A frame of this size costs about a hundredth more.
	ownFrame = 32 << 10
)

// frames cuts what is written to it into zstd frames, compresses several at
// once, and writes them in order.
type frames struct {
	codec *Codec
	w     io.Writer
	buf   []byte // of the frame begun
	whole bool   // the frame begun is not cut at frameSize
	n     int64  // bytes taken so far
	queue []*frame
	table seekTable
}

// frame is one being compressed.
type frame struct {
	raw  []byte
	done chan []byte // buffered: nobody need wait for it
}

func newFrames(c *Codec, w io.Writer) *frames {
	return &frames{codec: c, w: w, buf: c.buffer()}
}

func (f *frames) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := len(p)
		if !f.whole {
			n = min(n, frameSize-len(f.buf))
		}
		f.buf = append(f.buf, p[:n]...)
		f.n += int64(n)
		p = p[n:]
		if !f.whole && len(f.buf) == frameSize {
			if err := f.cut(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

// cut ends the frame begun, if there is anything in it. It waits for the oldest
// frame when enough are under way.
func (f *frames) cut() error {
	if len(f.buf) == 0 {
		return nil
	}
	next := &frame{raw: f.buf, done: make(chan []byte, 1)}
	f.buf = f.codec.buffer()
	f.queue = append(f.queue, next)
	go func() { next.done <- f.codec.frames.EncodeAll(next.raw, f.codec.buffer()) }()
	if len(f.queue) > f.codec.ahead {
		return f.oldest()
	}
	return nil
}

// oldest writes the frame that comes next.
func (f *frames) oldest() error {
	next := f.queue[0]
	f.queue = f.queue[1:]
	packed := <-next.done
	f.table = append(f.table, seekEntry{packed: uint32(len(packed)), raw: uint32(len(next.raw))})
	_, err := f.w.Write(packed)
	f.codec.release(packed)
	f.codec.release(next.raw)
	return err
}

// flush ends the frame begun and writes all that are under way, after which the
// table is complete up to here.
func (f *frames) flush() error {
	if err := f.cut(); err != nil {
		return err
	}
	for len(f.queue) > 0 {
		if err := f.oldest(); err != nil {
			return err
		}
	}
	return nil
}

// abandon waits for what is still being compressed and drops it. It is harmless
// after flush.
func (f *frames) abandon() {
	for _, next := range f.queue {
		<-next.done
	}
	f.queue = nil
}

// seekTable lists the frames of a bundle in order.
type seekTable []seekEntry

// seekEntry tells how many bytes a frame takes and how many are packed in it.
type seekEntry struct{ packed, raw uint32 }

// Sizes and numbers of the seek table, the "Zstandard Seekable Format" of the
// zstd project: a skippable frame at the end of the file, which ends in a footer.
const (
	skippableMagic = 0x184D2A5E
	seekMagic      = 0x8F92EAB1
	seekHeaderSize = 8
	seekEntrySize  = 8
	seekFooterSize = 9
)

// frame returns the skippable frame that holds the table.
func (t seekTable) frame() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, skippableMagic)
	b = le.AppendUint32(b, uint32(len(t)*seekEntrySize+seekFooterSize))
	for _, e := range t {
		b = le.AppendUint32(b, e.packed)
		b = le.AppendUint32(b, e.raw)
	}
	b = le.AppendUint32(b, uint32(len(t)))
	b = append(b, 0) // no checksums: each frame has its own
	return le.AppendUint32(b, seekMagic)
}

// place returns where the bytes [off, off+n) of the archive lie; n > 0.
func (t seekTable) place(off, n int64) Place {
	var p Place
	var packed, raw int64 // before frame e
	for _, e := range t {
		end := raw + int64(e.raw)
		if end > off {
			if p.Length == 0 {
				p.Offset, p.Skip = packed, off-raw
			}
			p.Length += int64(e.packed)
		}
		if end >= off+n {
			break
		}
		packed, raw = packed+int64(e.packed), end
	}
	return p
}
