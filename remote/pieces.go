package remote

import (
	"io"
)

// pieceSize is how much of an object lies together in memory, in bytes.
const pieceSize = 256 << 10

// pieces is an object in memory that grows without being copied: a bytes.Buffer
// that grows takes three times what it holds.
type pieces struct {
	list [][]byte // all of pieceSize but the last
	n    int64
}

// Write never fails.
func (p *pieces) Write(b []byte) (int, error) {
	all := len(b)
	for len(b) > 0 {
		room := pieceSize - int(p.n%pieceSize)
		switch {
		case p.n == 0:
			p.list = make([][]byte, 1) // most objects are small: the first piece grows as needed
		case room == pieceSize:
			p.list = append(p.list, make([]byte, 0, pieceSize))
		}
		last := &p.list[len(p.list)-1]
		part := b[:min(room, len(b))]
		*last = append(*last, part...)
		p.n += int64(len(part))
		b = b[len(part):]
	}
	return all, nil
}

// reader reads what was written so far.
func (p *pieces) reader() *io.SectionReader { return io.NewSectionReader(p, 0, p.n) }

// ReadAt implements io.ReaderAt.
func (p *pieces) ReadAt(b []byte, offset int64) (n int, err error) {
	for n < len(b) && offset < p.n {
		copied := copy(b[n:], p.list[offset/pieceSize][offset%pieceSize:])
		n += copied
		offset += int64(copied)
	}
	if n < len(b) {
		err = io.EOF
	}
	return n, err
}
