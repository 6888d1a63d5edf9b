package bundle

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// skewed is n bytes without repetitions, of which few are frequent: coding by
// frequency halves them and nothing else does.
func skewed(n int) []byte {
	b, r := make([]byte, n), rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32() & 15)
	}
	return b
}

func TestWhatDoesNotShrinkIsStored(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	for name, tc := range map[string]struct {
		level   *int
		content []byte
		stored  bool
		largest int // of the bundle
	}{
		"random":             {nil, randomBytes(3 << 20), true, 3<<20 + 10_000},
		"text":               {nil, text, false, 20_000},
		"skewed":             {nil, skewed(1 << 20), false, 600_000},
		"text, at level 0":   {new(0), text, true, 400_000},
		"random, at level 3": {new(3), randomBytes(3 << 20), true, 3<<20 + 10_000},
		"skewed, at level 1": {new(1), skewed(1 << 20), false, 600_000},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := NewCodec(&Options{Level: tc.level})
			require.NoError(t, err)
			files := tree{}
			m := Manifest{Versions: []Version{version(files, 0, "a")}}
			files["a"] = tc.content
			var b bytes.Buffer
			done, err := c.Encode(t.Context(), &b, m, files.open)
			require.NoError(t, err)
			assert.LessOrEqual(t, b.Len(), tc.largest)
			assert.Equal(t, tc.stored, done.Versions[0].Files[0].Place.Stored)
			_, u, err := decode(t, b.Bytes())
			require.NoError(t, err)
			assert.True(t, bytes.Equal(tc.content, u.files["a"]))
		})
	}
}

// A large member that shrinks in one half only is coded by frequency in that half only, and
// is found again by its place.
func TestSegmentsAreJudgedApart(t *testing.T) {
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "small", "a", "b")}}
	files["a"] = append(randomBytes(512<<10), skewed(512<<10)...)
	files["b"] = append(skewed(512<<10), randomBytes(512<<10+1)...)
	raw, done := encode(t, m, files)
	assert.Less(t, len(raw), 3<<19+100_000)
	for _, f := range done.Versions[0].Files[1:] {
		assert.False(t, f.Place.Stored, "half of it is not")
		var u unpacked
		part := raw[f.Place.Offset : f.Place.Offset+f.Place.Length]
		require.NoError(t, newCodec(t, Limits{}).Extract(t.Context(), bytes.NewReader(part), f.Place.Offset, []File{f}, u.put))
		assert.True(t, bytes.Equal(files[f.Path], u.files[f.Path]))
	}
}

func TestStoredFrames(t *testing.T) {
	for _, n := range []int{1, 2, maxBlock - 1, maxBlock, maxBlock + 1, 3 * maxBlock, 1<<20 + 5} {
		raw := randomBytes(n)
		packed := appendStored([]byte("before"), raw)[len("before"):]
		assert.True(t, isStored(packed, n))
		assert.LessOrEqual(t, len(packed), n+n/maxBlock*blockHeader+20)
		assert.True(t, bytes.Contains(packed, raw[:min(n, maxBlock)]))
		got, err := io.ReadAll(zstdReader(t, packed))
		require.NoError(t, err, n)
		assert.True(t, bytes.Equal(raw, got), n)

		packed[len(packed)-1] ^= 1
		_, err = io.ReadAll(zstdReader(t, packed))
		require.ErrorIs(t, err, zstd.ErrCRCMismatch, n)
	}
}

// Frames of the compressor that happen to have only raw blocks count as stored,
// and no others.
func TestIsStored(t *testing.T) {
	c, err := newCompressor(new(3))
	require.NoError(t, err)
	random, text := randomBytes(300<<10), bytes.Repeat([]byte("text "), 60<<10)
	for name, tc := range map[string]struct {
		raw  []byte
		want bool
	}{
		"random": {random, true}, "text": {text, false}, "one byte repeated": {make([]byte, 300<<10), false},
		"random, then text": {append(bytes.Clone(random), text...), false}, "text, then random": {append(bytes.Clone(text), random...), false},
	} {
		assert.Equal(t, tc.want, isStored(c.plain.EncodeAll(tc.raw, nil), len(tc.raw)), name)
	}
}

// place agrees with looking at the frames one by one.
func TestPlaces(t *testing.T) {
	var table seekTable
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		table = table.append(seekEntry{packed: 1 + r.Uint32N(9), raw: 1 + r.Uint32N(9), stored: r.Uint32N(2) == 0})
	}
	last := table[len(table)-1]
	total := last.begin + int64(last.raw)
	for off := range total {
		for n := int64(1); off+n <= total; n++ {
			require.Equal(t, placeByLooking(table, off, n), table.place(off, n), fmt.Sprintf("%d+%d", off, n))
		}
	}
}

func placeByLooking(table seekTable, off, n int64) Place {
	p := Place{Stored: true}
	var packed, raw int64
	for _, e := range table {
		begin, end := raw, raw+int64(e.raw)
		if end > off && begin < off+n {
			if p.Length == 0 {
				p.Offset, p.Skip = packed, off-begin
			}
			p.Length += int64(e.packed)
			p.Stored = p.Stored && e.stored
		}
		packed, raw = packed+int64(e.packed), end
	}
	return p
}

func zstdReader(t *testing.T, b []byte) io.Reader {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	t.Cleanup(z.Close)
	return z
}
