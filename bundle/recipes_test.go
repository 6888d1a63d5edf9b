package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

type recipe func(t testing.TB) vector

// recipes say how the vectors were made, by the name of their files. A rule that
// is added to FORMAT.md gets a recipe and "go test -update"; what stands in
// testdata stays.
func recipes() map[string]recipe {
	all := map[string]recipe{
		"good-one-version":   good("one version, two files", goodOne),
		"good-two-versions":  good("two versions, all kinds, odd and long names, an absent file", goodTwo),
		"good-gap":           good("version 7 after a gap, with a checkpoint of version 6", goodGap),
		"good-files-in-base": good("version 7, whose files its base has", goodFilesInBase),
		"good-null":          good("fields that are null, which is as if they were missing", goodNull),
		"good-table":         good("a seek table behind frames of another writer, empty ones and of no given size", goodTable),
		"good-frames":        good("many frames, skippable frames, padding as GNU tar has it, unknown fields", goodFrames),
	}
	for _, add := range []func(map[string]recipe){markRecipes, partRecipes, frameRecipes, archiveRecipes, pathRecipes, manifestRecipes, chainRecipes, baseRecipes} {
		add(all)
	}
	return all
}

func good(comment string, raw func(t testing.TB) []byte) recipe {
	return func(t testing.TB) vector { return vector{expect: "ok", comment: comment, raw: raw(t)} }
}

func bad(rule, expect, comment string, spoil func(f *forgery)) recipe {
	return func(t testing.TB) vector {
		f := forge()
		spoil(f)
		return vector{rule: rule, expect: expect, comment: comment, raw: f.bytes(t)}
	}
}

// repacked spoils the compressed bytes, bad what is in them.
func repacked(rule, expect, comment string, spoil func(t testing.TB, raw []byte) []byte) recipe {
	return func(t testing.TB) vector {
		return vector{rule: rule, expect: expect, comment: comment, raw: spoil(t, forge().bytes(t))}
	}
}

func goodOne(t testing.TB) []byte {
	raw, _ := small(t)
	return raw
}

func goodTwo(t testing.TB) []byte {
	files := tree{}
	one := version(files, 1234567, "größe=ß/日本語.parquet", strings.Repeat("d/", 60)+strings.Repeat("n", 255), "_change_data/cdc", "_large_files/extra")
	for i, kind := range []Kind{KindDeletionVector, KindData, KindChangeData, KindExtra} {
		one.Files[i].Kind = kind
	}
	one.Absent = []string{"vacuumed.parquet"}
	one.Metadata = map[string]string{"Any Key": "any value"}
	raw, _ := encode(t, Manifest{Versions: []Version{one, version(files, 1234568)}}, files)
	return raw
}

func goodGap(t testing.TB) []byte {
	files := tree{}
	v := version(files, 7, "_delta_log/00000000000000000006.checkpoint.parquet", "_delta_log/_sidecars/a-b.parquet", "a")
	v.Files[0].Kind, v.Files[1].Kind = KindCheckpoint, KindCheckpoint
	v.Previous, v.Gap = nil, &Gap{From: 3}
	raw, _ := encode(t, Manifest{Versions: []Version{v}}, files)
	return raw
}

func goodFilesInBase(t testing.TB) []byte {
	files := tree{}
	v := version(files, 7)
	v.FilesInBase = true
	raw, _ := encode(t, Manifest{Versions: []Version{v}}, files)
	return raw
}

func goodFrames(t testing.TB) []byte {
	f := forge()
	f.manifest["new_field"] = []any{1}
	f.file(0)["place"] = map[string]any{"offset": 14, "length": 1, "skip": 0, "new_field": 1} // a hint, here a wrong one
	f.end = make([]byte, maxTail)
	f.pack = func(t testing.TB, archive []byte) []byte {
		b := skippable("before")
		for len(archive) > 0 {
			n := min(1500, len(archive))
			b = append(b, packed(t, archive[:n])...)
			b = append(b, skippable("between")...)
			archive = archive[n:]
		}
		return b
	}
	return f.bytes(t)
}

