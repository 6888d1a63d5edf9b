package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzLimits keep one run small; whatever they refuse is refused like the rest.
var fuzzLimits = Limits{MaxMember: 1 << 20, MaxTotal: 4 << 20, MaxMembers: 100, MaxManifest: 1 << 20}

// FuzzDecode: no input does harm, every refusal has a class, and what is
// accepted packs to a bundle that says the same.
func FuzzDecode(f *testing.F) {
	seeds := 0
	for _, v := range readVectors(f) {
		f.Add(v.raw)
		seeds++
	}
	require.NotZero(f, seeds)
	c := newCodec(f, fuzzLimits)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzOne(t, c, raw)
	})
}

// FuzzArchive is FuzzDecode behind the compression, which hides everything from
// a fuzzer otherwise.
func FuzzArchive(f *testing.F) {
	seeds := 0
	for _, v := range readVectors(f) {
		if v.expect == "ok" || strings.HasPrefix(v.rule, "T") && v.rule != "T4" {
			f.Add(unpack(f, v.raw))
			seeds++
		}
	}
	require.NotZero(f, seeds)
	c, pack := newCodec(f, fuzzLimits), packing(f)
	f.Fuzz(func(t *testing.T, archive []byte) {
		fuzzOne(t, c, pack(archive))
	})
}

func fuzzOne(t *testing.T, c *Codec, raw []byte) {
	var u unpacked
	m, err := c.Decode(t.Context(), onlyReader{bytes.NewReader(raw)}, u.put)
	if err != nil {
		require.Zero(t, m)
		require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported), "%v", err)
		return
	}
	var again bytes.Buffer
	packed, err := c.Encode(t.Context(), &again, m, u.files.open)
	require.NoError(t, err)
	require.Equal(t, unplaced(m), unplaced(packed))
	got, err := c.Decode(t.Context(), &again, func(_ context.Context, _ Member, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, packed, got)
}

// FuzzManifest: what is accepted obeys the rules and survives being written.
func FuzzManifest(f *testing.F) {
	seeds := 0
	for _, v := range readVectors(f) {
		if v.expect != "ok" && !strings.HasPrefix(v.rule, "M") {
			continue
		}
		archive := newArchive(bytes.NewReader(unpack(f, v.raw)))
		for hdr, err := archive.next(); err == nil; hdr, err = archive.next() {
			raw, err := io.ReadAll(archive)
			require.NoError(f, err)
			if strings.HasPrefix(hdr.path, sluiceDir) {
				f.Add(raw)
				seeds++
			}
		}
	}
	require.NotZero(f, seeds)
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw)
		if err != nil {
			require.Zero(t, m)
			require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported), "%v", err)
			return
		}
		require.NoError(t, m.check())
		again, err := marshal(m)
		require.NoError(t, err)
		got, err := parseManifest(again)
		require.NoError(t, err)
		require.Equal(t, m, got)
	})
}

// FuzzCheckPath: what is accepted stays below the root and outside the two
// folders.
func FuzzCheckPath(f *testing.F) {
	seeds := 0
	for _, v := range readVectors(f) {
		if v.rule == "T4" || !strings.HasPrefix(v.rule, "P") && v.expect != "ok" {
			continue
		}
		archive := newArchive(bytes.NewReader(unpack(f, v.raw)))
		for hdr, err := archive.next(); err == nil; hdr, err = archive.next() {
			f.Add(hdr.path)
			seeds++
			_, err := io.Copy(io.Discard, archive)
			require.NoError(f, err)
		}
	}
	require.NotZero(f, seeds)
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckPath(name)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		require.Equal(t, path.Clean("/" + name)[1:], name)
		first := strings.ToLower(strings.Split(name, "/")[0])
		require.NotContains(t, []string{"_delta_log", ".sluice", "..", ""}, first)
		require.LessOrEqual(t, len(name), 4096)
	})
}
