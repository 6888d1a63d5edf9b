package bundle

import (
	"encoding/binary"
	"io"
)

// oneFrame reads one zstd frame, in the sizes that it gives of itself, and ends with
// io.EOF where it does. It understands nothing of what is packed.
type oneFrame struct {
	in       io.Reader
	head     [maxFrameHeader]byte // buffer for what is read to learn a length
	ahead    []byte               // of head, what was not handed out yet
	left     int64                // what comes then and has a known length
	last     bool                 // the last block has begun
	checksum bool                 // one stands behind it
}

// maxFrameHeader is how long the header of a frame is at most, with its magic.
const maxFrameHeader = 18

// Bits of a frame's descriptor, RFC 8878, section 3.1.1.1.1.
const (
	singleSegment = 1 << 5
	hasChecksum   = 1 << 2
)

// begin goes to the frame whose magic was just read from in.
func (f *oneFrame) begin() error {
	binary.LittleEndian.PutUint32(f.head[:], frameMagic)
	const fixed = 5 // the magic and the descriptor
	if _, err := io.ReadFull(f.in, f.head[4:fixed]); err != nil {
		return noEOF(err)
	}
	descriptor := f.head[4]
	n := fixed + headerRest(descriptor)
	if _, err := io.ReadFull(f.in, f.head[fixed:n]); err != nil {
		return noEOF(err)
	}
	f.ahead, f.left, f.last, f.checksum = f.head[:n], 0, false, descriptor&hasChecksum != 0
	return nil
}

// headerRest is how many bytes a frame's header has after its descriptor: the
// window, the number of a dictionary, the size of the content.
func headerRest(descriptor byte) int {
	n := [...]int{0, 1, 2, 4}[descriptor&3] + [...]int{0, 2, 4, 8}[descriptor>>6]
	if descriptor&singleSegment == 0 || descriptor>>6 == 0 {
		n++ // the window; or in its place a size of one byte
	}
	return n
}

func (f *oneFrame) Read(p []byte) (int, error) {
	if len(f.ahead) == 0 && f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	if len(f.ahead) > 0 {
		n := copy(p, f.ahead)
		f.ahead = f.ahead[n:]
		return n, nil
	}
	n, err := f.in.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	if err == io.EOF && f.left == 0 {
		err = nil
	}
	return n, noEOF(err)
}

// next goes to the next block, or to the checksum.
func (f *oneFrame) next() error {
	switch {
	case f.ended():
		return io.EOF
	case !f.last:
		return f.block()
	default:
		f.checksum, f.left = false, checksumSize
		return nil
	}
}

// ended tells whether all of the frame was handed out.
func (f *oneFrame) ended() bool {
	return f.last && !f.checksum && len(f.ahead) == 0 && f.left == 0
}

// block reads the header of a block, which says how long it is.
func (f *oneFrame) block() error {
	f.ahead = f.head[:blockHeader]
	if _, err := io.ReadFull(f.in, f.ahead); err != nil {
		return noEOF(err)
	}
	header := uint32(f.ahead[0]) | uint32(f.ahead[1])<<8 | uint32(f.ahead[2])<<16
	f.last, f.left = header&lastBlock != 0, int64(header>>3)
	if header>>1&3 == runBlock {
		f.left = 1 // a byte and how often it is repeated
	}
	return nil
}
