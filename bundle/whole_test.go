package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lies are objects, by what is wrong with them, of which the members are good and the
// seek table does not list the frames that are there.
func lies(t testing.TB) map[string][]byte {
	first, last := cutAtManifest(t, forge())
	other := forge()
	other.manifest["later"] = "another manifest"
	_, hidden := cutAtManifest(t, other)
	good := slices.Concat(first, last)
	table := func(edit func(t seekTable) seekTable) []byte {
		return append(bytes.Clone(good), edit(tableOf(t, first, last)).frame()...)
	}
	footer := func(edit func(b []byte)) []byte {
		b := seekable(t, first, last)
		edit(b[len(b)-seekFooterSize:])
		return b
	}
	hide := func(head, hidden []byte) []byte { // in a skippable frame, of whose header the table makes an earlier frame a part
		frame := skippable(string(hidden))
		e := tableOf(t, good)[0]
		e.packed += uint32(len(frame) - len(hidden))
		return slices.Concat(head, good, frame, seekTable{e, tableOf(t, hidden)[0]}.frame())
	}
	inner := append(bytes.Clone(hidden), seekTable{seekEntry{packed: uint32(len(good) + 8)}, tableOf(t, hidden)[0]}.frame()...)
	twice := seekable(t, first, last)
	empty := packedWith(t, nil, zstd.WithZeroFrames(true))
	return map[string][]byte{
		"a hidden manifest":                hide(nil, hidden),
		"a table in another frame":         append(bytes.Clone(good), skippable(string(inner))...),
		"packed sizes":                     table(func(t seekTable) seekTable { t[0].packed++; t[1].packed--; return t }),
		"unpacked sizes":                   table(func(t seekTable) seekTable { t[0].raw++; t[1].raw--; return t }),
		"the last one's unpacked size":     table(func(t seekTable) seekTable { t[1].raw++; return t }),
		"the order":                        table(func(t seekTable) seekTable { t[0], t[1] = t[1], t[0]; return t }),
		"one frame less":                   table(func(t seekTable) seekTable { return t[1:] }),
		"the last is missing":              table(func(t seekTable) seekTable { return t[:1] }),
		"one frame more":                   table(func(t seekTable) seekTable { return append(t, seekEntry{}) }),
		"two frames as one":                table(func(seekTable) seekTable { return tableOf(t, good) }),
		"none":                             table(func(seekTable) seekTable { return nil }),
		"another number":                   footer(func(b []byte) { b[0]++ }),
		"a huge number":                    footer(func(b []byte) { binary.LittleEndian.PutUint32(b, 1<<32-1) }),
		"checksums":                        footer(func(b []byte) { b[4] = 0x80 }),
		"reserved bits":                    footer(func(b []byte) { b[4] = 1 }),
		"a skippable frame before":         append(skippable("x"), seekable(t, first, last)...),
		"a skippable frame that is listed": seekable(t, skippable("x"), first, last),
		"a skippable frame between":        slices.Concat(first, skippable(""), last, tableOf(t, first, last).frame()),
		"an empty frame that is not":       slices.Concat(first, empty, last, tableOf(t, first, last).frame()),
		"a second table":                   append(twice, tableOf(t, first, last).frame()...),
		"only the magic":                   append(bytes.Clone(good), skippable("\xb1\xea\x92\x8f")...),
		"another skippable frame":          append(good, append([]byte{0x5b}, tableOf(t, first, last).frame()[1:]...)...),
	}
}

// Who reads all of an object finds what the seek table lies about, so that nobody sees
// another manifest by way of it.
func TestSeekTableIsHeldAgainstTheFrames(t *testing.T) {
	fooled := 0
	for what, raw := range lies(t) {
		_, _, err := decode(t, raw)
		assert.ErrorIs(t, err, ErrCorrupt, what)
		assert.NotErrorIs(t, err, ErrTooLarge, what)
		if peek(t, raw) == nil {
			fooled++
		}
	}
	assert.Positive(t, fooled, "the end alone never deceives: is a hidden manifest still hidden?")
}

// What holds for bundles holds for bases and parts.
func TestSeekTableOfOtherObjects(t *testing.T) {
	for name, v := range readVectors(t) {
		if v.expect != "ok" || !slices.Equal(v.raw[len(v.raw)-4:], []byte{0xb1, 0xea, 0x92, 0x8f}) {
			continue
		}
		v.raw[len(v.raw)-seekFooterSize-1] ^= 1 // of the last frame's size
		_, err := v.decode(t)
		assert.ErrorIs(t, err, ErrCorrupt, name)
	}
}

// Other skippable frames are nobody's business, and so is a table that is not at the
// end.
func TestWhatIsNoSeekTable(t *testing.T) {
	first, last := cutAtManifest(t, forge())
	table := tableOf(t, first, last).frame()
	empty := packedWith(t, nil, zstd.WithZeroFrames(true))
	long := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	for what, raw := range map[string][]byte{
		"right":                 seekable(t, first, last),
		"empty frames":          seekable(t, empty, first, empty, last),
		"none":                  slices.Concat(first, last),
		"one that is not last":  slices.Concat(first, table, last),
		"one with another end":  slices.Concat(first, last, table, skippable("x")),
		"an empty one":          slices.Concat(first, last, long, make([]byte, 4)),
		"another use of it":     slices.Concat(first, last, append(long, 3, 0, 0, 0, 'a', 'b', 'c')),
		"without content sizes": seekable(t, unsized(t, first), unsized(t, last)),
	} {
		_, _, err := decode(t, raw)
		assert.NoError(t, err, what)
	}
}

