package bundle

import (
	"hash"
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

// ahead is how many frames of a bundle are compressed while the next one is
// read. Two compress faster than one goroutine reads and hashes.
const ahead = 2

// frames cuts what is written to it into zstd frames, compresses several at
// once, and writes them in order.
type frames struct {
	codec *Codec
	w     io.Writer
	buf   []byte // of the frame begun
	large bool   // the frame begun holds content of one large member, nothing else
	whole bool   // the frame begun is not cut at frameSize
	n     int64  // bytes taken so far
	queue []*frame
	table seekTable
}

// frame is a part of the archive that is being compressed, mostly into one zstd
// frame.
type frame struct {
	packed []byte
	table  []seekEntry
	done   chan struct{} // closed when both are there
}

func newFrames(c *Codec, w io.Writer) *frames {
	return &frames{codec: c, w: w, buf: c.buffer()}
}

// write adds b.
func (f *frames) write(b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if !f.whole {
			n = min(n, frameSize-len(f.buf))
		}
		f.buf = append(f.buf, b[:n]...)
		b = b[n:]
		if err := f.took(n); err != nil {
			return err
		}
	}
	return nil
}

// took counts n bytes that were put into buf, and ends the frame if it is full.
func (f *frames) took(n int) error {
	f.n += int64(n)
	if f.whole || len(f.buf) < frameSize {
		return nil
	}
	return f.cut()
}

// setLarge ends the frame begun where the content of a large member begins or
// ends.
func (f *frames) setLarge(large bool) error {
	if large == f.large {
		return nil
	}
	err := f.cut()
	f.large = large
	return err
}

// copyFrom adds the next n bytes of r and hashes them on the way. It returns
// how many there were; r's end is no error.
func (f *frames) copyFrom(r io.Reader, n int64, h hash.Hash) (taken int64, err error) {
	for empty := 0; taken < n; empty++ {
		begin := len(f.buf)
		room := min(copySize, int64(frameSize-begin), n-taken)
		got, err := r.Read(f.buf[begin : begin+int(room)])
		f.buf = f.buf[:begin+got]
		h.Write(f.buf[begin:])
		taken += int64(got)
		if got > 0 {
			empty = 0
		} else if err == nil && empty == maxEmpty {
			return taken, io.ErrNoProgress
		}
		if cutErr := f.took(got); cutErr != nil {
			return taken, cutErr
		}
		if err == io.EOF {
			return taken, nil
		}
		if err != nil {
			return taken, err
		}
	}
	return taken, nil
}

const (
	// copySize is how many bytes are read at once: they are still in the
	// processor's cache when they are hashed.
	copySize = 128 << 10
	// maxEmpty is how many reads in a row may yield nothing, which io.Reader
	// allows, before the reader is taken for broken.
	maxEmpty = 100
)

// cut ends the frame begun, if there is anything in it. It waits for the oldest
// frame when enough are under way.
func (f *frames) cut() error {
	if len(f.buf) == 0 {
		return nil
	}
	next := &frame{done: make(chan struct{})}
	f.queue = append(f.queue, next)
	go f.codec.finish(next, f.buf, f.large)
	f.buf = f.codec.buffer()
	if len(f.queue) > ahead {
		return f.oldest()
	}
	return nil
}

func (c *Codec) finish(next *frame, raw []byte, large bool) {
	defer close(next.done)
	next.packed, next.table = c.compress.pack(c.buffer(), raw, large)
	c.release(raw)
}

// oldest writes the frame that comes next.
func (f *frames) oldest() error {
	next := f.queue[0]
	f.queue = f.queue[1:]
	<-next.done
	for _, e := range next.table {
		f.table = f.table.append(e)
	}
	_, err := f.w.Write(next.packed)
	f.codec.release(next.packed)
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
		f.codec.release(next.packed)
	}
	f.queue = nil
	f.codec.release(f.buf)
	f.buf = nil
}
