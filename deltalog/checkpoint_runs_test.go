package deltalog

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// page is one page as it is in a file.
type page struct {
	header format.PageHeader
	levels string // of a page of version 2
	data   string
}

func pageV1(n int32, encoding format.Encoding, data string) page {
	return page{data: data, header: format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: n, Encoding: encoding, RepetitionLevelEncoding: format.RLE, DefinitionLevelEncoding: format.RLE})}}
}

// pageV2 has no repetition levels, and one value that is not null.
func pageV2(n int32, encoding format.Encoding, levels, data string) page {
	return page{levels: levels, data: data, header: format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
		NumValues: n, NumNulls: n - 1, NumRows: n, Encoding: encoding, DefinitionLevelsByteLength: int32(len(levels))})}}
}

func dictionary(n int32, data string) page {
	return page{data: data, header: format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: n})}}
}

// withPages replaces a column of a checkpoint, of which there is one group of rows, by
// pages.
func withPages(t testing.TB, b []byte, column string, codec format.CompressionCodec, pages ...page) []byte {
	file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	footer := file.Metadata()
	at := slices.IndexFunc(footer.RowGroups[0].Columns, func(c format.ColumnChunk) bool {
		return strings.Join(c.MetaData.PathInSchema, ".") == column
	})
	require.GreaterOrEqual(t, at, 0)
	chunk := &footer.RowGroups[0].Columns[at].MetaData
	forged := bytes.Clone(b[:len(b)-8-int(binary.LittleEndian.Uint32(b[len(b)-8:]))])
	begin := len(forged)
	chunk.Codec, chunk.DictionaryPageOffset, chunk.DataPageOffset, chunk.TotalUncompressedSize = codec, 0, int64(begin), 1<<30
	for _, p := range pages {
		if chunk.DataPageOffset = int64(len(forged)); p.header.Type == format.DictionaryPage {
			chunk.DictionaryPageOffset = int64(len(forged))
		}
		data := p.levels + string(compress(t, codec, []byte(p.data)))
		p.header.CompressedPageSize = int32(len(data))
		if p.header.UncompressedPageSize == 0 {
			p.header.UncompressedPageSize = int32(len(p.levels) + len(p.data))
		}
		chunk.NumValues = int64(p.header.DataPageHeader.V.NumValues + p.header.DataPageHeaderV2.V.NumValues)
		header, err := thrift.Marshal(new(thrift.CompactProtocol), &p.header)
		require.NoError(t, err)
		forged = append(append(forged, header...), data...)
	}
	chunk.TotalCompressedSize = int64(len(forged) - begin)
	end, err := thrift.Marshal(new(thrift.CompactProtocol), footer)
	require.NoError(t, err)
	forged = append(forged, end...)
	return append(binary.LittleEndian.AppendUint32(forged, uint32(len(end))), "PAR1"...)
}

func prefixed(s string) string {
	return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// deltas begins with the length of a block, its parts, and how many numbers there are.
func deltas(n uint64, rest string) string {
	return string(binary.AppendUvarint([]byte{0x80, 0x01, 0x04}, n)) + rest
}

// The columns add.path, add.size and add.dataChange of the first seed: three rows, the last
// of which has a value, of definition level 2.
const (
	theLevels = "\x04\x00\x02\x02"             // two of 0, one of 2
	hugeRun   = "\xfe\xff\xff\xff\x0f\x02"     // 2,147,483,647 of 2
	hugeBits  = "\xff\xff\xff\xff\x01\x00\x00" // 8 times 268,435,455 packed
	someText  = "some text, of some length"
)

// TestForgedRuns: some bytes within a page that say that there is much.
func TestForgedRuns(t *testing.T) {
	const path, size, flag = "add.path", "add.size", "add.dataChange"
	plainText := prefixed(someText)
	one := deltas(1, "\x32") // the number 25
	many := deltas(math.MaxInt32, "\x00"+"\x00\x00\x00\x00\x00")
	zeros := string(binary.AppendUvarint([]byte{0x80, 0x80, 0x04, 0x01}, 1<<26)) + strings.Repeat("\x00", 1+2<<10)
	levels := prefixed(theLevels)
	for _, c := range []struct {
		name   string
		column string
		pages  []page
	}{
		{"definition levels", path, []page{pageV1(3, format.Plain, prefixed(hugeRun)+plainText)}},
		{"definition levels, version 2", path, []page{pageV2(3, format.Plain, hugeRun, plainText)}},
		{"repetition levels", "add.partitionValues.key_value.key", []page{pageV1(3, format.Plain, prefixed(hugeRun)+prefixed("\x06\x00"))}},
		{"dictionary", path, []page{dictionary(1, plainText), pageV1(3, format.RLEDictionary, levels+"\x01"+hugeRun)}},
		{"dictionary, version 2", path, []page{dictionary(1, plainText), pageV2(3, format.RLEDictionary, theLevels, "\x01"+hugeRun)}},
		{"dictionary, old", path, []page{dictionary(1, plainText), pageV1(3, plainDictionary, levels+"\x01"+hugeRun)}},
		{"dictionary, of no bits", path, []page{dictionary(1, plainText), pageV1(3, format.RLEDictionary, levels+"\x00"+hugeRun)}},
		{"dictionary, packed into no bits", path, []page{dictionary(1, plainText), pageV1(3, format.RLEDictionary, levels+"\x00"+hugeBits)}},
		{"flags", flag, []page{pageV1(3, format.RLE, levels+prefixed(hugeRun))}},
		{"runs of numbers", "protocol.minReaderVersion", []page{pageV1(3, format.RLE, levels+hugeRun)}},
		{"deltas", size, []page{pageV1(3, format.DeltaBinaryPacked, levels+many)}},
		{"deltas, version 2", size, []page{pageV2(3, format.DeltaBinaryPacked, theLevels, many)}},
		{"lengths", path, []page{pageV1(3, format.DeltaLengthByteArray, levels+many)}},
		{"prefixes", path, []page{pageV1(3, format.DeltaByteArray, levels+many+one+someText)}},
		{"suffixes", path, []page{pageV1(3, format.DeltaByteArray, levels+one+many+someText)}},
		{"long prefix", path, []page{pageV1(3, format.DeltaByteArray, levels+deltas(1, "\xfe\xff\xff\xff\x0f")+one+someText)}},
		{"long suffix", path, []page{pageV1(3, format.DeltaByteArray, levels+deltas(1, "\x00")+deltas(1, "\xfe\xff\xff\xff\x0f")+someText)}},
		{"prefixes of a page of less than nothing", path, []page{dictionary(1, plainText), pageV1(-1, format.DeltaByteArray, levels+zeros+one+someText), pageV1(3, format.Plain, levels+plainText)}},
		{"prefixes of one of version 2", path, []page{dictionary(1, plainText), pageV2(-1, format.DeltaByteArray, theLevels, zeros+one+someText), pageV1(3, format.Plain, levels+plainText)}},
		{"dictionary of deltas", path, []page{{data: many, header: format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(
			format.DictionaryPageHeader{NumValues: 1, Encoding: format.DeltaLengthByteArray})}}, pageV1(3, format.RLEDictionary, levels+"\x01\x02\x00")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, codec := range codecs {
				requireModest(t, withPages(t, checkpointSeeds(t)[0], c.column, codec, c.pages...))
			}
		})
	}
}

