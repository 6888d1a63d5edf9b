package deltalog

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var codecs = []format.CompressionCodec{format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd, format.Lz4Raw}

func compress(t testing.TB, codec format.CompressionCodec, b []byte) []byte {
	packed, err := parquet.LookupCompressionCodec(codec).Encode(nil, b)
	require.NoError(t, err)
	return packed
}

// allocated says how many bytes f allocates, if the garbage collector took none.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A page of nothing but zeros is the most that a codec can make of few bytes.
func TestInflate(t *testing.T) {
	const n = 100 << 20
	for _, codec := range codecs[1:] {
		t.Run(codec.String(), func(t *testing.T) {
			var i inflater
			for _, text := range []string{"", "abc", string(bytes.Repeat([]byte("some text"), 10_000))} {
				got, err := i.inflate(codec, compress(t, codec, []byte(text)), len(text))
				require.NoError(t, err)
				assert.Equal(t, text, string(got))
				got, err = i.inflate(codec, compress(t, codec, []byte(text)), len(text)+100)
				require.NoError(t, err, "shorter than the header says")
				assert.Equal(t, text, string(got))
				_, err = i.inflate(codec, compress(t, codec, []byte(text)), max(len(text)-1, 0))
				require.Equal(t, len(text) > 0, err != nil, "longer than the header says")
			}
			zeros := compress(t, codec, make([]byte, n))
			assert.Less(t, allocated(func() {
				_, err := i.inflate(codec, zeros, 1000)
				require.ErrorIs(t, err, ErrCorrupt)
				_, err = i.inflate(codec, bytes.Repeat([]byte{0xff}, 100), 1000)
				require.ErrorIs(t, err, ErrCorrupt)
			}), uint64(32<<20))
		})
	}
	var i inflater
	zstd := compress(t, format.Zstd, make([]byte, n))
	_, err := i.inflate(format.Zstd, append(compress(t, format.Zstd, []byte("a")), zstd...), n)
	require.ErrorIs(t, err, ErrCorrupt, "a second frame")
	_, err = i.inflate(format.LZO, []byte("a"), 1)
	require.ErrorIs(t, err, ErrUnsupported)
	require.NotErrorIs(t, err, ErrCorrupt)
}