func goodNull(t testing.TB) []byte {
	f := forge()
	for _, name := range []string{"gap", "absent", "metadata", "operation"} {
		f.version(0)[name] = nil
	}
	f.file(0)["part"], f.file(0)["place"] = nil, nil
	f.addVersion(1, digestOf(commitOf(0)))
	f.version(1)["gap"], f.version(1)["files"], f.version(1)["timestamp"] = nil, nil, nil
	f.manifest["parts"], f.manifest["writer"] = nil, nil
	delete(f.version(0), "previous")
	return f.bytes(t)
}

func goodTable(t testing.TB) []byte {
	first, last := cutAtManifest(t, forge())
	empty := packedWith(t, nil, zstd.WithZeroFrames(true))
	return seekable(t, empty, unsized(t, first), empty, last)
}

func frameRecipes(all map[string]recipe) {
	all["z1-empty"] = repacked("Z1", "corrupt", "no bytes at all", func(testing.TB, []byte) []byte { return nil })
	all["z1-bytes-after"] = repacked("Z1", "corrupt", "one byte after the last frame", func(_ testing.TB, raw []byte) []byte { return append(raw, 0) })
	all["z1-bytes-before"] = repacked("Z1", "corrupt", "a byte before the first frame", func(_ testing.TB, raw []byte) []byte { return append([]byte{0}, raw...) })
	all["z1-cut"] = repacked("Z1", "corrupt", "the last byte is missing", func(_ testing.TB, raw []byte) []byte { return raw[:len(raw)-1] })
	all["z1-cut-skippable"] = repacked("Z1", "corrupt", "a skippable frame at the end is cut short", func(_ testing.TB, raw []byte) []byte {
		s := skippable("0123456789")
		return append(raw, s[:len(s)-1]...)
	})
	all["z1-not-compressed"] = bad("Z1", "corrupt", "a plain tar", func(f *forgery) {
		f.pack = func(_ testing.TB, archive []byte) []byte { return archive }
	})
	all["z2-window"] = repacked("Z2", "too large", "a window of 16 MiB", func(_ testing.TB, raw []byte) []byte {
		return append(raw, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70, 0x01, 0x00, 0x00)
	})
	all["z2-single-segment"] = repacked("Z2", "too large", "a single segment of 10^12 bytes", func(_ testing.TB, raw []byte) []byte {
		return append(raw, frameHeader(0xe0, 1e12)(nil)...)
	})
	all["z2-dictionary"] = bad("Z2", "corrupt", "a dictionary that no reader has", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			return packedWith(t, archive, zstd.WithEncoderDictRaw(77, archive[:1000]))
		}
	})
	all["z3-checksum"] = repacked("Z3", "corrupt", "a wrong checksum", func(_ testing.TB, raw []byte) []byte {
		raw[len(raw)-1] ^= 1
		return raw
	})
	for name, what := range map[string]string{
		"hidden":     "a hidden manifest",
		"inside":     "a table in another frame",
		"packed":     "packed sizes",
		"unpacked":   "unpacked sizes",
		"order":      "the order",
		"as-one":     "two frames as one",
		"number":     "a huge number",
		"checksums":  "checksums",
		"before":     "a skippable frame before",
		"skippable":  "a skippable frame that is listed",
		"between":    "a skippable frame between",
		"second":     "a second table",
		"only-magic": "only the magic",
	} {
		all["z4-"+name] = func(t testing.TB) vector {
			return vector{rule: "Z4", expect: "corrupt", comment: "a seek table that is not right: " + what, raw: lies(t)[what]}
		}
	}
}

// memberBlocks is what each member of a forgery takes: the pax header, its
// record, the header itself, the content.
const memberBlocks = 4

