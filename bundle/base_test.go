package bundle

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const checkpointOf7 = "_delta_log/00000000000000000007.checkpoint.parquet"

// base7 is a base of version 7 that carries one of its two live files.
func base7(t testing.TB) ([]byte, Base, tree) {
	t.Helper()
	files := tree{
		"a b.parquet": randomBytes(300 << 10), checkpointOf7: []byte("a checkpoint"),
		"_delta_log/_sidecars/s-1.parquet": []byte("a sidecar"), commitPath(7): commitOf(7),
	}
	elsewhere := IndexEntry{File: File{Path: "x=1/c.parquet", Kind: KindData, Size: 5, SHA256: Digest{5}, Place: &Place{Offset: 1, Length: 2, Skip: 3}}, Version: 3}
	index, err := AppendIndex(nil, elsewhere)
	require.NoError(t, err)
	files[IndexPath(7)] = index
	previous := int64(3)
	var b bytes.Buffer
	done, err := newCodec(t, Limits{}).EncodeBase(t.Context(), &b, Base{
		Version: 7, Modified: modified, Timestamp: 1700000000007, Operation: "WRITE",
		Files:      []File{{Path: "a b.parquet", Kind: KindData}},
		Checkpoint: []File{{Path: checkpointOf7, Kind: KindCheckpoint}, {Path: "_delta_log/_sidecars/s-1.parquet", Kind: KindCheckpoint}},
		Live:       Totals{Files: 1, Bytes: 5}, Previous: &previous, Absent: []string{"vacuumed.parquet"},
	}, files.open)
	require.NoError(t, err)
	return b.Bytes(), done, files
}

func TestBaseRoundTrip(t *testing.T) {
	raw, want, files := base7(t)
	c := newCodec(t, Limits{})
	var u unpacked
	got, err := c.DecodeBase(t.Context(), bytes.NewReader(raw), u.put)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, Totals{Files: 2, Bytes: 300<<10 + 5}, got.Live)
	assert.Equal(t, got.Index.SHA256, digestOf(u.files[IndexPath(7)]))
	index := u.files[IndexPath(7)]
	files[IndexPath(7)] = index
	assert.Equal(t, files, u.files)

	tail, err := c.ReadBase(t.Context(), int64(len(raw)), rangesOf(raw, nil))
	require.NoError(t, err)
	assert.Equal(t, want, tail)

	var entries []IndexEntry
	for e, err := range ReadIndex(bytes.NewReader(index)) {
		require.NoError(t, err)
		entries = append(entries, e)
	}
	require.Len(t, entries, 2)
	assert.Equal(t, &Place{Offset: 1, Length: 2, Skip: 3}, entries[0].Place)
	assert.Equal(t, int64(3), entries[0].Version)
	assert.Equal(t, IndexEntry{File: got.Files[0], Version: 7, InBase: true}, entries[1])
	require.NoError(t, c.Extract(t.Context(), bytes.NewReader(raw), 0, []File{entries[1].File}, u.put))
	assert.Equal(t, files["a b.parquet"], u.files["a b.parquet"])
}

func TestReadIndexRefuses(t *testing.T) {
	good := `{"path":"a","kind":"data","size":1,"sha256":"` + digestOf(nil).String() + `","version":1}` + "\n"
	for _, err := range ReadIndex(strings.NewReader(good)) {
		require.NoError(t, err)
	}
	for name, text := range map[string]string{
		"cut":              good[:len(good)-1],
		"order":            good + good,
		"version order":    strings.Replace(good, `"version":1`, `"version":2`, 1) + good,
		"base first":       strings.Replace(good, `"version":1`, `"version":1,"in_base":true`, 1) + good,
		"blank line":       "\n",
		"null":             "null\n",
		"array":            "[]\n",
		"not UTF-8":        strings.Replace(good, `"a"`, "\"a\xff\"", 1),
		"not UTF-8, later": strings.Replace(good, `{`, "{\"later\":\"\xff\",", 1),
		"deep":             strings.Replace(good, `{`, `{"later":`+strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth)+`,`, 1),
		"no digest":        strings.Replace(good, `"sha256"`, `"later"`, 1),
		"null digest":      strings.Replace(good, `"`+digestOf(nil).String()+`"`, "null", 1),
		"zero digest":      strings.Replace(good, digestOf(nil).String(), Digest{}.String(), 1),
		"path":             `{"path":"../a","kind":"data","size":1,"sha256":"` + digestOf(nil).String() + `","version":1}` + "\n",
		"negative version": `{"path":"a","kind":"data","size":1,"sha256":"` + digestOf(nil).String() + `","version":-1}` + "\n",
		"checkpoint":       `{"path":"` + checkpointOf7 + `","kind":"checkpoint","size":1,"sha256":"` + digestOf(nil).String() + `","version":1}` + "\n",
		"endless line":     string(bytes.Repeat([]byte("x"), maxIndexLine+1)),
	} {
		t.Run(name, func(t *testing.T) {
			var last error
			for _, err := range ReadIndex(bytes.NewReader([]byte(text))) {
				last = err
			}
			assert.ErrorIs(t, last, ErrCorrupt)
		})
	}
}

