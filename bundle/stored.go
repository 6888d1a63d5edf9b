package bundle

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// Parts of a zstd frame, RFC 8878, section 3.1.1.
const (
	frameMagic = 0xFD2FB528
	// storedDescriptor is that of a frame that tells its size in 4 bytes and ends
	// in a checksum; storedWindow is its window, of one block.
	storedDescriptor = 0b10_0_0_0_1_00
	storedWindow     = 7 << 3
	maxBlock         = 128 << 10
	blockHeader      = 3
	lastBlock        = 1
	runBlock         = 1 // a type of blocks: one byte, many times
	checksumSize     = 4
)

// appendStored appends the frame that holds raw, at most 4 GiB, as it is: in raw
// blocks, which any zstd reads.
func appendStored(dst, raw []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, frameMagic)
	dst = append(dst, storedDescriptor, storedWindow)
	dst = le.AppendUint32(dst, uint32(len(raw)))
	for rest := raw; ; {
		n := min(len(rest), maxBlock)
		header := uint32(n) << 3 // type 0: raw
		if n == len(rest) {
			header |= lastBlock
		}
		dst = append(dst, byte(header), byte(header>>8), byte(header>>16))
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			return le.AppendUint32(dst, uint32(xxhash.Sum64(raw)))
		}
	}
}

// isStored reports whether a frame that this package made of n bytes has nothing
// but raw blocks, so that the bytes stand in it as they are.
func isStored(frame []byte, n int) bool {
	if len(frame) < n {
		return false
	}
	var h zstd.Header
	if h.Decode(frame) != nil {
		return false
	}
	for b := frame[h.HeaderSize:]; ; {
		header := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		if header>>1&3 != 0 { // not raw
			return false
		}
		if header&lastBlock != 0 {
			return true
		}
		b = b[blockHeader+header>>3:]
	}
}
