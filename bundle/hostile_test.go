package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	raw, _ := small(t)
	decode := decoding(t)
	after := parseSeekEnd(raw).size()
	for n := range raw {
		m, _, err := decode(raw[:n])
		if n == len(raw)-int(after) { // only the seek table is gone, which may be missing
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrCorrupt, "cut at %d of %d", n, len(raw))
		require.Zero(t, m)
	}
	// The same inside, where no checksum of zstd tells.
	archive, pack := unpack(t, raw), packing(t)
	for n := range archive {
		_, _, err := decode(pack(archive[:n]))
		require.ErrorIs(t, err, ErrCorrupt, "archive cut at %d of %d", n, len(archive))
	}
}

// A flipped bit is an error, or one that means nothing to zstd, such as the
// unused one of the frame header: then what comes out is the very same.
func TestFlipAnyBit(t *testing.T) {
	t.Parallel()
	raw, want := small(t)
	decode := decoding(t)
	_, original, err := decode(raw)
	require.NoError(t, err)
	harmless := 0
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			got, u, err := decode(bad)
			if err == nil {
				harmless++
				require.Equal(t, want, got)
				require.Equal(t, original, u)
				continue
			}
			require.True(t, errors.Is(err, ErrCorrupt), "byte %d bit %d: %v", i, bit, err)
		}
	}
	assert.Less(t, harmless*20, len(raw)*8)
}

// Without zstd's checksum, too, a changed byte of the archive never changes a
// member: it fails its digest or breaks a rule, or it was padding.
func TestFlipAnyByteOfTheArchive(t *testing.T) {
	t.Parallel()
	raw, want := small(t)
	decode, pack := decoding(t), packing(t)
	_, original, err := decode(raw)
	require.NoError(t, err)
	archive := unpack(t, raw)
	manifest := bytes.Index(archive, []byte(`{"format"`))
	for i := range archive {
		bad := bytes.Clone(archive)
		bad[i] ^= 0xff
		got, u, err := decode(pack(bad))
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt, "byte %d", i)
			continue
		}
		require.Equal(t, original, u, "byte %d", i)
		if i < manifest { // texts in the manifest are covered by zstd's checksum only
			require.Equal(t, want, got, "byte %d", i)
		}
		require.Zero(t, archive[i], "byte %d, which is no padding, was changed unnoticed", i)
	}
}

func TestLengthFieldsAtTheirMaximum(t *testing.T) {
	raw, _ := small(t)
	archive := unpack(t, raw)
	cases := map[string]func(archive []byte) []byte{
		"size of a member, octal": func(a []byte) []byte {
			// The first block is the pax header, the third the member's own.
			patchHeader(a, 2*blockSize, func(b []byte) { copy(b[124:136], "777777777777") })
			return packed(t, a)
		},
		"size of a member, base 256": func(a []byte) []byte {
			patchHeader(a, 2*blockSize, func(b []byte) { copy(b[124:136], "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff") })
			return packed(t, a)
		},
		"size of a pax header": func(a []byte) []byte {
			patchHeader(a, 0, func(b []byte) { copy(b[124:136], "777777777777") })
			return packed(t, a)
		},
		"size of a pax header below the library's limit": func(a []byte) []byte {
			patchHeader(a, 0, func(b []byte) { copy(b[124:136], "00003777777\x00") })
			return packed(t, a)
		},
		"length of a pax record": func(a []byte) []byte {
			copy(a[blockSize:], "99")
			return packed(t, a)
		},
		"path":                 func([]byte) []byte { f := forge(); f.rename(0, strings.Repeat("x/", 10000)+"x"); return f.bytes(t) },
		"frame content size":   frameHeader(0xe4, math.MaxUint64),
		"frame of 10^12 bytes": frameHeader(0xe4, 1e12),
		"window":               func([]byte) []byte { return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0xff, 0, 0, 0} },
		"skippable frame":      func([]byte) []byte { return append(bytes.Clone(raw), 0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff) },
		"block":                func([]byte) []byte { return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0xff, 0xff, 0xff} },
		"run length block":     func([]byte) []byte { return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0xfb, 0xff, 0xff, 0} },
		"size in the manifest": func([]byte) []byte { f := forge(); f.file(0)["size"] = int64(math.MaxInt64); return f.bytes(t) },
		"version":              maxVersion(t, math.MaxInt64),
		"version beyond 64 bit": func([]byte) []byte {
			f := forge()
			f.json = []byte(`{"format":1,"versions":[{"version":1e99}]}`)
			return f.bytes(t)
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			bad := spoil(bytes.Clone(archive))
			var err error
			grown := heapGrowth(func() { _, _, err = decode(t, bad) })
			require.ErrorIs(t, err, ErrCorrupt)
			assert.Less(t, grown, int64(24<<20))
		})
	}
}

