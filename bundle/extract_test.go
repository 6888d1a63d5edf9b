package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

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
	for _, e := range m.members() {
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

func TestReadManifestRefuses(t *testing.T) {
	raw, _ := small(t)
	c := newCodec(t, Limits{})
	read := func(b []byte) error {
		got, err := c.ReadManifest(t.Context(), int64(len(b)), rangesOf(b, nil))
		if err != nil {
			require.Zero(t, got)
		}
		return err
	}
	for n := range len(raw) {
		err := read(raw[:n])
		require.True(t, errors.Is(err, ErrNoPlace) || errors.Is(err, ErrCorrupt), "cut at %d: %v", n, err)
	}
	for i := range raw { // whatever bit flips: refused, or it did not touch the manifest
		bad := bytes.Clone(raw)
		bad[i] ^= 0x10
		if err := read(bad); err != nil {
			require.True(t, errors.Is(err, ErrNoPlace) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported), "at %d: %v", i, err)
		}
	}
	assert.ErrorIs(t, read(forge().bytes(t)), ErrNoPlace)
}