func archiveRecipes(all map[string]recipe) {
	all["t1-gnu"] = bad("T1", "corrupt", "a header of GNU tar's format", func(f *forgery) {
		f.members[0].hdr.Format = tar.FormatGNU
	})
	all["t1-gnu-long-name"] = bad("T1", "corrupt", "a long name the way of GNU tar", func(f *forgery) {
		f.rename(0, strings.Repeat("n", 200))
		f.members[0].hdr.Format, f.members[0].hdr.ModTime = tar.FormatGNU, modified.Truncate(time.Second)
	})
	all["t1-v7"] = patched("T1", "corrupt", "a header without magic", func(b []byte) { clear(b[257:265]) })
	all["t1-checksum"] = bad("T1", "corrupt", "a wrong sum in a header", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			archive[148]++
			return packed(t, archive)
		}
	})
	for name, typ := range map[string]byte{
		"hardlink": tar.TypeLink, "symlink": tar.TypeSymlink, "char-device": tar.TypeChar, "block-device": tar.TypeBlock,
		"folder": tar.TypeDir, "fifo": tar.TypeFifo, "sparse": tar.TypeGNUSparse, "contiguous": tar.TypeCont, "unknown": 'V', "nul": 0,
	} {
		all["t2-"+name] = patched("T2", "corrupt", fmt.Sprintf("a member of type %q", typ), func(b []byte) { b[156] = typ })
	}
	all["t2-global-header"] = bad("T2", "corrupt", "a global pax header", func(f *forgery) {
		global := forged{&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "z"}}, nil}
		f.members = append([]forged{global}, f.members...)
	})
	all["t2-pax-sparse"] = bad("T2", "corrupt", "a sparse file the pax way", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			return packed(t, replacePax(archive, "GNU.sparse.major=1\n", "GNU.sparse.minor=0\n", "GNU.sparse.name=a\n", "GNU.sparse.realsize=12\n"))
		}
	})
	for name, spoil := range map[string]func(h *tar.Header){
		"mode":  func(h *tar.Header) { h.Mode = 0o4755 },
		"owner": func(h *tar.Header) { h.Uid = 1 },
		"group": func(h *tar.Header) { h.Gid = 1 },
		"user":  func(h *tar.Header) { h.Uname = "root" },
		"gname": func(h *tar.Header) { h.Gname = "root" },
	} {
		all["t3-"+name] = bad("T3", "corrupt", "a header that tells the "+name, func(f *forgery) { spoil(f.members[0].hdr) })
	}
	all["t3-link-name"] = patched("T3", "corrupt", "a regular file with the name of a link", func(b []byte) { copy(b[157:], "/etc/passwd") })
	all["t3-device"] = patched("T3", "corrupt", "a regular file with a device number", func(b []byte) { copy(b[329:], "0000001\x00") })
	for name, patch := range map[string]func(b []byte){
		"behind-name":   func(b []byte) { copy(b[2:], "hidden") },
		"prefix":        func(b []byte) { copy(b[345:], "..") },
		"behind-prefix": func(b []byte) { copy(b[500:], "hidden") },
		"spaces":        func(b []byte) { copy(b[124:136], "         14 ") },
		"type-bits":     func(b []byte) { copy(b[100:108], "0100644\x00") },
	} {
		all["t3-"+name] = patched("T3", "corrupt", "a header of other bytes: "+name, patch)
	}
	all["t3-padding"] = bad("T3", "corrupt", "a byte behind a content that is not zero", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			archive[4*blockSize-1] = 1
			return packed(t, archive)
		}
	})
	when, plain := "mtime="+paxTime(modified), appendHeader(nil, "a", int64(len("content of a")), modified)[2*blockSize:]
	for name, headers := range map[string][][]byte{
		"two-headers":  {paxHeader("path=z"), paxHeader(when)},
		"key-twice":    {paxHeader("path=z", "path=a", when)},
		"time-twice":   {paxHeader("mtime=1", when)},
		"empty-path":   {paxHeader(when, "path=")},
		"needless":     {paxHeader(when, "path=a")},
		"plus":         {paxHeader("mtime=+" + paxTime(modified))},
		"digits":       {paxHeader(when + "1")},
		"zeros":        {paxHeader("mtime=0" + paxTime(modified))},
		"no-records":   {paxHeader()},
		"behind":       {append(paxHeader(when)[:2*blockSize-1], 'x')},
		"of-who-packs": {owned(paxHeader(when))},
	} {
		all["t4-"+name] = headed("T4", "corrupt", "an extended header of other bytes: "+name, slices.Concat(slices.Concat(headers...), plain))
	}
	all["t4-xattr"] = bad("T4", "corrupt", "an extended attribute", func(f *forgery) {
		f.members[0].hdr.PAXRecords = map[string]string{"SCHILY.xattr.user.x": "1"}
	})
	all["t4-atime"] = bad("T4", "corrupt", "a time of access", func(f *forgery) { f.members[0].hdr.AccessTime = modified })
	all["t4-long"] = bad("T4", "too large", "headers of more than 8,192 bytes", func(f *forgery) { f.rename(0, strings.Repeat("d/", 5000)+"f") })
	all["t5-no-end"] = bad("T5", "corrupt", "no blocks of zeros at the end", func(f *forgery) { f.end = nil })
	all["t5-half-end"] = bad("T5", "corrupt", "one block of zeros at the end", func(f *forgery) { f.end = make([]byte, blockSize) })
	all["t5-data-after"] = bad("T5", "corrupt", "a byte that is not zero after the end", func(f *forgery) { f.end = append(f.end, make([]byte, 511)...); f.end = append(f.end, 1) })
	all["t5-long-end"] = bad("T5", "corrupt", "one zero more than 10,240", func(f *forgery) { f.end = make([]byte, maxTail+1) })
	all["t5-second-archive"] = bad("T5", "corrupt", "another archive behind", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte { return packed(t, append(archive, archive...)) }
	})
	all["t6-no-manifest"] = bad("T6", "corrupt", "no manifest", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			return packed(t, append(archive[:3*memberBlocks*blockSize:3*memberBlocks*blockSize], make([]byte, 2*blockSize)...))
		}
	})
	all["t6-manifest-first"] = bad("T6", "corrupt", "the manifest before the commit", func(f *forgery) { f.members = f.members[3:] })
	all["t6-manifest-name"] = bad("T6", "corrupt", "the manifest under another version's name", func(f *forgery) { f.members[3].hdr.Name = manifestPath(1) })
	all["t6-manifest-narrow"] = bad("T6", "corrupt", "the manifest's number without zeros", func(f *forgery) { f.members[3].hdr.Name = ".sluice/version-0/manifest.json" })
	all["t6-member-after"] = func(t testing.TB) vector {
		f := forge()
		f.pack = func(_ testing.TB, archive []byte) []byte { return archive }
		f.end = nil
		archive := f.bytes(t)
		archive = append(archive, archive[:memberBlocks*blockSize]...)
		return vector{rule: "T6", expect: "corrupt", comment: "a member after the manifest", raw: packed(t, append(archive, make([]byte, 2*blockSize)...))}
	}
	all["t6-commits-gap"] = bad("T6", "corrupt", "commit 2 after commit 0", func(f *forgery) { f.addVersion(2, digestOf(commitOf(1))) })
	all["t6-commit-twice"] = bad("T6", "corrupt", "the same commit again", func(f *forgery) { f.addVersion(0, nil) })
	all["t7-file-time"] = bad("T7", "corrupt", "a file with another time than its version", func(f *forgery) { f.members[0].hdr.ModTime = modified.Add(1) })
	all["t7-manifest-time"] = bad("T7", "corrupt", "the manifest with another time than the last version", func(f *forgery) { f.members[3].hdr.ModTime = modified.Truncate(time.Second) })
	all["l1-member"] = headed("L1", "too large", "a member of 10^12 bytes, so it says", appendHeader(nil, "a", 1e12, modified))
	all["l1-manifest"] = bad("L1", "too large", "a manifest of 10^9 bytes, so it says", func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			patchHeader(archive, bytes.LastIndex(archive, []byte(".sluice/version")), func(b []byte) { copy(b[124:136], "07346545000\x00") })
			return packed(t, archive)
		}
	})
}

