package bundle

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
)

// seekTable lists the frames of a bundle in order.
type seekTable []seekEntry

// seekEntry tells how many bytes a frame takes and how many are packed in it,
// and how many those before it take and hold.
type seekEntry struct {
	packed, raw uint32
	stored      bool  // nothing in it is compressed
	offset      int64 // in the bundle
	begin       int64 // in the archive
}

// append adds a frame behind the others.
func (t seekTable) append(e seekEntry) seekTable {
	if len(t) > 0 {
		last := t[len(t)-1]
		e.offset, e.begin = last.offset+int64(last.packed), last.begin+int64(last.raw)
	}
	return append(t, e)
}

// place returns where the bytes [off, off+n) of the archive lie; n > 0.
func (t seekTable) place(off, n int64) Place {
	first := sort.Search(len(t), func(i int) bool { return t[i].begin > off }) - 1
	p := Place{Offset: t[first].offset, Skip: off - t[first].begin, Stored: true}
	for _, e := range t[first:] {
		if e.begin >= off+n {
			break
		}
		p.Length += int64(e.packed)
		p.Stored = p.Stored && e.stored
	}
	return p
}

// Sizes and numbers of the seek table, the "Zstandard Seekable Format" of the
// zstd project: a skippable frame at the end of the file, which ends in a footer.
const (
	skippableMagic = 0x184D2A5E
	seekMagic      = 0x8F92EAB1
	seekHeaderSize = 8
	seekEntrySize  = 8
	seekFooterSize = 9
	// minSeekTable is a table of one frame.
	minSeekTable = seekHeaderSize + seekEntrySize + seekFooterSize
)

// frame returns the skippable frame that holds the table.
func (t seekTable) frame() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, seekHeaderSize+len(t)*seekEntrySize+seekFooterSize)
	b = le.AppendUint32(b, skippableMagic)
	b = le.AppendUint32(b, uint32(len(t)*seekEntrySize+seekFooterSize))
	for _, e := range t {
		b = e.append(b)
	}
	return appendSeekFooter(b, uint32(len(t)))
}

// append appends what the table says of a frame.
func (e seekEntry) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, e.packed)
	return binary.LittleEndian.AppendUint32(b, e.raw)
}

// appendSeekFooter appends the end of a table of so many frames.
func appendSeekFooter(b []byte, frames uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, frames)
	b = append(b, 0) // no checksums: each frame has its own
	return binary.LittleEndian.AppendUint32(b, seekMagic)
}

// seekEnd is what the last bytes of a seek table say of it.
type seekEnd struct {
	frames int64 // how many it lists; 0 if it is no table
	last   int64 // how many bytes the last one takes, packed
	raw    int64 // and how many are packed in it
}

// parseSeekEnd reads the end of a tail of at least minSeekTable bytes.
func parseSeekEnd(tail []byte) (e seekEnd) {
	le, footer := binary.LittleEndian, tail[len(tail)-seekFooterSize:]
	if le.Uint32(footer[5:]) != seekMagic || footer[4] != 0 { // or with checksums, which Z4 has not
		return e
	}
	entry := tail[len(tail)-seekFooterSize-seekEntrySize:]
	return seekEnd{frames: int64(le.Uint32(footer)), last: int64(le.Uint32(entry)), raw: int64(le.Uint32(entry[4:]))}
}

// size is how many bytes the table takes.
func (e seekEnd) size() int64 { return seekHeaderSize + e.frames*seekEntrySize + seekFooterSize }

// lastFrame reads the last frame of an object of size bytes, with which r begins,
// and the table behind it. The frames of the table must make up the object: else
// something is there that it does not list, such as the mark of a later format,
// or a frame that no reader of the whole object would see. It is no proof: a table
// may lie about the length of a frame that is not read, which only such a reader finds.
func (e seekEnd) lastFrame(r io.Reader, size int64) ([]byte, error) {
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, r, e.last); err != nil {
		return nil, err
	}
	le, table, entry := binary.LittleEndian, bufio.NewReader(r), make([]byte, seekEntrySize)
	if _, err := io.ReadFull(table, entry[:seekHeaderSize]); err != nil {
		return nil, err
	}
	if le.Uint32(entry) != skippableMagic || int64(le.Uint32(entry[4:])) != e.size()-seekHeaderSize {
		return nil, errors.New("seek table without its header")
	}
	sum := e.size()
	for range e.frames {
		if _, err := io.ReadFull(table, entry); err != nil {
			return nil, err
		}
		sum += int64(le.Uint32(entry))
	}
	if sum != size {
		return nil, fmt.Errorf("seek table that tells of %d bytes, not of %d", sum, size)
	}
	return frame.Bytes(), nil
}
