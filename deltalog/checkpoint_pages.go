package deltalog

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Limits on what one page of a checkpoint may claim. The parquet library allocates that
// before it has seen any of it. Engines end a page after 1 MiB or 20,000 rows; only a
// single value that is larger makes a larger page.
const (
	maxPage       = 4 * maxAction // bytes, uncompressed
	smallPage     = 8 << 20       // bytes, whatever they were compressed to: a million longs that are all the same
	maxRatio      = 1024          // of a larger page; what deflate can do at best
	maxPageValues = 16 << 20      // nulls take no room in a file, so these are bounded apart
	maxPageHeader = 2 * maxAction // bytes: some writers put the least and the largest value into it, as long as these are
)

// checkedPages is the file as the parquet library reads the pages of one column chunk from
// it, one after the other. No byte of a page is given out before its header and the lengths
// in its data were looked at.
type checkedPages struct {
	r        io.ReaderAt
	chunk    *format.ColumnMetaData
	inflater *inflater
	codec    format.CompressionCodec
	kind     parquet.Kind

	maxRepetition, maxDefinition int   // the levels of the column
	end                          int64 // of the chunk
	from, next                   int64 // where the current page begins, and the one behind it

	head  []byte // of the current page, if it is another than the file's (lz4Header)
	shift int64  // how much longer the headers are than the file's, up to the current page's
}

// pagesOf reads the pages of a chunk of a file of size bytes.
func pagesOf(r io.ReaderAt, size int64, c *parquet.FileColumnChunk, chunk *format.ColumnMetaData, with *inflater) (parquet.Pages, error) {
	begin := chunk.DataPageOffset
	if chunk.DictionaryPageOffset != 0 {
		begin = chunk.DictionaryPageOffset
	}
	if n := chunk.TotalCompressedSize; begin < 0 || n < 0 || begin > size || n > size-begin {
		return nil, fmt.Errorf("%w: a column of %d bytes at %d in a file of %d", ErrCorrupt, n, begin, size)
	}
	// The library goes by the codec that the first group of rows has for a column.
	column := c.Node().(*parquet.Column)
	pages := &checkedPages{
		r: r, chunk: chunk, end: begin + chunk.TotalCompressedSize, inflater: with,
		codec: column.Compression().CompressionCodec(), kind: column.Type().Kind(),
		maxRepetition: column.MaxRepetitionLevel(), maxDefinition: column.MaxDefinitionLevel(),
	}
	if pages.codec == format.Lz4Raw {
		// The library looks for pages as far as this says: there may be longer headers.
		chunk.TotalCompressedSize += chunk.TotalCompressedSize + 1<<10
	}
	return c.PagesFrom(pages), nil
}

// ReadAt is io.ReaderAt, except that it ends with the page, so that the next call begins
// with the header of another.
func (c *checkedPages) ReadAt(p []byte, off int64) (int, error) {
	if off < c.from || off >= c.next {
		if err := c.check(off); err != nil {
			return 0, err
		}
	}
	p = p[:min(int64(len(p)), c.next-off)]
	if at := off - c.from; at < int64(len(c.head)) {
		return copy(p, c.head[at:]), nil
	}
	return c.r.ReadAt(p, off-c.shift)
}

// check looks at the page that begins at off.
func (c *checkedPages) check(off int64) error {
	if off < c.from {
		c.shift = 0 // once more from the beginning, as for a dictionary
	}
	at := off - c.shift
	if at == c.end && c.codec == format.Lz4Raw {
		return io.EOF // the library thinks that the column is longer
	}
	h, n, err := c.header(at)
	if err != nil {
		return err
	}
	size, data := int64(h.CompressedPageSize), at+n
	if size < 0 || size > c.end-data {
		return fmt.Errorf("%w: a page of %d bytes where the column has %d left", ErrCorrupt, size, c.end-data)
	}
	if err := c.checkSize(int64(h.UncompressedPageSize), size); err != nil {
		return err
	}
	if err := c.checkValues(h); err != nil {
		return err
	}
	if err := c.checkData(h, data, size); err != nil {
		return err
	}
	c.head = nil
	if c.codec == format.Lz4Raw {
		if c.head, err = lz4Header(h); err != nil {
			return err
		}
		c.shift += int64(len(c.head)) - n
	}
	c.from, c.next = off, data+size+c.shift
	return nil
}

// header reads a page header, most of which are of some 20 bytes, and says how long it is.
func (c *checkedPages) header(off int64) (*format.PageHeader, int64, error) {
	for n, most := int64(1<<9), min(c.end-off, maxPageHeader); ; n *= 8 {
		b := make([]byte, min(n, most))
		if _, err := c.r.ReadAt(b, off); err != nil && err != io.EOF {
			return nil, 0, err
		}
		h, r := new(format.PageHeader), new(thrift.CompactProtocol).NewReaderFromBytes(b)
		err := thrift.NewDecoder(r).Decode(h)
		if err == nil {
			return h, int64(r.BytesRead()), nil
		}
		if isCut := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); !isCut || n >= most {
			return nil, 0, fmt.Errorf("%w: page header: %w", ErrCorrupt, err)
		}
	}
}

// checkSize looks at how long a page of size bytes says that it is uncompressed.
func (c *checkedPages) checkSize(whole, size int64) error {
	switch {
	case whole < 0 || whole > c.chunk.TotalUncompressedSize:
		return fmt.Errorf("%w: a page of %d bytes in a column of %d", ErrCorrupt, whole, c.chunk.TotalUncompressedSize)
	case whole > mostOf(int(size)):
		return fmt.Errorf("%w: %w: a page of %d bytes, compressed to %d", ErrCorrupt, ErrTooLarge, whole, size)
	}
	return nil
}

// mostOf is how many bytes a page of size bytes may come to.
func mostOf(size int) int64 { return min(maxPage, max(smallPage, maxRatio*int64(size))) }

func (c *checkedPages) checkValues(h *format.PageHeader) error {
	v1, v2 := h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues
	n := max(v1, v2)
	if min(v1, v2) < 0 || int64(n) > c.chunk.NumValues {
		return fmt.Errorf("%w: a page of %d values in a column of %d", ErrCorrupt, v1+v2, c.chunk.NumValues)
	}
	if n > maxPageValues {
		return fmt.Errorf("%w: %w: a page of %d values, more than %d", ErrCorrupt, ErrTooLarge, n, maxPageValues)
	}
	return nil
}