// TestForgedData: pages that come to much more than their header says.
func TestForgedData(t *testing.T) {
	for _, codec := range codecs[1:] {
		t.Run(codec.String(), func(t *testing.T) {
			p := pageV1(3, format.Plain, prefixed(theLevels)+string(make([]byte, 100<<20)))
			p.header.UncompressedPageSize = 1000
			requireModest(t, withPages(t, checkpointSeeds(t)[0], "add.path", codec, p))
		})
	}
}

// TestPagesOfAllEncodings: what writers write is read.
func TestPagesOfAllEncodings(t *testing.T) {
	const path, size, flag = "add.path", "add.size", "add.dataChange"
	levels, one := prefixed(theLevels), deltas(1, "\x32")
	for _, c := range []struct {
		name   string
		column string
		pages  []page
		want   string
	}{
		{"plain", path, []page{pageV1(3, format.Plain, levels+prefixed(someText))}, `"path":"` + someText + `"`},
		{"plain, version 2", path, []page{pageV2(3, format.Plain, theLevels, prefixed(someText))}, `"path":"` + someText + `"`},
		{"packed levels", path, []page{pageV1(3, format.Plain, prefixed("\x03\x20\x00")+prefixed(someText))}, `"path":"` + someText + `"`},
		{"many packed levels", path, []page{pageV1(3, format.Plain, prefixed("\x41\x20"+strings.Repeat("\x00", 63))+prefixed(someText))}, `"path":"` + someText + `"`},
		{"dictionary", path, []page{dictionary(1, prefixed(someText)), pageV1(3, format.RLEDictionary, levels+"\x01\x02\x00")}, `"path":"` + someText + `"`},
		{"dictionary of no bits", path, []page{dictionary(1, prefixed(someText)), pageV1(3, plainDictionary, levels+"\x00\x02")}, `"path":"` + someText + `"`},
		{"dictionary, version 2", path, []page{dictionary(1, prefixed(someText)), pageV2(3, format.RLEDictionary, theLevels, "\x01\x03\x00")}, `"path":"` + someText + `"`},
		{"flags", flag, []page{pageV2(3, format.RLE, theLevels, prefixed("\x02\x01"))}, `"dataChange":true`},
		{"deltas", size, []page{pageV2(3, format.DeltaBinaryPacked, theLevels, one)}, `"size":25`},
		{"lengths", path, []page{pageV2(3, format.DeltaLengthByteArray, theLevels, one+someText)}, `"path":"` + someText + `"`},
		{"prefixes", path, []page{pageV2(3, format.DeltaByteArray, theLevels, deltas(1, "\x00")+one+someText)}, `"path":"` + someText + `"`},
		{"split", size, []page{pageV2(3, format.ByteStreamSplit, theLevels, "\x19\x00\x00\x00\x00\x00\x00\x00")}, `"size":25`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, codec := range codecs {
				b := withPages(t, checkpointSeeds(t)[0], c.column, codec, c.pages...)
				var adds []string
				err := eachParquetAction(t.Context(), bytes.NewReader(b), int64(len(b)), readColumns(), func(kind string, value []byte) error {
					if kind == "add" {
						adds = append(adds, string(value))
					}
					return nil
				})
				require.NoError(t, err, codec)
				require.Len(t, adds, 1, codec)
				assert.Contains(t, adds[0], c.want, codec)
			}
		})
	}
}
