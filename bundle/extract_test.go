package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mixed is a bundle with small, large and empty members, and its files.
func mixed(t testing.TB) ([]byte, Manifest, tree) {
	files := tree{}
	paths := []string{"empty", "small-1", "large-1", "small-2", "large-2", "tiny"}
	for i := range 300 {
		paths = append(paths, fmt.Sprintf("many/%03d", i))
	}
	m := Manifest{Versions: []Version{version(files, 0, paths...)}}
	files["empty"] = nil
	files["large-1"] = randomBytes(3<<20 + 17)
	files["large-2"] = bytes.Repeat([]byte("shrinks well "), 400_000)
	raw, done := encode(t, m, files)
	return raw, done, files
}

func placedFiles(m Manifest) []File {
	var all []File
	for e := range m.members() {
		if e.Size > 0 {
			all = append(all, e.File)
		}
	}
	return all
}

func TestExtractEachAlone(t *testing.T) {
	raw, m, files := mixed(t)
	c := newCodec(t, Limits{})
	for _, f := range placedFiles(m) {
		require.NotNil(t, f.Place, f.Path)
		var u unpacked
		part := raw[f.Place.Offset : f.Place.Offset+f.Place.Length]
		require.NoError(t, c.Extract(t.Context(), bytes.NewReader(part), f.Place.Offset, []File{f}, u.put), f.Path)
		require.Equal(t, tree{f.Path: files[f.Path]}, u.files)
	}
}

// A small file costs little more than its frame, a large one little more than
// itself.
func TestPlacesAreTight(t *testing.T) {
	_, m, _ := mixed(t)
	for _, f := range placedFiles(m) {
		if f.Size < ownFrame {
			assert.LessOrEqual(t, f.Place.Length, int64(2*sharedFrame+maxHeaders), f.Path)
		} else {
			assert.LessOrEqual(t, f.Place.Length, f.Size+f.Size/100+1024, f.Path)
		}
	}
}

func TestExtractManyFromOneStream(t *testing.T) {
	raw, m, files := mixed(t)
	all := placedFiles(m)
	slices.Reverse(all) // any order will do
	var u unpacked
	c := newCodec(t, Limits{})
	require.NoError(t, c.Extract(t.Context(), iotest.HalfReader(bytes.NewReader(raw)), 0, all, u.put))
	want := tree{}
	for _, f := range all {
		want[f.Path] = files[f.Path]
	}
	assert.Equal(t, want, u.files)

	t.Run("put reads nothing", func(t *testing.T) {
		require.NoError(t, c.Extract(t.Context(), bytes.NewReader(raw), 0, all, func(context.Context, Member, io.Reader) error { return nil }))
	})
}

func TestExtractRefuses(t *testing.T) {
	raw, m, _ := mixed(t)
	mine := errors.New("mine")
	files := placedFiles(m)
	i := slices.IndexFunc(files, func(f File) bool { return f.Path == "large-1" })
	for name, tc := range map[string]struct {
		spoil func(f *File)
		r     io.Reader
		want  error
	}{
		"no place":         {func(f *File) { f.Place = nil }, bytes.NewReader(raw), ErrNoPlace},
		"other digest":     {func(f *File) { f.SHA256[0] ^= 1 }, bytes.NewReader(raw), ErrNoPlace},
		"other skip":       {func(f *File) { f.Place.Skip++ }, bytes.NewReader(raw), ErrNoPlace},
		"inside a frame":   {func(f *File) { f.Place.Offset++ }, bytes.NewReader(raw), ErrNoPlace},
		"too short":        {func(f *File) { f.Place.Length /= 2 }, bytes.NewReader(raw), ErrNoPlace},
		"beyond the end":   {func(f *File) { f.Place.Offset = 1 << 40 }, bytes.NewReader(raw), ErrNoPlace},
		"larger":           {func(f *File) { f.Size = 1 << 30 }, bytes.NewReader(raw), ErrNoPlace},
		"over the limit":   {func(f *File) { f.Size = 1 << 50 }, bytes.NewReader(raw), ErrTooLarge},
		"a cut line":       {func(*File) {}, io.MultiReader(bytes.NewReader(raw[:1<<20]), iotest.ErrReader(mine)), mine},
		"cut where it was": {func(*File) {}, bytes.NewReader(raw[:1<<20]), ErrNoPlace},
	} {
		t.Run(name, func(t *testing.T) {
			f := files[i]
			place := *f.Place
			f.Place = &place
			tc.spoil(&f)
			var whole error
			err := newCodec(t, Limits{}).Extract(t.Context(), tc.r, 0, []File{f}, func(_ context.Context, _ Member, r io.Reader) error {
				_, whole = io.Copy(io.Discard, r)
				return nil // hides it
			})
			require.ErrorIs(t, err, tc.want)
			if name == "other digest" {
				require.ErrorIs(t, whole, ErrNoPlace, "the reader ended as if all were well")
			}
		})
	}
}