// frameHeader makes a frame that is a single segment and claims this size.
func frameHeader(descriptor byte, size uint64) func([]byte) []byte {
	return func([]byte) []byte {
		b := []byte{0x28, 0xb5, 0x2f, 0xfd, descriptor}
		for i := range 8 {
			b = append(b, byte(size>>(8*i)))
		}
		return append(b, 1, 0, 0)
	}
}

func maxVersion(t *testing.T, v int64) func([]byte) []byte {
	return func([]byte) []byte {
		f := forge()
		f.members[2].hdr.Name = commitPath(v)
		f.members[3].hdr.Name = manifestPath(v)
		f.version(0)["version"] = v // without a previous
		f.version(0)["commit"].(map[string]any)["path"] = commitPath(v)
		return f.bytes(t)
	}
}

func TestLimits(t *testing.T) {
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "a", "b")}}
	files["a"], files["b"] = make([]byte, 600), make([]byte, 400)
	raw, done := encode(t, m, files)
	manifest, err := marshal(done)
	require.NoError(t, err)
	total := int64(1000 + len(files[commitPath(0)]))
	right := Limits{MaxMember: 600, MaxTotal: total, MaxMembers: 3, MaxManifest: int64(len(manifest))}
	var b bytes.Buffer
	_, err = newCodec(t, right).Encode(t.Context(), &b, m, files.open)
	require.NoError(t, err)
	_, err = newCodec(t, right).Decode(t.Context(), bytes.NewReader(raw), new(unpacked).put)
	require.NoError(t, err)
	for name, shrink := range map[string]func(l *Limits){
		"member":           func(l *Limits) { l.MaxMember-- },
		"total":            func(l *Limits) { l.MaxTotal-- },
		"members":          func(l *Limits) { l.MaxMembers-- },
		"manifest":         func(l *Limits) { l.MaxManifest-- },
		"manifest of ones": func(l *Limits) { l.MaxManifest = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			limits := right
			shrink(&limits)
			_, err := newCodec(t, limits).Encode(t.Context(), io.Discard, m, files.open)
			require.ErrorIs(t, err, ErrTooLarge)
			assert.NotErrorIs(t, err, ErrCorrupt)
			_, err = newCodec(t, limits).Decode(t.Context(), bytes.NewReader(raw), new(unpacked).put)
			require.ErrorIs(t, err, ErrTooLarge)
			assert.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

func TestErrorsNameTheMember(t *testing.T) {
	f := forge()
	f.members[1].body = []byte("CONTENT OF b")
	_, _, err := decode(t, f.bytes(t))
	require.ErrorIs(t, err, ErrCorrupt)
	assert.ErrorContains(t, err, `member "b": sha256`)
}

// A bomb of extended headers ends at the second.
func TestEndlessHeaders(t *testing.T) {
	f := forge()
	f.members[0].hdr.Name = strings.Repeat("p/", 2000) + "p"
	var one bytes.Buffer
	require.NoError(t, tar.NewWriter(&one).WriteHeader(f.members[0].hdr))
	header := one.Bytes()[:one.Len()-blockSize] // the extended one only
	archive := newArchive(bytes.NewReader(bytes.Repeat(header, 1000)))
	_, err := archive.next()
	require.ErrorIs(t, err, ErrCorrupt)
	assert.LessOrEqual(t, archive.raw.n, int64(maxHeaders))
}

func TestManyNamesStayWithinTheManifest(t *testing.T) {
	f := forge()
	f.members = f.members[:0]
	for i := range 100 {
		f.members = append(f.members, forged{tarHeader(fmt.Sprintf("%0250d", i), 0, modified), nil})
	}
	c := newCodec(t, Limits{MaxManifest: 10000})
	n := 0
	_, err := c.Decode(t.Context(), bytes.NewReader(f.bytes(t)), func(context.Context, Member, io.Reader) error { n++; return nil })
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Less(t, n, 30)
}

func TestFramesInAnyNumber(t *testing.T) {
	raw, want := small(t)
	archive := unpack(t, raw)
	var b []byte
	for len(archive) > 0 {
		n := min(700, len(archive))
		b = append(b, skippable("seek table")...)
		b = append(b, packedWith(t, archive[:n], zstd.WithEncoderCRC(n%2 == 0))...)
		archive = archive[n:]
	}
	b = append(b, skippable("")...)
	b = append(b, packedWith(t, nil, zstd.WithZeroFrames(true))...)
	got, _, err := decode(t, b)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	for n := 1; n <= 12; n++ {
		_, _, err := decode(t, append(bytes.Clone(raw), make([]byte, n)...))
		assert.ErrorIs(t, err, ErrCorrupt, "%d zeros after the frames", n)
	}
}
