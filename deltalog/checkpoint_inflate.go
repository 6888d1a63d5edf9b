package deltalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// inflater decompresses the pages of one file. Those of the parquet library are of no use
// to look at a page: they go on until the data ends, however much that is, and the one of
// LZ4 doubles its memory until data that is damaged makes sense.
type inflater struct {
	packed, plain []byte // what the last page was, and what it became
	zstd          *zstd.Decoder
}

// read returns the n bytes of r at off, which are valid until the next call.
func (i *inflater) read(r io.ReaderAt, off, n int64) ([]byte, error) {
	i.packed = slices.Grow(i.packed[:0], int(n))[:n]
	if m, err := r.ReadAt(i.packed, off); int64(m) < n {
		return nil, unexpected(err)
	}
	return i.packed, nil
}

// inflate returns what b was before the codec compressed it, valid until the next call. It
// allocates most bytes. It returns an error wrapping ErrCorrupt if it is more than that,
// and ErrUnsupported if the codec is not known.
func (i *inflater) inflate(codec format.CompressionCodec, b []byte, most int) ([]byte, error) {
	if codec == format.Uncompressed {
		return b, nil
	}
	i.plain = slices.Grow(i.plain[:0], most)[:most]
	plain, err := i.into(i.plain, codec, b)
	switch {
	case errors.Is(err, ErrUnsupported):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: a page that is not %d bytes of %v: %w", ErrCorrupt, most, codec, err)
	}
	return plain, nil
}

func (i *inflater) into(dst []byte, codec format.CompressionCodec, b []byte) ([]byte, error) {
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(b); err != nil || n > len(dst) {
			return nil, errors.Join(errLonger, err)
		}
		return snappy.Decode(dst, b)
	case format.Zstd:
		return i.unzstd(dst, b)
	case format.Lz4Raw:
		n, err := lz4.UncompressBlock(b, dst)
		return dst[:max(n, 0)], err
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return readInto(dst, r)
	case format.Brotli:
		return readInto(dst, brotli.NewReader(bytes.NewReader(b)))
	}
	return nil, fmt.Errorf("%w: compression codec %v", ErrUnsupported, codec)
}

func (i *inflater) unzstd(dst, b []byte) (_ []byte, err error) {
	if i.zstd == nil {
		i.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
	}
	return i.zstd.DecodeAll(b, slices.Clip(dst)[:0])
}

var errLonger = errors.New("it is longer")

// readInto reads all of r.
func readInto(dst []byte, r io.Reader) ([]byte, error) {
	n, err := io.ReadFull(r, dst)
	switch {
	case err == nil:
		if m, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF || m > 0 {
			return nil, errors.Join(errLonger, err)
		}
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, err
	}
	return dst[:n], nil
}

// lz4Header is the header that the parquet library (0.32) needs to read a page of LZ4. It
// decompresses into a buffer of the size that the header says, or into another if that has
// less than three times the bytes of the page: then it goes on with the first, in which is
// whatever was there before. With that much in the header it has one buffer.
func lz4Header(h *format.PageHeader) ([]byte, error) {
	roomy := *h
	roomy.UncompressedPageSize = max(h.UncompressedPageSize, 3*h.CompressedPageSize)
	return thrift.Marshal(new(thrift.CompactProtocol), &roomy)
}