func TestReadManifest(t *testing.T) {
	raw, m, _ := mixed(t)
	one, small := small(t)
	many := tree{}
	paths := make([]string, 3000)
	for i := range paths {
		paths[i] = fmt.Sprintf("a-rather-long-name-%d-%x", i, randomBytes(30))
	}
	long, longM := encode(t, Manifest{Versions: []Version{version(many, 0, paths...)}}, many)
	for name, tc := range map[string]struct {
		raw   []byte
		want  Manifest
		calls int
	}{"small": {one, small, 1}, "mixed": {raw, m, 1}, "long": {long, longM, 2}} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			got, err := newCodec(t, Limits{}).ReadManifest(t.Context(), int64(len(tc.raw)), rangesOf(tc.raw, &calls))
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
			assert.Equal(t, tc.calls, calls)
		})
	}
}

// Whatever is wrong at the end, Decode has the last word.
func TestReadManifestRefuses(t *testing.T) {
	raw, want := small(t)
	c := newCodec(t, Limits{})
	for n := range raw {
		_, err := c.ReadManifest(t.Context(), int64(n), rangesOf(raw[:n], nil))
		require.ErrorIs(t, err, ErrNoPlace, "cut at %d", n)
	}
	for i := range raw { // whatever bit flips: refused, or it did not touch the manifest
		bad := bytes.Clone(raw)
		bad[i] ^= 0x10
		got, err := c.ReadManifest(t.Context(), int64(len(bad)), rangesOf(bad, nil))
		if err == nil {
			require.Equal(t, want, got)
			continue
		}
		require.Zero(t, got)
		require.ErrorIs(t, err, ErrNoPlace, "at %d", i)
		require.NotErrorIs(t, err, ErrCorrupt, "at %d", i)
	}
	assert.ErrorIs(t, peek(t, forge().bytes(t)), ErrNoPlace, "without a seek table")
	first, last := cutAtManifest(t, forge())
	assert.NoError(t, peek(t, seekable(t, first, last)))
	newer := forge()
	newer.manifest["format"] = 2
	first, last = cutAtManifest(t, newer)
	assert.ErrorIs(t, peek(t, seekable(t, first, last)), ErrUnsupported)
}

// peek is what ReadManifest, ReadBase and ReadPart say of raw, which must be the
// same.
func peek(t *testing.T, raw []byte) error {
	t.Helper()
	c, size := newCodec(t, Limits{}), int64(len(raw))
	_, err := c.ReadManifest(t.Context(), size, rangesOf(raw, nil))
	_, baseErr := c.ReadBase(t.Context(), size, rangesOf(raw, nil))
	_, partErr := c.ReadPart(t.Context(), size, rangesOf(raw, nil))
	if err != nil {
		require.Equal(t, errors.Is(err, ErrNoPlace), errors.Is(baseErr, ErrNoPlace))
		require.Equal(t, errors.Is(err, ErrNoPlace), errors.Is(partErr, ErrNoPlace))
	}
	return err
}

// cutAtManifest packs a forgery into two frames, of which the manifest has one.
func cutAtManifest(t testing.TB, f *forgery) (first, last []byte) {
	t.Helper()
	f.pack = func(t testing.TB, archive []byte) []byte {
		at := bytes.LastIndex(archive, []byte(".sluice/version")) // of its header, behind an extended one
		at = bytes.LastIndex(archive[:at], []byte(".sluice/version"))
		first, last = packed(t, archive[:at]), packed(t, archive[at:])
		return nil
	}
	f.bytes(t)
	return first, last
}

