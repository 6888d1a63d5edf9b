package bundle

import (
	"encoding/binary"
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
)

// frame returns the skippable frame that holds the table.
func (t seekTable) frame() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, seekHeaderSize+len(t)*seekEntrySize+seekFooterSize)
	b = le.AppendUint32(b, skippableMagic)
	b = le.AppendUint32(b, uint32(len(t)*seekEntrySize+seekFooterSize))
	for _, e := range t {
		b = le.AppendUint32(b, e.packed)
		b = le.AppendUint32(b, e.raw)
	}
	b = le.AppendUint32(b, uint32(len(t)))
	b = append(b, 0) // no checksums: each frame has its own
	return le.AppendUint32(b, seekMagic)
}
