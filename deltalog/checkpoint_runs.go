package deltalog

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// maxPadding is how many more values than a page has its runs may say. Those of packed bits
// come in groups of 8, and some writers fill a block of 256 (DuckDB).
const maxPadding = 1 << 10

// plainDictionary is the encoding that old writers give to dictionaries and what refers to them.
const plainDictionary = format.Encoding(2)

// checkLevels looks at the levels of n values, which are up to most; 0 is that there are none.
func checkLevels(encoding format.Encoding, b []byte, most, n int) error {
	if most == 0 || encoding != format.RLE {
		return nil // no other encoding has lengths
	}
	return checkRuns(b, bits.Len8(uint8(most)), n)
}

// checkEncoded looks at the n values or fewer of a page: at every length in them that the
// parquet library would allocate before it compares it with anything. What they come to
// may be most bytes.
//
// It returns an error wrapping ErrCorrupt, ErrTooLarge as well if it is more than most.
func checkEncoded(encoding format.Encoding, kind parquet.Kind, b []byte, n int, most int64) error {
	switch encoding {
	case plainDictionary, format.RLEDictionary:
		if len(b) == 0 {
			return nil
		}
		return checkRuns(b[1:], int(b[0]), n)
	case format.RLE:
		if kind != parquet.Boolean {
			return fmt.Errorf("%w: %v that are encoded as %v", ErrCorrupt, kind, encoding)
		}
		runs, _, err := cutPrefixed(b)
		if err != nil {
			return err
		}
		return checkRuns(runs, 1, n)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		_, err := cutDeltas(b, n)
		return err
	case format.DeltaByteArray:
		return checkPrefixes(b, n, most)
	}
	return nil // the others come to what they are
}

// cutPrefixed splits b behind what it begins with: four bytes, in little endian, and as many
// bytes as they say.
func cutPrefixed(b []byte) (first, rest []byte, err error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, fmt.Errorf("%w: a page ends within levels or runs", ErrCorrupt)
	}
	end := 4 + int(binary.LittleEndian.Uint32(b))
	return b[4:end], b[end:], nil
}

// checkRuns goes through runs of values of width bits, and whether they are n at most
// (Apache Parquet, "Encodings", "Run Length Encoding / Bit-Packing Hybrid"). A last run may
// be cut, as old writers did.
func checkRuns(b []byte, width, n int) error {
	left := uint64(n + maxPadding)
	for len(b) > 0 {
		head, k := binary.Uvarint(b)
		if k <= 0 {
			return fmt.Errorf("%w: the length of a run", ErrCorrupt)
		}
		b = b[k:]
		count, size := head>>1, uint64(width+7)/8
		if isPacked := head&1 != 0; isPacked && count <= left {
			count, size = 8*count, uint64(width)*count
		}
		if count > left {
			return fmt.Errorf("%w: a run of %d values in a page of %d", ErrCorrupt, count, n)
		}
		if count == 0 {
			size = 0 // the library takes none here either
		}
		left -= count
		b = b[min(size, uint64(len(b))):]
	}
	return nil
}

// cutDeltas returns what is behind the numbers that b begins with, which must be n at most
// (Apache Parquet, "Encodings", "Delta Encoding").
func cutDeltas(b []byte, n int) ([]byte, error) {
	var head [4]uint64 // the length of a block, its parts, how many numbers, the first of them
	for i := range head {
		var k int
		if head[i], k = binary.Uvarint(b); k <= 0 {
			return nil, fmt.Errorf("%w: the header of deltas", ErrCorrupt)
		}
		b = b[k:]
	}
	if head[2] > uint64(n) || head[1] == 0 || head[1] > head[0] || head[0] > maxBlock {
		return nil, fmt.Errorf("%w: %d deltas, in blocks of %d in %d parts, in a page of %d values", ErrCorrupt, head[2], head[0], head[1], n)
	}
	part, left := int(head[0]/head[1]), int(head[2])-1
	for left > 0 && len(b) > 0 {
		_, k := binary.Uvarint(b) // the smallest of the block
		if k <= 0 {
			return nil, fmt.Errorf("%w: the header of a block of deltas", ErrCorrupt)
		}
		b = b[k:]
		widths := b[:min(head[1], uint64(len(b)))]
		b = b[len(widths):]
		for _, width := range widths {
			b = b[min(part*int(width)/8, len(b)):]
			if left -= part; left <= 0 {
				break
			}
		}
	}
	return b, nil
}

// maxBlock is how many numbers a block of deltas may have, for the parquet library as well.
const maxBlock = 1 << 16

// checkPrefixes looks at texts of which each is said as how much it shares with the one
// before, and the rest: few bytes may say much.
func checkPrefixes(b []byte, n int, most int64) error {
	behind, err := cutDeltas(b, n)
	if err != nil {
		return err
	}
	if _, err := cutDeltas(behind, n); err != nil {
		return err
	}
	whole := int64(0)
	for _, b := range [][]byte{b, behind} {
		lengths, err := parquet.DeltaBinaryPacked.DecodeInt32(nil, b)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		for _, n := range lengths {
			if n < 0 {
				return fmt.Errorf("%w: a text of %d bytes", ErrCorrupt, n)
			}
			whole += int64(n)
		}
	}
	if whole > most {
		return fmt.Errorf("%w: %w: a page of texts of %d bytes", ErrCorrupt, ErrTooLarge, whole)
	}
	return nil
}