// rangesOf opens ranges of raw and counts the calls.
func rangesOf(raw []byte, calls *int) RangeFunc {
	return func(_ context.Context, off, n int64) (io.ReadCloser, error) {
		if calls != nil {
			*calls++
		}
		return io.NopCloser(bytes.NewReader(raw[off:min(int64(len(raw)), off+n)])), nil
	}
}

// baseForgery is a forgery of a base of version 0 that carries a.
func baseForgery(spoil func(f *forgery)) *forgery {
	f := forge()
	index := []byte("")
	checkpoint := []byte("checkpoint")
	path := "_delta_log/00000000000000000000.checkpoint.parquet"
	commit := f.members[2]
	f.members = []forged{
		f.members[0],
		{tarHeader(path, int64(len(checkpoint)), modified), checkpoint},
		commit,
		{tarHeader(IndexPath(0), 0, modified), index},
		{tarHeader(basePath(0), 0, modified), nil},
	}
	f.manifest = map[string]any{
		"format": 1, "writer": map[string]any{}, "version": 0,
		"commit": entry(commitPath(0), commit.body, ""), "modified": modified, "timestamp": 1,
		"checkpoint": []any{entry(path, checkpoint, KindCheckpoint)},
		"files":      []any{entry("a", f.members[0].body, KindData)},
		"index":      entry(IndexPath(0), index, ""),
		"live":       map[string]any{"files": 0, "bytes": 0},
	}
	spoil(f)
	return f
}

func badBase(rule, expect, comment string, spoil func(f *forgery)) recipe {
	return func(t testing.TB) vector {
		return vector{rule: rule, expect: expect, comment: comment, object: "base", raw: baseForgery(spoil).bytes(t)}
	}
}

func baseRecipes(all map[string]recipe) {
	all["good-base"] = func(t testing.TB) vector {
		raw, _, _ := base7(t)
		return vector{expect: "ok", comment: "a base of version 7", object: "base", raw: raw}
	}
	all["b1-no-commit"] = badBase("B1", "corrupt", "no commit", func(f *forgery) { f.members = append(f.members[:2:2], f.members[3:]...) })
	all["b1-no-index"] = badBase("B1", "corrupt", "no index", func(f *forgery) { f.members = append(f.members[:3:3], f.members[4]) })
	all["b1-after-commit"] = badBase("B1", "corrupt", "a file after the commit", func(f *forgery) {
		f.members[0], f.members[1], f.members[2] = f.members[1], f.members[2], f.members[0]
	})
	all["b1-second-commit"] = badBase("B1", "corrupt", "two commits", func(f *forgery) {
		f.members = append(f.members[:3:3], append([]forged{{tarHeader(commitPath(1), 0, modified), nil}}, f.members[3:]...)...)
	})
	all["b1-bundle"] = func(t testing.TB) vector {
		return vector{rule: "B1", expect: "corrupt", comment: "a bundle", object: "base", raw: forge().bytes(t)}
	}
	all["b2-no-checkpoint"] = badBase("B2", "corrupt", "no checkpoint", func(f *forgery) {
		f.members = append(f.members[:1:1], f.members[2:]...)
		f.manifest["checkpoint"] = []any{}
	})
	all["b2-other-version"] = badBase("B2", "corrupt", "the checkpoint of another version", func(f *forgery) {
		f.manifest["version"] = 1
		f.manifest["commit"].(map[string]any)["path"] = commitPath(1)
		f.manifest["index"].(map[string]any)["path"] = IndexPath(1)
		f.members[2].hdr.Name, f.members[3].hdr.Name, f.members[4].hdr.Name = commitPath(1), IndexPath(1), basePath(1)
	})
	all["b3-previous"] = badBase("B3", "corrupt", "after a base of a later version", func(f *forgery) { f.manifest["previous"] = 1 })
	all["b3-newer"] = badBase("M2", "unsupported", "a base of format 2", func(f *forgery) { f.manifest["format"] = 2 })
	all["b3-absent"] = badBase("B3", "corrupt", "a file that is there and absent", func(f *forgery) { f.manifest["absent"] = []any{"a"} })
	all["b3-content"] = badBase("B3", "corrupt", "a file of other content", func(f *forgery) { f.members[0].body[0] ^= 1 })
	all["b3-live"] = badBase("B3", "corrupt", "less than no live files", func(f *forgery) { f.manifest["live"] = map[string]any{"files": -1} })
}

func TestUnbrokenBaseForgeryIsGood(t *testing.T) {
	var u unpacked
	_, err := newCodec(t, Limits{}).DecodeBase(t.Context(), bytes.NewReader(baseForgery(func(*forgery) {}).bytes(t)), u.put)
	require.NoError(t, err)
	assert.Len(t, u.members, 4)
}
