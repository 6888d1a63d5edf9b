package bundle

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// divided is a bundle of version 3 whose files a and b lie in a part and c does
// not.
func divided(t testing.TB) (bundle, part []byte, m Manifest, p Part) {
	t.Helper()
	files := tree{}
	v := version(files, 3, "a", "b", "c")
	files["b"] = randomBytes(3 << 20)
	p = Part{Version: 3, Modified: v.Modified, Writer: Writer{Program: "test"}}
	for _, f := range v.Files[:2] {
		f.Size, f.SHA256 = int64(len(files[f.Path])), digestOf(files[f.Path])
		p.Files = append(p.Files, f)
	}
	var out bytes.Buffer
	p, err := newCodec(t, Limits{}).EncodePart(t.Context(), &out, p, files.open)
	require.NoError(t, err)
	name := PartName(p.Files)
	for i, f := range p.Files {
		v.Files[i] = f
		v.Files[i].Part = name
	}
	bundle, m = encode(t, Manifest{Versions: []Version{v}, Parts: []PartRef{{name, int64(out.Len())}}}, files)
	return bundle, out.Bytes(), m, p
}

func TestPartRoundTrip(t *testing.T) {
	bundle, part, m, p := divided(t)
	got, u, err := decode(t, bundle)
	require.NoError(t, err)
	assert.Equal(t, m, got)
	assert.Len(t, u.members, 2, "c and the commit")

	var of unpacked
	c := newCodec(t, Limits{})
	is, err := c.DecodePart(t.Context(), onlyReader{bytes.NewReader(part)}, of.put)
	require.NoError(t, err)
	assert.Equal(t, p, is)
	calls := 0
	is, err = c.ReadPart(t.Context(), int64(len(part)), rangesOf(part, &calls))
	require.NoError(t, err)
	assert.Equal(t, p, is)
	assert.Equal(t, 1, calls)
	for _, f := range m.Versions[0].Files[:2] {
		assert.Equal(t, f.SHA256, digestOf(of.files[f.Path]))
	}
	// The places that the manifest has are places in the part.
	var one unpacked
	f := m.Versions[0].Files[1]
	require.NoError(t, c.Extract(t.Context(), bytes.NewReader(part[f.Place.Offset:]), f.Place.Offset, []File{f}, one.put))
	assert.Equal(t, of.files["b"], one.files["b"])
}

// The name is part of the format: a push finds by it what another one, of another
// release, has left.
func TestPartNameIsPinned(t *testing.T) {
	files := []File{{Path: "a", Size: 3, SHA256: digestOf([]byte("abc"))}, {Path: "x=ü/b", Size: 0, SHA256: digestOf(nil)}}
	assert.Equal(t, "c1bd3f2807e81e3e2d55554b07de5e48", PartName(files))
	assert.True(t, IsPartName(PartName(nil)))
	for _, bad := range []string{"", strings.Repeat("A", 32), strings.Repeat("a", 31), strings.Repeat("a", 64), "../" + strings.Repeat("a", 29)} {
		assert.False(t, IsPartName(bad), bad)
	}
}

func TestEncodePartRefuses(t *testing.T) {
	content := []byte("content")
	right := File{Path: "a", Kind: KindData, Size: int64(len(content)), SHA256: digestOf(content)}
	for name, c := range map[string]struct {
		spoil func(p *Part)
		want  error
	}{
		"other content":  {func(p *Part) { p.Files[0].SHA256[0] ^= 1 }, ErrCorrupt},
		"another size":   {func(p *Part) { p.Files[0].Size++ }, ErrCorrupt},
		"no files":       {func(p *Part) { p.Files = nil }, ErrCorrupt},
		"a file twice":   {func(p *Part) { p.Files = append(p.Files, right) }, ErrCorrupt},
		"a path outside": {func(p *Part) { p.Files[0].Path = "../a" }, ErrCorrupt},
		"too large":      {func(p *Part) { p.Files[0].Size = 1 << 50 }, ErrTooLarge},
		"a newer format": {func(p *Part) { p.Format = Format + 1 }, ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			p := Part{Version: 1, Modified: modified, Files: []File{right}}
			c.spoil(&p)
			var out bytes.Buffer
			_, err := newCodec(t, Limits{}).EncodePart(t.Context(), &out, p, tree{"a": content}.open)
			require.ErrorIs(t, err, c.want)
			_, err = newCodec(t, Limits{}).DecodePart(t.Context(), &out, (&unpacked{}).put)
			require.ErrorIs(t, err, ErrCorrupt, "what was written before is no part")
		})
	}
}