// patched changes the header of the first member itself, behind its pax header
// (one block, and one of content).
func patched(rule, expect, comment string, patch func(b []byte)) recipe {
	return bad(rule, expect, comment, func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			patchHeader(archive, 2*blockSize, patch)
			return packed(t, archive)
		}
	})
}

// headed puts other headers before the first member's content.
func headed(rule, expect, comment string, headers []byte) recipe {
	return bad(rule, expect, comment, func(f *forgery) {
		f.pack = func(t testing.TB, archive []byte) []byte {
			return packed(t, append(headers, archive[3*blockSize:]...))
		}
	})
}

// paxHeader is an extended header for file a with these records.
func paxHeader(records ...string) []byte {
	b := make([]byte, blockSize)
	for _, r := range records {
		key, value, _ := strings.Cut(r, "=")
		b = appendRecord(b, key, value)
	}
	n := len(b) - blockSize
	fillHeader(b[:blockSize], "PaxHeaders.0/a", 0, int64(n), 0, 'x')
	return append(b, make([]byte, -n&(blockSize-1))...)
}

// owned names an owner in a header.
func owned(headers []byte) []byte {
	patchHeader(headers, 0, func(b []byte) { copy(b[265:], "mallory") })
	return headers
}

// replacePax replaces the records of the first member's pax header.
func replacePax(archive []byte, records ...string) []byte {
	body := ""
	for _, r := range records {
		n := len(r) + 3 // two digits and a space
		body += string([]byte{'0' + byte(n/10), '0' + byte(n%10), ' '}) + r
	}
	clear(archive[blockSize : 2*blockSize])
	copy(archive[blockSize:], body)
	patchHeader(archive, 0, func(b []byte) {
		n := len(body)
		copy(b[124:136], []byte{'0', '0', '0', '0', '0', '0', '0', '0', '0' + byte(n>>6), '0' + byte(n>>3&7), '0' + byte(n&7), 0})
	})
	return archive
}

