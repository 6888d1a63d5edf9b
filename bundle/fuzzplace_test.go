package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func inClass(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrNoPlace)
}

// seedsOf adds the vectors of one kind of object, "" for bundles.
func seedsOf(f *testing.F, object string) {
	f.Helper()
	seeds := 0
	for _, v := range readVectors(f) {
		if v.object == object {
			f.Add(v.raw)
			seeds++
		}
	}
	require.NotZero(f, seeds)
}

// FuzzSeekTable reads manifests by way of the seek table, and then what they say of
// places: no input does harm, and what both ways read is the same.
func FuzzSeekTable(f *testing.F) {
	seedsOf(f, "")
	c := newCodec(f, fuzzLimits)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := c.ReadManifest(t.Context(), int64(len(raw)), rangesOf(raw, nil))
		if err != nil {
			require.Zero(t, m)
			require.True(t, inClass(err), "%v", err)
			return
		}
		var u unpacked
		whole, err := c.Decode(t.Context(), onlyReader{bytes.NewReader(raw)}, u.put)
		if err == nil {
			require.Equal(t, whole, m)
		}
		for _, file := range placedFiles(m) {
			p := file.Place
			if p == nil || p.Offset < 0 || p.Length < 0 || p.Offset > int64(len(raw)) {
				continue
			}
			var one unpacked
			part := raw[p.Offset:min(int64(len(raw)), p.Offset+min(p.Length, int64(len(raw))))]
			if xerr := c.Extract(t.Context(), bytes.NewReader(part), p.Offset, []File{file}, one.put); xerr != nil {
				require.True(t, inClass(xerr), "%v", xerr)
			} else if err == nil {
				require.Equal(t, u.files[file.Path], one.files[file.Path])
			}
		}
	})
}

// FuzzDecodeBase: no input does harm, and what both ways of reading accept is the
// same.
func FuzzDecodeBase(f *testing.F) {
	seedsOf(f, "base")
	c := newCodec(f, fuzzLimits)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var u unpacked
		whole, err := c.DecodeBase(t.Context(), onlyReader{bytes.NewReader(raw)}, u.put)
		if err != nil {
			require.Zero(t, whole)
			require.True(t, inClass(err), "%v", err)
		}
		tail, terr := c.ReadBase(t.Context(), int64(len(raw)), rangesOf(raw, nil))
		if terr != nil {
			require.Zero(t, tail)
			require.True(t, inClass(terr), "%v", terr)
		} else if err == nil {
			require.Equal(t, whole, tail)
		}
	})
}

// FuzzReadIndex: what is accepted is written the same.
func FuzzReadIndex(f *testing.F) {
	entry := IndexEntry{File: File{Path: "x=1/c.parquet", Kind: KindData, Size: 5, SHA256: Digest{5}, Place: &Place{Offset: 1, Length: 2, Skip: 3}}, Version: 3}
	one, err := AppendIndex(nil, entry)
	require.NoError(f, err)
	entry.Path = "y"
	two, err := AppendIndex(bytes.Clone(one), entry)
	require.NoError(f, err)
	for _, seed := range [][]byte{one, two, nil, []byte("{}\n"), []byte("\n"), one[:len(one)-1]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var again []byte
		for e, err := range ReadIndex(bytes.NewReader(raw)) {
			if err != nil {
				require.True(t, inClass(err), "%v", err)
				return
			}
			again, err = AppendIndex(again, e)
			require.NoError(t, err)
		}
		n := 0
		for _, err := range ReadIndex(bytes.NewReader(again)) {
			require.NoError(t, err)
			n++
		}
		require.LessOrEqual(t, n, bytes.Count(raw, []byte("\n"))+1)
	})
}

// FuzzDecodePart: no input does harm.
func FuzzDecodePart(f *testing.F) {
	seedsOf(f, "part")
	c := newCodec(f, fuzzLimits)
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole, err := c.DecodePart(t.Context(), onlyReader{bytes.NewReader(raw)}, func(_ context.Context, _ Member, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil {
			require.Zero(t, whole)
			require.True(t, inClass(err), "%v", err)
		}
		tail, terr := c.ReadPart(t.Context(), int64(len(raw)), rangesOf(raw, nil))
		if terr != nil {
			require.Zero(t, tail)
			require.True(t, inClass(terr), "%v", terr)
		} else if err == nil {
			require.Equal(t, whole, tail)
		}
	})
}