// What lies in parts counts against the limits of the bundle.
func TestLimitsCountParts(t *testing.T) {
	raw, _, m, _ := divided(t)
	c := newCodec(t, Limits{MaxTotal: 3 << 20})
	_, err := c.Decode(t.Context(), bytes.NewReader(raw), (&unpacked{}).put)
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorIs(t, err, ErrCorrupt)
	_, err = c.Encode(t.Context(), &bytes.Buffer{}, m, tree{"c": nil, commitPath(3): []byte("x")}.open)
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestIndexKnowsParts(t *testing.T) {
	e := IndexEntry{File: File{Path: "a", Kind: KindData, SHA256: digestOf(nil), Part: PartName(nil)}, Version: 3}
	here := IndexEntry{File: File{Path: "z", Kind: KindData}, Version: 3}
	base := IndexEntry{File: File{Path: "a", Kind: KindData}, Version: 3, InBase: true}
	assert.Negative(t, here.Compare(e))
	assert.Negative(t, e.Compare(base))
	line, err := AppendIndex(nil, e)
	require.NoError(t, err)
	for got, err := range ReadIndex(bytes.NewReader(line)) {
		require.NoError(t, err)
		assert.Equal(t, e, got)
	}
	e.InBase = true
	line, err = AppendIndex(nil, e)
	require.NoError(t, err)
	for _, err := range ReadIndex(bytes.NewReader(line)) {
		require.ErrorIs(t, err, ErrCorrupt)
	}
}

// partForgery is a forgery of a part of version 0 that holds a and b.
func partForgery(spoil func(f *forgery)) *forgery {
	f := forge()
	f.members = f.members[:2]
	f.manifest = map[string]any{
		"format": 1, "writer": map[string]any{}, "version": 0, "modified": modified,
		"files": []any{entry("a", f.members[0].body, KindData), entry("b", f.members[1].body, KindData)},
	}
	f.members = append(f.members, forged{tarHeader(f.partPath(), 0, modified), nil})
	spoil(f)
	return f
}

// partPath is where the description of the members that f has now belongs.
func (f *forgery) partPath() string {
	p := Part{}
	for _, m := range f.members[:2] {
		p.Files = append(p.Files, File{Path: m.hdr.Name, Size: int64(len(m.body)), SHA256: digestOf(m.body)})
	}
	return p.path()
}

func badPart(rule, expect, comment string, spoil func(f *forgery)) recipe {
	return func(t testing.TB) vector {
		return vector{rule: rule, expect: expect, comment: comment, object: "part", raw: partForgery(spoil).bytes(t)}
	}
}

// inPart makes the bundle of a forgery one whose file a lies in a part.
func inPart(f *forgery) {
	a := f.members[0]
	name := PartName([]File{{Path: "a", Size: int64(len(a.body)), SHA256: digestOf(a.body)}})
	f.members = f.members[1:]
	f.file(0)["part"] = name
	f.manifest["parts"] = []any{map[string]any{"name": name, "size": 1000}}
}

// part is the manifest's entry of its part.
func (f *forgery) part() map[string]any { return f.manifest["parts"].([]any)[0].(map[string]any) }

func badDivision(comment string, spoil func(f *forgery)) recipe {
	return bad("M10", "corrupt", comment, func(f *forgery) {
		inPart(f)
		spoil(f)
	})
}

func partRecipes(all map[string]recipe) {
	all["good-divided"] = func(t testing.TB) vector {
		raw, _, _, _ := divided(t)
		return vector{expect: "ok", comment: "version 3, of whose three files two lie in a part", raw: raw}
	}
	all["good-part"] = func(t testing.TB) vector {
		return vector{expect: "ok", comment: "a part with two files", object: "part", raw: partForgery(func(*forgery) {}).bytes(t)}
	}
	all["m10-other-name"] = badDivision("a part whose files make up another name", func(f *forgery) {
		f.part()["name"], f.file(0)["part"] = PartName(nil), PartName(nil)
	})
	all["m10-bad-name"] = badDivision("a name that leads elsewhere", func(f *forgery) { f.part()["name"], f.file(0)["part"] = "../x", "../x" })
	all["m10-not-listed"] = badDivision("a file in a part that is not listed", func(f *forgery) { delete(f.manifest, "parts") })
	all["m10-no-files"] = badDivision("a part without files", func(f *forgery) {
		f.manifest["parts"] = append(f.manifest["parts"].([]any), map[string]any{"name": PartName(nil), "size": 1})
	})
	all["m10-twice"] = badDivision("a part that is listed twice", func(f *forgery) { f.manifest["parts"] = append(f.manifest["parts"].([]any), f.part()) })
	all["m10-no-size"] = badDivision("a part without bytes", func(f *forgery) { f.part()["size"] = 0 })
	all["m10-commit"] = badDivision("a commit in a part", func(f *forgery) { f.version(0)["commit"].(map[string]any)["part"] = f.part()["name"] })
	all["m10-both"] = badDivision("a file that lies in a part, and in the bundle too", func(f *forgery) { f.members = append(forge().members[:1:1], f.members...) })

	for name, digest := range map[string]any{"null": nil, "zero": Digest{}} {
		all["m4-part-digest-"+name] = bad("M4", "corrupt", "a file in a part whose digest is "+name, func(f *forgery) {
			inPart(f)
			a := File{Path: "a", Size: int64(f.file(0)["size"].(int))}
			f.file(0)["sha256"], f.file(0)["part"], f.part()["name"] = digest, PartName([]File{a}), PartName([]File{a})
		})
	}
	all["r1-no-files"] = badPart("R1", "corrupt", "no files", func(f *forgery) {
		f.manifest["files"] = []any{}
		f.members = f.members[2:]
		f.members[0].hdr.Name = Part{}.path()
	})
	all["r1-commit"] = badPart("R1", "corrupt", "a commit", func(f *forgery) {
		f.members = append([]forged{{tarHeader(commitPath(0), 0, modified), nil}}, f.members...)
	})
	all["r1-bundle"] = func(t testing.TB) vector {
		return vector{rule: "R1", expect: "corrupt", comment: "a bundle", object: "part", raw: forge().bytes(t)}
	}
	all["r1-other-name"] = badPart("R1", "corrupt", "the name of other files", func(f *forgery) { f.members[2].hdr.Name = Part{}.path() })
	all["r1-other-version"] = badPart("R1", "corrupt", "the path of another version", func(f *forgery) { f.manifest["version"] = 1 })
	all["r1-after"] = func(t testing.TB) vector {
		f := partForgery(func(*forgery) {})
		f.members[2].body = f.manifestJSON(t)
		f.members[2].hdr.Size = int64(len(f.members[2].body))
		f.members = append(f.members, forge().members[0])
		return vector{rule: "R1", expect: "corrupt", comment: "a file after the description", object: "part", raw: f.bytes(t)}
	}
	all["r2-content"] = badPart("R2", "corrupt", "a file of other content", func(f *forgery) { f.members[0].body[0] ^= 1 })
	all["r2-order"] = badPart("R2", "corrupt", "another order", func(f *forgery) { f.members[0], f.members[1] = f.members[1], f.members[0] })
	all["r2-missing"] = badPart("R2", "corrupt", "a listed file that is not there", func(f *forgery) { f.members = f.members[1:] })
	all["r2-time"] = badPart("R2", "corrupt", "a file of another time", func(f *forgery) { f.members[0].hdr.ModTime = modified.AddDate(0, 0, 1) })
	all["r2-nested"] = badPart("R2", "corrupt", "a part of a part", func(f *forgery) { f.manifest["files"].([]any)[0].(map[string]any)["part"] = PartName(nil) })
	all["r2-newer"] = badPart("M2", "unsupported", "a part of format 2", func(f *forgery) { f.manifest["format"] = 2 })
}