func pathRecipes(all map[string]recipe) {
	for name, p := range map[string][2]string{
		"p1-long-element":   {"P1", strings.Repeat("n", 256)},
		"p1-long-path":      {"P1", strings.Repeat(strings.Repeat("n", 200)+"/", 20) + strings.Repeat("n", 77)},
		"p2-dot-dot":        {"P2", "../x"},
		"p2-inner-dot-dot":  {"P2", "a/../../x"},
		"p2-dot":            {"P2", "./x"},
		"p2-absolute":       {"P2", "/etc/passwd"},
		"p2-empty-element":  {"P2", "a//x"},
		"p2-drive":          {"P2", "c:/x"},
		"p2-drive-relative": {"P2", "C:x"},
		"p3-not-utf8":       {"P3", "a\xff"},
		"p3-backslash":      {"P3", `..\x`},
		"p4-log":            {"P4", "_delta_log/_last_checkpoint"},
		"p4-log-itself":     {"P4", "_delta_log"},
		"p4-log-case":       {"P4", "_DELTA_Log/x"},
		"p4-log-dot":        {"P4", "_delta_log. ./x"},
		"p4-log-stream":     {"P4", "_delta_log::$INDEX_ALLOCATION/x"},
		"p4-log-tag":        {"P4", "_delta\U000e0041_log/x"},
		"p4-log-invisible":  {"P4", "_delta\u200c_log/x"},
		"p4-commit-short":   {"P4", "_delta_log/0.json"},
		"p4-sluice":         {"P4", ".sluice/init.json"},
		"p4-sluice-case":    {"P4", ".SLUICE/x"},
		"p4-sluice-fold":    {"P4", ".\u017fluice/x"},
	} {
		expect := "corrupt"
		if p[0] == "P1" {
			expect = "too large"
		}
		all[name] = bad(p[0], expect, "a file of the path "+quoted(p[1]), func(f *forgery) { f.rename(0, p[1]) })
	}
	all["p5-twice"] = bad("P5", "corrupt", "one path twice", func(f *forgery) { f.rename(1, "a") })
	all["p5-absent"] = bad("P5", "corrupt", "a path that is there and absent", func(f *forgery) { f.version(0)["absent"] = []string{"a"} })
	all["p2-absent"] = bad("P2", "corrupt", "an absent path that leads out", func(f *forgery) { f.version(0)["absent"] = []string{"../x"} })
}