// seekable puts a table of these frames behind them.
func seekable(t testing.TB, frames ...[]byte) []byte {
	t.Helper()
	return append(slices.Concat(frames...), tableOf(t, frames...).frame()...)
}

// tableOf is the table of these frames; what is none has nothing in it.
func tableOf(t testing.TB, frames ...[]byte) (table seekTable) {
	t.Helper()
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	defer z.Close()
	for _, f := range frames {
		raw, _ := z.DecodeAll(f, nil)
		table = table.append(seekEntry{packed: uint32(len(f)), raw: uint32(len(raw))})
	}
	return table
}

// FORMAT.md only says how a writer should cut frames.
func TestOtherCutsAreReadInFull(t *testing.T) {
	archive := unpack(t, forge().bytes(t))
	for _, size := range []int{700, 1500, 2048, len(archive)} {
		var frames [][]byte
		for part := range slices.Chunk(archive, size) {
			frames = append(frames, packed(t, part))
		}
		raw := seekable(t, frames...)
		_, _, err := decode(t, raw)
		require.NoError(t, err)
		err = peek(t, raw)
		require.ErrorIs(t, err, ErrNoPlace, "frames of %d bytes", size)
		require.NotErrorIs(t, err, ErrCorrupt, "frames of %d bytes", size)
	}
	// A file that looks like a manifest of later times.
	f := forge()
	f.members[1].body = []byte(`{"format":2}`)
	archive = unpack(t, f.bytes(t))
	assert.ErrorIs(t, peek(t, seekable(t, packed(t, archive[:4*blockSize]), packed(t, archive[4*blockSize:]))), ErrNoPlace)
}

// The mark of a later format is found by who reads all of it.
func TestMarkIsNotPassedOver(t *testing.T) {
	first, last := cutAtManifest(t, forge())
	begin := mark("sluice format 2\n")
	for what, raw := range map[string][]byte{
		"sealed frames": slices.Concat(begin, seekable(t, randomBytes(500))),
		"a listed mark": seekable(t, begin, randomBytes(500)),
		"another tar":   slices.Concat(begin, seekable(t, packed(t, bytes.Repeat([]byte("x"), 3000)))),
		"all but it":    slices.Concat(begin, seekable(t, first, last)),
	} {
		require.ErrorIs(t, peek(t, raw), ErrNoPlace, what)
		_, _, err := decode(t, raw)
		require.ErrorIs(t, err, ErrUnsupported, what)
	}
}

// A seek table that claims to be nearly as long as the object has next to nothing
// read for it, and the errors of the store are those of the store.
func TestSeekTableLies(t *testing.T) {
	const size = 1 << 30
	mine := errors.New("mine")
	for name, tc := range map[string]struct {
		frames uint32
		broken bool // the second range
		read   int64
		want   error
	}{
		"more than any bundle": {frames: (size - 100) / seekEntrySize, read: tailGuess, want: ErrNoPlace},
		"as many as may be":    {frames: 11_000_000, read: tailGuess + 8<<10, want: ErrNoPlace},
		"a broken line":        {frames: 11_000_000, broken: true, read: tailGuess, want: mine},
	} {
		t.Run(name, func(t *testing.T) {
			foot := seekTable{seekEntry{packed: 50}}.frame()[seekHeaderSize:]
			binary.LittleEndian.PutUint32(foot[seekEntrySize:], tc.frames)
			read := &counter{}
			open := func(_ context.Context, off, n int64) (io.ReadCloser, error) {
				switch {
				case off+n == size && n == tailGuess:
					read.r = io.MultiReader(io.LimitReader(zeros{}, n-int64(len(foot))), bytes.NewReader(foot))
				case tc.broken:
					read.r = iotest.ErrReader(mine)
				default:
					read.r = zeros{}
				}
				return io.NopCloser(read), nil
			}
			_, err := newCodec(t, Limits{}).ReadManifest(t.Context(), size, open)
			require.ErrorIs(t, err, tc.want)
			assert.LessOrEqual(t, read.n, tc.read)
		})
	}
}
