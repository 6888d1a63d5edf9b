package deltalog

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireModest asserts that a small checkpoint is refused, and that its lengths were not
// allocated.
func requireModest(t *testing.T, b []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := readCheckpoint(t, b)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, ErrCorrupt)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
}

// A page header in a small checkpoint that is wrong by one number.
func TestCheckpointWithAHugePage(t *testing.T) {
	for name, lie := range map[string]func(*format.PageHeader){
		"uncompressed size": func(h *format.PageHeader) { h.UncompressedPageSize = math.MaxInt32 },
		"compressed size":   func(h *format.PageHeader) { h.CompressedPageSize = math.MaxInt32 },
		"values":            func(h *format.PageHeader) { h.DataPageHeader.V.NumValues = math.MaxInt32 },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(checkpointSeeds(t)[0])
			file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			chunks := file.Metadata().RowGroups[0].Columns
			at := slices.IndexFunc(chunks, func(c format.ColumnChunk) bool {
				return strings.Join(c.MetaData.PathInSchema, ".") == "add.path"
			})
			chunk := chunks[at].MetaData
			page := b[chunk.DataPageOffset:][:chunk.TotalCompressedSize]
			h, r := format.PageHeader{}, new(thrift.CompactProtocol).NewReaderFromBytes(bytes.Clone(page))
			require.NoError(t, thrift.NewDecoder(r).Decode(&h))
			lie(&h)
			h.CRC = 0 // makes room for the larger number
			forged, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
			require.NoError(t, err)
			require.LessOrEqual(t, len(forged), r.BytesRead())
			copy(page, append(forged, page[r.BytesRead():]...))
			requireModest(t, b)
		})
	}
}

// A footer whose schema has two thousand million elements.
func TestCheckpointWithAHugeFooter(t *testing.T) {
	footer := "\x15\x02" + "\x19\xfc\xff\xff\xff\xff\x07"
	requireModest(t, []byte("PAR1"+footer+"\x09\x00\x00\x00PAR1"))
}

func TestPageHeaders(t *testing.T) {
	dataPage := func(values int32) format.PageHeader {
		return format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{NumValues: values})}
	}
	dictionary := func(values int32) format.PageHeader {
		return format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: values})}
	}
	levels := func(n int32) format.PageHeader {
		return format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{DefinitionLevelsByteLength: n})}
	}
	statistics := dataPage(1)
	statistics.DataPageHeader.V.Statistics.MaxValue = make([]byte, 3_000_000)
	plain := levels(0)
	plain.DataPageHeaderV2.V.IsCompressed = thrift.New(false)
	const total = 1 << 30 // of the column, uncompressed
	for _, c := range []struct {
		name         string
		codec        format.CompressionCodec
		header       format.PageHeader
		uncompressed int32
		data         string
		want         error
	}{
		{"plain", format.Uncompressed, dataPage(1000), 5, "abcde", nil},
		{"nothing", format.Snappy, dataPage(0), 0, "\x00", nil},
		{"large statistics", format.Uncompressed, statistics, 5, "abcde", nil},
		{"small, of anything", format.Uncompressed, dataPage(1), smallPage, "x", nil},
		{"small, of nothing", format.Uncompressed, dataPage(1), smallPage + 1, "x", ErrTooLarge},
		{"large", format.Uncompressed, dataPage(1), 16 << 20, strings.Repeat("x", 16<<10), nil},
		{"large, of little", format.Uncompressed, dataPage(1), 16<<20 + 1, strings.Repeat("x", 16<<10), ErrTooLarge},
		{"largest", format.Uncompressed, dataPage(1), maxPage + 1, strings.Repeat("x", 1<<20), ErrTooLarge},
		{"larger than the column", format.Uncompressed, dataPage(1), total + 1, "x", ErrCorrupt},
		{"negative", format.Uncompressed, dataPage(1), -1, "x", ErrCorrupt},
		{"more values than the column", format.Uncompressed, dataPage(maxPageValues + 3), 1, "x", ErrCorrupt},
		{"too many values", format.Uncompressed, dataPage(maxPageValues + 1), 1, "x", ErrTooLarge},
		{"dictionary", format.Uncompressed, dictionary(5), 5, "abcde", nil},
		{"dictionary of too many", format.Uncompressed, dictionary(6), 5, "abcde", ErrCorrupt},
		{"levels", format.Snappy, levels(3), 5, "lll\x02\x04xx", nil},
		{"more levels than bytes", format.Snappy, levels(5), 5, "abcd", ErrCorrupt},
		{"an index", format.Uncompressed, format.PageHeader{Type: format.IndexPage}, 1, "x", ErrCorrupt},
		{"negative levels", format.Snappy, levels(-1), 5, "abcd", ErrCorrupt},
		{"not compressed", format.Snappy, plain, 5, "\xff\xff\xff\xff\x0f", nil},
		{"of no codec", format.LZO, dataPage(1), 5, "abcde", ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.header
			h.UncompressedPageSize, h.CompressedPageSize = c.uncompressed, int32(len(c.data))
			b, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
			require.NoError(t, err)
			b = append(b, c.data...)
			p := &checkedPages{r: bytes.NewReader(b), codec: c.codec, end: int64(len(b)), inflater: new(inflater),
				chunk: &format.ColumnMetaData{NumValues: maxPageValues + 2, TotalUncompressedSize: total}}
			got, err := io.ReadAll(io.NewSectionReader(p, 0, p.end))
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				assert.Equal(t, b, got)
				return
			}
			require.True(t, errors.Is(err, ErrCorrupt) != errors.Is(err, ErrUnsupported), "%v", err)
			require.Empty(t, got)
			_, err = p.ReadAt(make([]byte, 1), 0)
			require.ErrorIs(t, err, c.want, "once more")
		})
	}
}

// A page must end within its column, and a read ends with the page.
func TestPagesOneAfterTheOther(t *testing.T) {
	h := format.PageHeader{Type: format.DataPage, UncompressedPageSize: 3, CompressedPageSize: 3, DataPageHeader: thrift.New(format.DataPageHeader{NumValues: 1})}
	page, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
	require.NoError(t, err)
	page = append(page, "abc"...)
	two := slices.Concat(page, page)
	p := &checkedPages{r: bytes.NewReader(two), end: int64(len(two)), inflater: new(inflater), chunk: &format.ColumnMetaData{NumValues: 2, TotalUncompressedSize: 100}}
	b := make([]byte, 100)
	n, err := p.ReadAt(b, 0)
	require.NoError(t, err)
	require.Equal(t, page, b[:n])
	n, err = p.ReadAt(b, int64(n))
	require.NoError(t, err)
	require.Equal(t, page, b[:n])
	n, err = p.ReadAt(b[:2], 0) // from the beginning again, as for a dictionary
	require.NoError(t, err)
	require.Equal(t, page[:2], b[:n])
	for cut := range len(page) {
		p := &checkedPages{r: bytes.NewReader(two), end: int64(cut), inflater: p.inflater, chunk: p.chunk}
		_, err := p.ReadAt(b, 0)
		require.ErrorIs(t, err, ErrCorrupt, cut)
	}
}