// quoted quotes a path for a comment, shortened.
func quoted(path string) string {
	b, err := json.Marshal(path[:min(40, len(path))])
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func manifestRecipes(all map[string]recipe) {
	text := func(rule, expect, comment, raw string) recipe {
		return bad(rule, expect, comment, func(f *forgery) { f.json = []byte(raw) })
	}
	all["m1-empty"] = text("M1", "corrupt", "an empty manifest", "  ")
	all["m1-null"] = text("M1", "corrupt", "null", "null")
	all["m1-array"] = text("M1", "corrupt", "an array", "[]")
	all["m1-two-values"] = edited("M1", "corrupt", "a second value", func(s string) string { return s + "{}" })
	all["m1-garbage"] = edited("M1", "corrupt", "garbage behind the value", func(s string) string { return s + "\n}" })
	all["m1-cut"] = edited("M1", "corrupt", "cut short", func(s string) string { return s[:len(s)-1] })
	all["m1-not-utf8"] = edited("M1", "corrupt", "a byte that is not UTF-8", func(s string) string { return strings.Replace(s, `"writer":{`, `"writer":{"host":"`+"\xff"+`"`, 1) })
	for name, half := range map[string]string{"low": `\udc00`, "high": `\ud800`, "wrong-order": `\udc00\ud800`} {
		all["m1-surrogate-"+name] = edited("M1", "corrupt", "an escape of half a character", func(s string) string {
			return strings.Replace(s, `"writer":{`, `"writer":{"host":"`+half+`"`, 1)
		})
	}
	all["m1-deep"] = edited("M1", "corrupt", "arrays that nest 64 deep in the object", func(s string) string {
		return strings.Replace(s, `{`, `{"later":`+strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth)+`,`, 1)
	})
	many := func(n int, one string) string { return strings.Repeat(one+",", n-1) + one }
	all["l2-versions"] = text("L2", "too large", "4,097 versions", `{"format":1,"versions":[`+many(MaxVersions+1, "{}")+`]}`)
	all["l2-absent"] = text("L2", "too large", "1,048,577 absent paths", `{"format":1,"versions":[{"absent":[`+many(maxList+1, `""`)+`]}]}`)
	all["l2-files"] = text("L2", "too large", "more files than there is room for", `{"format":1,"versions":[{"files":[`+many(10000, "{}")+`]}]}`)
	all["l2-parts"] = text("L2", "too large", "more parts than there is room for", `{"format":1,"parts":[`+many(10000, "{}")+`]}`)
	all["m4-exponent"] = edited("M4", "corrupt", "a whole number with an exponent", func(s string) string { return strings.Replace(s, `"size":12`, `"size":12e0`, 1) })
	all["m2-newer"] = bad("M2", "unsupported", "format 2", func(f *forgery) { f.manifest["format"] = 2 })
	all["m2-newer-and-odd"] = text("M2", "unsupported", "format 7, of which nothing else is known", `{"format":7,"versions":"elsewhere","Odd":1}`)
	all["m2-none"] = bad("M2", "corrupt", "no format", func(f *forgery) { delete(f.manifest, "format") })
	all["m2-zero"] = bad("M2", "corrupt", "format 0", func(f *forgery) { f.manifest["format"] = 0 })
	all["m2-fraction"] = bad("M2", "corrupt", "format 1.5", func(f *forgery) { f.manifest["format"] = 1.5 })
	all["m2-text"] = bad("M2", "corrupt", "format as text", func(f *forgery) { f.manifest["format"] = "1" })
	all["m3-twice"] = edited("M3", "corrupt", "a name twice", func(s string) string { return strings.Replace(s, `"kind":"data"`, `"kind":"data","kind":"data"`, 1) })
	all["m3-case"] = edited("M3", "corrupt", "a name in upper case", func(s string) string { return strings.Replace(s, `"writer"`, `"Writer"`, 1) })
	all["m3-metadata-twice"] = edited("M3", "corrupt", "a key of metadata twice", func(s string) string {
		return strings.Replace(s, `"previous"`, `"metadata":{"k":"1","k":"2"},"previous"`, 1)
	})
	all["m4-no-versions"] = bad("M4", "corrupt", "no versions", func(f *forgery) { delete(f.manifest, "versions") })
	all["m4-empty-versions"] = bad("M4", "corrupt", "an empty list of versions", func(f *forgery) { f.manifest["versions"] = []any{} })
	all["m4-size-text"] = bad("M4", "corrupt", "a size as text", func(f *forgery) { f.file(0)["size"] = "12" })
	all["m4-size-fraction"] = bad("M4", "corrupt", "a size that is not whole", func(f *forgery) { f.file(0)["size"] = 12.5 })
	all["m4-no-modified"] = bad("M4", "corrupt", "no time", func(f *forgery) { delete(f.version(0), "modified") })
	all["m4-modified"] = bad("M4", "corrupt", "a time that is none", func(f *forgery) { f.version(0)["modified"] = "yesterday" })
	all["m4-digest-short"] = bad("M4", "corrupt", "a short digest", func(f *forgery) { f.file(0)["sha256"] = "00" })
	all["m4-digest-case"] = bad("M4", "corrupt", "a digest in upper case", func(f *forgery) { f.file(0)["sha256"] = strings.ToUpper(digestOf([]byte("content of a")).String()) })
	all["m4-no-digest"] = bad("M4", "corrupt", "no digest", func(f *forgery) { delete(f.file(0), "sha256") })
	all["m4-metadata"] = bad("M4", "corrupt", "metadata that is no text", func(f *forgery) { f.version(0)["metadata"] = map[string]any{"k": 1} })
	for name, text := range map[string]string{
		"offset": "2026-03-04T06:06:07.123456789+01:00", "offset-zero": "2026-03-04T05:06:07.123456789+00:00",
		"digits": "2026-03-04T05:06:07.1234567891Z", "year-0": "0000-03-04T05:06:07.123456789Z",
		"hour": "2026-03-04T5:06:07Z", "comma": "2026-03-04T05:06:07,5Z",
	} {
		all["m4-time-"+name] = bad("M4", "corrupt", "the time "+text, func(f *forgery) { f.version(0)["modified"] = text })
	}
	all["m5-kind"] = bad("M5", "unsupported", "a kind of later times", func(f *forgery) { f.file(0)["kind"] = "later" })
	all["m5-no-kind"] = bad("M5", "unsupported", "no kind", func(f *forgery) { delete(f.file(0), "kind") })
	all["m5-commit-kind"] = bad("M5", "corrupt", "a commit with a kind", func(f *forgery) { f.version(0)["commit"].(map[string]any)["kind"] = "data" })
}