// unsized packs a frame's content again, as a stream: its header does not say how long
// it is.
func unsized(t testing.TB, frame []byte) []byte {
	content := unpack(t, frame)
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<17))
	require.NoError(t, err)
	for part := range slices.Chunk(content, 100) {
		_, err = z.Write(part)
		require.NoError(t, err)
		require.NoError(t, z.Flush())
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

// However the bytes arrive, frames of all shapes are told apart as zstd does.
func TestFramesAreToldApart(t *testing.T) {
	_, _, files := mixed(t)
	shapes := map[string]func(b []byte) []byte{
		"stored":  func(b []byte) []byte { return appendStored(nil, b) },
		"unsized": func(b []byte) []byte { return unsized(t, packed(t, b)) },
	}
	for name, opts := range map[string][]zstd.EOption{
		"fast":            {zstd.WithEncoderLevel(zstd.SpeedFastest)},
		"best":            {zstd.WithEncoderLevel(zstd.SpeedBestCompression)},
		"single segment":  {zstd.WithSingleSegment(true)},
		"no checksum":     {zstd.WithEncoderCRC(false)},
		"neither of them": {zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true)},
	} {
		z, err := zstd.NewWriter(nil, append(opts, zstd.WithZeroFrames(true))...)
		require.NoError(t, err)
		shapes[name] = func(b []byte) []byte { return z.EncodeAll(b, nil) }
	}
	contents := [][]byte{nil, {7}, make([]byte, 300), make([]byte, 1<<20), files["many/007"], files["large-1"][:200<<10], files["large-2"][:200<<10]}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		t.Run(name, func(t *testing.T) {
			var frames [][]byte
			for _, content := range contents {
				frames = append(frames, shapes[name](content))
			}
			raw := seekable(t, frames...)
			for _, r := range []io.Reader{onlyReader{bytes.NewReader(raw)}, iotest.OneByteReader(bytes.NewReader(raw)), iotest.DataErrReader(bytes.NewReader(raw))} {
				w := readerOf(t, r)
				got, err := io.ReadAll(w)
				require.NoError(t, err)
				assert.Equal(t, slices.Concat(contents...), got)
				assert.True(t, w.listed)
			}
		})
	}
}

func readerOf(t testing.TB, r io.Reader) *whole {
	t.Helper()
	z, err := newCodec(t, Limits{}).decoder(nil)
	require.NoError(t, err)
	t.Cleanup(z.Close)
	return newWhole(r, z)
}

// Neither many frames nor a table that claims many cost memory.
func TestMemoryOfManyFrames(t *testing.T) {
	const frames, size = 200_000, 13
	one := packedWith(t, nil, zstd.WithZeroFrames(true))
	require.Len(t, one, size)
	claim := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	claim = append(claim, 0xff, 0xff, 0xff, 0xff)
	var err error
	grown := heapGrowth(func() {
		many := &repeated{one: one, n: frames * size}
		_, err = newCodec(t, Limits{}).Decode(t.Context(), io.MultiReader(many, bytes.NewReader(claim), io.LimitReader(zeros{}, 64<<20)), nil)
	})
	require.ErrorIs(t, err, ErrCorrupt)
	assert.Less(t, grown, int64(8<<20))
}

// repeated yields n bytes of one, over and over.
type repeated struct {
	one []byte
	n   int
	at  int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.at == r.n {
		return 0, io.EOF
	}
	begin := r.at % len(r.one)
	n := copy(p, r.one[begin:])
	r.at += n
	return n, nil
}

// A connection that breaks anywhere, in the table too, is not taken for damage.
func TestBrokenConnectionIsNoDamage(t *testing.T) {
	raw, _ := small(t)
	mine := errors.New("mine")
	c := newCodec(t, Limits{})
	for n := range raw {
		r := io.MultiReader(bytes.NewReader(raw[:n]), iotest.ErrReader(mine))
		_, err := c.Decode(t.Context(), r, func(context.Context, Member, io.Reader) error { return nil })
		require.ErrorIs(t, err, mine, "at %d", n)
		require.NotErrorIs(t, err, ErrCorrupt, "at %d", n)
	}
}

// A reader of nothing gets nothing.
func TestReadNoBytes(t *testing.T) {
	raw, _ := small(t)
	n, err := readerOf(t, bytes.NewReader(raw)).Read(nil)
	require.NoError(t, err)
	assert.Zero(t, n)
}

// A size that the table has no room for is not taken for what is left of it.
func TestFrameBeyondTheTable(t *testing.T) {
	for name, set := range map[string]func(w *whole){
		"packed":   func(w *whole) { w.in.n = 1<<32 + 5 },
		"unpacked": func(w *whole) { w.raw = 1<<32 + 5 },
	} {
		w := readerOf(t, nil)
		w.frame.last = true // and nothing behind it
		require.NoError(t, w.close())
		require.False(t, w.unlisted)
		set(w)
		require.NoError(t, w.close())
		assert.True(t, w.unlisted, name)
	}
}
