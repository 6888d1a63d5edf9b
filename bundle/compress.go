package bundle

import (
	"fmt"
	"math"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// compressor is how frames are compressed: each of its fields is for a kind of
// bytes, and nil where these are stored.
type compressor struct {
	// plain is for bytes that only a repetition could shrink. Over bytes without
	// one it runs as fast as they could be stored.
	plain *zstd.Encoder
	// skewed is for bytes of which some are more frequent than others: it codes
	// them by frequency even where nothing repeats, which pays there only.
	skewed *zstd.Encoder
}

// newCompressor makes the compressor of a level, 0 to 22; nil is the default, which
// is as fast as pays: the fastest mode, that looks at a sample of each segment.
func newCompressor(level *int) (compressor, error) {
	if level == nil {
		plain, err := newEncoder(zstd.SpeedFastest, false)
		if err != nil {
			return compressor{}, err
		}
		skewed, err := newEncoder(zstd.SpeedFastest, true)
		return compressor{plain, skewed}, err
	}
	if *level < 0 || *level > 22 {
		return compressor{}, fmt.Errorf("compression level %d, want 0 to 22", *level)
	}
	if *level == 0 {
		return compressor{}, nil
	}
	z, err := newEncoder(zstd.EncoderLevelFromZstd(*level), true)
	return compressor{z, z}, err
}

func newEncoder(level zstd.EncoderLevel, literals bool) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level),
		zstd.WithAllLitEntropyCompression(literals),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithWindowSize(frameSize),
		zstd.WithEncoderCRC(true))
}

// segment is how many bytes of a large member are judged by one sample: what
// zstd compresses as one block.
const segment = 128 << 10

// pack appends raw to dst, as one frame or, where segments of a large member
// differ, as several, and describes each.
func (p compressor) pack(dst, raw []byte, large bool) ([]byte, []seekEntry) {
	var entries []seekEntry
	for len(raw) > 0 {
		z, n := p.choose(raw, large)
		begin := len(dst)
		if z == nil {
			dst = appendStored(dst, raw[:n])
		} else {
			dst = z.EncodeAll(raw[:n], dst)
		}
		frame := dst[begin:]
		entries = append(entries, seekEntry{packed: uint32(len(frame)), raw: uint32(n), stored: isStored(frame, n)})
		raw = raw[n:]
	}
	return dst, entries
}

// choose returns the encoder for the first n bytes of raw: for all of them, or
// for as many segments of a large member as are alike.
func (p compressor) choose(raw []byte, large bool) (z *zstd.Encoder, n int) {
	if p.plain == p.skewed {
		return p.plain, len(raw)
	}
	n = len(raw)
	if large {
		n = min(n, segment)
	}
	skewed := isSkewed(raw[:n])
	for n < len(raw) && isSkewed(raw[n:min(len(raw), n+segment)]) == skewed {
		n = min(len(raw), n+segment)
	}
	if skewed {
		return p.skewed, n
	}
	return p.plain, n
}

const (
	sampleSize  = 64      // bytes that are looked at
	sampleEvery = 2 << 10 // of so many
	// maxSkewed is how many bits a byte may need on the average for coding by
	// frequency to be worth its time, of 8.
	maxSkewed = 7.5
)

// isSkewed estimates from a sample whether coding b by frequency would save a
// sixteenth of it.
func isSkewed(b []byte) bool {
	var counts [256]int
	n := 0
	for ; len(b) >= sampleSize; b = b[min(len(b), sampleEvery):] {
		for _, c := range b[:sampleSize] {
			counts[c]++
		}
		n += sampleSize
	}
	bits := 0.0 // of the whole sample
	for _, count := range counts {
		if count > 0 {
			bits += float64(count) * math.Log2(float64(n)/float64(count))
		}
	}
	return bits <= maxSkewed*float64(n)
}