// edited changes the text of the manifest.
func edited(rule, expect, comment string, edit func(s string) string) recipe {
	return func(t testing.TB) vector {
		f := forge()
		f.json = []byte(edit(string(f.manifestJSON(t))))
		return vector{rule: rule, expect: expect, comment: comment, raw: f.bytes(t)}
	}
}

func chainRecipes(all map[string]recipe) {
	all["m6-negative"] = bad("M6", "corrupt", "version -1", func(f *forgery) { f.version(0)["version"] = -1 })
	all["m6-gap"] = bad("M6", "corrupt", "version 2 after version 0", func(f *forgery) {
		f.addVersion(1, digestOf(commitOf(0)))
		f.version(1)["version"] = 2
		f.version(1)["commit"].(map[string]any)["path"] = commitPath(2)
	})
	all["m6-descending"] = bad("M6", "corrupt", "versions that descend", func(f *forgery) {
		f.addVersion(1, digestOf(commitOf(0)))
		v := f.manifest["versions"].([]any)
		v[0], v[1] = v[1], v[0]
	})
	all["m6-commit-path"] = bad("M6", "corrupt", "the path of another version's commit", func(f *forgery) {
		f.version(0)["commit"].(map[string]any)["path"] = commitPath(1)
	})
	all["m6-negative-size"] = bad("M6", "corrupt", "a negative size", func(f *forgery) { f.file(0)["size"] = -1 })
	all["m7-previous-at-0"] = bad("M7", "corrupt", "version 0 with a previous commit", func(f *forgery) { f.version(0)["previous"] = digestOf(nil) })
	all["m7-null-above-0"] = bad("M7", "corrupt", "version 1 without a previous commit", func(f *forgery) { f.onlyVersion(1, nil) })
	all["m7-gap-inside"] = bad("M7", "corrupt", "a gap before the second version", func(f *forgery) {
		f.addVersion(1, nil)
		f.version(1)["gap"] = map[string]any{"from": 0}
	})
	all["m7-gap-at-0"] = bad("M7", "corrupt", "a gap before version 0", func(f *forgery) { f.version(0)["gap"] = map[string]any{"from": 0} })
	all["m7-gap-and-previous"] = bad("M7", "corrupt", "a gap and a previous commit", func(f *forgery) {
		f.onlyVersion(1, digestOf(commitOf(0)))
		f.version(0)["gap"] = map[string]any{"from": 0}
	})
	all["m7-gap-above"] = bad("M7", "corrupt", "a gap that begins above the version", func(f *forgery) {
		f.onlyVersion(1, nil)
		f.version(0)["gap"] = map[string]any{"from": 2}
	})
	all["m11-files"] = bad("M11", "corrupt", "files of its own", func(f *forgery) { f.version(0)["files_in_base"] = true })
	all["m11-absent"] = bad("M11", "corrupt", "an absent file", func(f *forgery) {
		f.onlyVersion(1, digestOf(commitOf(0)))
		f.version(0)["files_in_base"], f.version(0)["absent"] = true, []any{"x"}
	})
	all["m11-gap"] = bad("M11", "corrupt", "a gap before it", func(f *forgery) {
		f.onlyVersion(1, nil)
		f.version(0)["files_in_base"], f.version(0)["gap"] = true, map[string]any{"from": 0}
	})
	all["m11-not-alone"] = bad("M11", "corrupt", "beside another version", func(f *forgery) {
		f.addVersion(1, digestOf(commitOf(0)))
		f.version(1)["files_in_base"] = true
	})
	all["m9-negative"] = bad("M9", "corrupt", "a place before the bundle", func(f *forgery) {
		f.file(0)["place"] = map[string]any{"offset": -1, "length": 1, "skip": 0}
	})
	all["m9-empty"] = bad("M9", "corrupt", "a place of no length", func(f *forgery) {
		f.version(0)["commit"].(map[string]any)["place"] = map[string]any{"offset": 0, "length": 0, "skip": 0}
	})
	all["p6-later"] = bad("P6", "corrupt", "a checkpoint of a later version", func(f *forgery) {
		f.rename(0, "_delta_log/00000000000000000001.checkpoint.parquet")
		f.file(0)["kind"] = "checkpoint"
	})
	all["p6-kind"] = bad("P6", "corrupt", "a checkpoint as a data file", func(f *forgery) {
		f.rename(0, "_delta_log/00000000000000000000.checkpoint.parquet")
	})
	all["p6-data"] = bad("P6", "corrupt", "a data file as a checkpoint", func(f *forgery) { f.file(0)["kind"] = "checkpoint" })
	all["p6-no-name"] = bad("P6", "corrupt", "a checkpoint of an empty name", func(f *forgery) {
		f.rename(0, "_delta_log/00000000000000000000.checkpoint..parquet")
		f.file(0)["kind"] = "checkpoint"
	})
	all["p6-hidden"] = bad("P6", "corrupt", "a hidden file of a checkpoint", func(f *forgery) {
		f.rename(0, "_delta_log/_sidecars/.x.parquet")
		f.file(0)["kind"] = "checkpoint"
	})
	all["m7-null-inside"] = bad("M7", "corrupt", "the second version without a previous commit", func(f *forgery) { f.addVersion(1, nil) })
	all["m7-broken-chain"] = bad("M7", "corrupt", "the second version after another commit", func(f *forgery) { f.addVersion(1, digestOf(nil)) })
	all["m8-missing"] = bad("M8", "corrupt", "a member that the manifest does not list", func(f *forgery) { f.version(0)["files"] = f.version(0)["files"].([]any)[:1] })
	all["m8-listed-only"] = bad("M8", "corrupt", "a listed file that is not there", func(f *forgery) { f.members = append(f.members[:1:1], f.members[2:]...) })
	all["m8-more-versions"] = bad("M8", "corrupt", "a listed version that is not there", func(f *forgery) {
		f.addVersion(1, digestOf(commitOf(0)))
		f.members = append(f.members[:3:3], f.members[4])
	})
	all["m8-order"] = bad("M8", "corrupt", "another order", func(f *forgery) { f.members[0], f.members[1] = f.members[1], f.members[0] })
	all["m8-renamed"] = bad("M8", "corrupt", "a member under another name", func(f *forgery) { f.members[0].hdr.Name = "c" })
	all["m8-content"] = bad("M8", "corrupt", "a member of other content", func(f *forgery) { f.members[0].body[0] ^= 1 })
	all["m8-commit-content"] = bad("M8", "corrupt", "a commit of other content", func(f *forgery) { f.members[2].body[0] ^= 1 })
	all["m8-size"] = bad("M8", "corrupt", "a member of another size", func(f *forgery) { f.file(0)["size"] = 11 })
	all["m8-size-huge"] = bad("M8", "corrupt", "a size of 2^63-1", func(f *forgery) { f.file(0)["size"] = int64(math.MaxInt64) })
}
