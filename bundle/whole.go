package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

// whole reads all frames of an object and yields what is packed in them. An object
// that ends like a seek table must end in the right one (Z4 of FORMAT.md): else who
// reads from the end would see another archive. Of the frames it met it keeps a
// digest and no list, so that their number costs no memory.
type whole struct {
	z     *zstd.Decoder
	in    ending
	magic [4]byte  // buffer
	frame oneFrame // the one begun, if open
	open  bool
	begin int64 // where it begins
	raw   int64 // how many bytes came out of the latest one

	frames   uint32    // how many ended; beyond 2^32 the digest differs
	entries  hash.Hash // of what the right table would say of them
	entry    [seekEntrySize]byte
	unlisted bool // there was something that no table may list
	listed   bool // what was read last is the right table

	err error // what it ended with
}

// newWhole reads from r and unpacks with z, which it resets for each frame.
func newWhole(r io.Reader, z *zstd.Decoder) *whole {
	w := &whole{z: z, in: ending{r: r}, entries: sha256.New()}
	w.frame.in = &w.in
	return w
}

// Read returns io.EOF at the proper end of an object, and an error wrapping
// [ErrCorrupt] if something is wrong with how the frames lie there; else that of
// the decoder or of the reader.
func (w *whole) Read(p []byte) (int, error) {
	for w.err == nil {
		if !w.open {
			w.err = w.next()
			continue
		}
		n, err := w.z.Read(p)
		w.raw += int64(n)
		if err == io.EOF {
			err = w.close()
		}
		w.err = err
		if n > 0 || len(p) == 0 || err != nil {
			return n, err
		}
	}
	return 0, w.err
}

// next goes to the next frame, or passes a skippable one.
func (w *whole) next() error {
	w.begin = w.in.n
	if _, err := io.ReadFull(&w.in, w.magic[:]); err == io.EOF {
		return w.end()
	} else if err != nil {
		return err
	}
	w.listed = false
	magic := binary.LittleEndian.Uint32(w.magic[:])
	switch {
	case magic == frameMagic:
		if err := w.frame.begin(); err != nil {
			return err
		}
		w.open, w.raw = true, 0
		return w.z.Reset(&w.frame)
	case magic&^0xf == skippableMagic&^0xf:
		return w.skip(magic)
	default:
		return corruptf("no frame at byte %d", w.begin)
	}
}

// close adds the frame that ended to those that the seek table must list.
func (w *whole) close() error {
	if !w.frame.ended() { // a decoder that sees ends elsewhere would see other frames
		return corruptf("frame at byte %d is not read to its end", w.begin)
	}
	packed := w.in.n - w.begin
	w.unlisted = w.unlisted || packed > math.MaxUint32 || w.raw > math.MaxUint32
	w.open = false
	w.frames++
	w.entries.Write(seekEntry{packed: uint32(packed), raw: uint32(w.raw)}.append(w.entry[:0]))
	return nil
}

// skip passes a skippable frame, and finds out whether it is the table of all
// frames before it. No table lists a skippable one.
func (w *whole) skip(magic uint32) error {
	size := w.magic[:]
	if _, err := io.ReadFull(&w.in, size); err != nil {
		return noEOF(err)
	}
	n := int64(binary.LittleEndian.Uint32(size))
	may := magic == skippableMagic && !w.unlisted && n == int64(w.frames)*seekEntrySize+seekFooterSize
	w.unlisted = true
	if !may {
		_, err := io.CopyN(io.Discard, &w.in, n)
		return noEOF(err)
	}
	got := sha256.New()
	if _, err := io.CopyN(got, &w.in, n); err != nil {
		return noEOF(err)
	}
	w.entries.Write(appendSeekFooter(nil, w.frames))
	w.listed = Digest(got.Sum(nil)) == Digest(w.entries.Sum(nil))
	return nil
}

// end is the verdict where nothing more comes.
func (w *whole) end() error {
	if !w.listed && binary.LittleEndian.Uint32(w.in.last[:]) == seekMagic {
		return corruptf("seek table that does not list the frames before it")
	}
	return io.EOF
}

// ending counts what is read, and keeps the end of it.
type ending struct {
	r    io.Reader
	n    int64
	last [4]byte
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.n += int64(n)
	kept := copy(e.last[:], e.last[min(n, len(e.last)):])
	copy(e.last[kept:], p[max(0, n-len(e.last)):n])
	return n, err
}
