package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// forgery is a bundle in parts, so that a test can break any rule: it starts
// as a right one of version 0 with the files a and b.
type forgery struct {
	members  []forged
	manifest map[string]any
	json     []byte // instead of manifest, if set
	end      []byte // of the archive
	pack     func(t testing.TB, archive []byte) []byte
}

// forged is a member with whatever header.
type forged struct {
	hdr  *tar.Header
	body []byte
}

func forge() *forgery {
	f := &forgery{end: make([]byte, 2*blockSize), pack: packed}
	var files []any
	for _, name := range []string{"a", "b"} {
		body := []byte("content of " + name)
		f.members = append(f.members, forged{tarHeader(name, int64(len(body)), modified), body})
		files = append(files, entry(name, body, KindData))
	}
	commit := commitOf(0)
	f.members = append(f.members,
		forged{tarHeader(commitPath(0), int64(len(commit)), modified), commit},
		forged{tarHeader(manifestPath(0), 0, modified), nil})
	f.manifest = map[string]any{
		"format": 1, "writer": map[string]any{},
		"versions": []any{map[string]any{
			"version": 0, "commit": entry(commitPath(0), commit, ""), "previous": nil,
			"modified": modified, "timestamp": int64(1700000000000), "files": files,
		}},
	}
	return f
}

func entry(path string, body []byte, kind Kind) map[string]any {
	e := map[string]any{"path": path, "size": len(body), "sha256": digestOf(body)}
	if kind != "" {
		e["kind"] = kind
	}
	return e
}

// version is the manifest's entry i.
func (f *forgery) version(i int) map[string]any {
	return f.manifest["versions"].([]any)[i].(map[string]any)
}

// file is the manifest's entry of file i of the first version.
func (f *forgery) file(i int) map[string]any {
	return f.version(0)["files"].([]any)[i].(map[string]any)
}

// rename gives file i another path, in the archive and in the manifest.
func (f *forgery) rename(i int, path string) {
	f.members[i].hdr.Name = path
	f.file(i)["path"] = path
}

// addVersion puts a second version without files in, before the manifest.
func (f *forgery) addVersion(v int64, previous any) {
	commit := commitOf(v)
	last := len(f.members) - 1
	f.members = append(f.members[:last:last], forged{tarHeader(commitPath(v), int64(len(commit)), modified), commit}, f.members[last])
	f.manifest["versions"] = append(f.manifest["versions"].([]any), map[string]any{
		"version": v, "commit": entry(commitPath(v), commit, ""), "previous": previous,
		"modified": modified, "timestamp": 0, "files": []any{},
	})
}

// onlyVersion makes the bundle one of version v alone, without files.
func (f *forgery) onlyVersion(v int64, previous any) {
	f.addVersion(v, previous)
	f.members = f.members[3:]
	f.members[1].hdr.Name = manifestPath(v)
	f.manifest["versions"] = f.manifest["versions"].([]any)[1:]
}

func (f *forgery) bytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	for i, m := range f.members {
		if i == len(f.members)-1 {
			m.body = f.manifestJSON(t)
			m.hdr.Size = int64(len(m.body))
		}
		if reflect.DeepEqual(m.hdr, tarHeader(m.hdr.Name, m.hdr.Size, m.hdr.ModTime)) { // archive/tar would mend some bad paths
			b.Write(appendHeader(nil, m.hdr.Name, m.hdr.Size, m.hdr.ModTime))
			b.Write(m.body)
			b.Write(make([]byte, -len(m.body)&(blockSize-1)))
			continue
		}
		w := tar.NewWriter(&b)
		require.NoError(t, w.WriteHeader(m.hdr))
		_, err := w.Write(m.body)
		require.NoError(t, err)
		require.NoError(t, w.Flush())
	}
	return f.pack(t, append(b.Bytes(), f.end...))
}

func (f *forgery) manifestJSON(t testing.TB) []byte {
	t.Helper()
	if f.json != nil {
		return f.json
	}
	raw, err := json.Marshal(f.manifest)
	require.NoError(t, err)
	return raw
}

// packed compresses with this package's settings but for those of opts.
func packed(t testing.TB, archive []byte) []byte { return packedWith(t, archive) }

func packedWith(t testing.TB, archive []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	opts = append([]zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1 << 20)}, opts...)
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, opts...)
	require.NoError(t, err)
	_, err = z.Write(archive)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// packing is packed for thousands of calls: it makes one compressor.
func packing(t testing.TB) func(archive []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<17))
	require.NoError(t, err)
	return func(archive []byte) []byte { return z.EncodeAll(archive, nil) }
}

// unpack gives the archive inside a bundle.
func unpack(t testing.TB, bundle []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	defer z.Close()
	archive, err := z.DecodeAll(bundle, nil)
	require.NoError(t, err)
	return archive
}

// patchHeader changes bytes of the header block that begins at off and mends
// its checksum.
func patchHeader(archive []byte, off int, patch func(block []byte)) {
	block := archive[off : off+blockSize]
	patch(block)
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	for i := 5; i >= 0; i-- {
		block[148+i] = '0' + byte(sum&7)
		sum >>= 3
	}
	block[154] = 0
}

// skippable is a skippable frame of zstd.
func skippable(content string) []byte {
	n := len(content)
	return append([]byte{0x5b, 0x2a, 0x4d, 0x18, byte(n), byte(n >> 8), 0, 0}, content...)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}
