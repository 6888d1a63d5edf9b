package deltalog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func scanText(s string) (*Commit, error) { return ScanCommit(strings.NewReader(s)) }

const (
	addA = `{"add":{"path":"a","size":1,"dataChange":true}}`
	info = `{"commitInfo":{"operation":"WRITE","timestamp":1}}`
)

// vector is the JSON of a deletion vector whose uuid ends in digit, and bin the
// file that holds it.
func vector(digit int) string {
	return fmt.Sprintf(`{"storageType":"u","pathOrInlineDv":"0000000000000000000%d","offset":1}`, digit)
}

func bin(digit int) string {
	return fmt.Sprintf("deletion_vector_00000000-0000-0000-0000-00000000000%d.bin", digit)
}

func TestScanCommitOddText(t *testing.T) {
	want := []File{{Path: "a", Kind: KindData, Size: 1}}
	for _, c := range []struct{ name, text string }{
		{"plain", info + "\n" + addA + "\n"},
		{"no final newline (H16)", info + "\n" + addA},
		{"CRLF (H16)", info + "\r\n" + addA + "\r\n"},
		{"byte order mark (H16)", "\xef\xbb\xbf" + info + "\n" + addA},
		{"blank lines (H16)", "\n\n" + info + "\n \t\n" + addA + "\n\n"},
		{"pretty-printed (H16)", "{\n  \"commitInfo\": {\n \"operation\" :\n \"WRITE\"\n }\n}\n{ \"add\" : {\n\"size\" : 1 , \"path\" : \"a\" } }"},
		{"several on one line", info + addA},
		{"the same file twice (H10)", info + addA + addA},
		{"added and change data (H10)", info + addA + `{"cdc":{"path":"a","size":1}}`},
		{"two spellings of one path (H10)", info + addA + `{"add":{"path":"%61","size":1}}`},
		{"escapes of JSON", info + `{"add":{"p\u0061th":"\u0061","size":1}}`},
		{"half of a surrogate pair in what names no file", info + `{"add":{"path":"a","size":1,"tags":{"\ud800":"\ud800"}}}`},
		{"unknown actions and fields", info + `{"newAction":{"path":"../x"}}` + `{"add":{"path":"a","size":1,"new":[{"path":"b"},"]}\"",{}],"x":-1.5e3}}` + `{"newer":17}` + `{}`},
		{"names in other case are other fields", info + `{"ADD":{"path":"x"}}` + `{"add":{"path":"a","Path":"b","size":1,"SIZE":7}}`},
		{"null for what is not there", info + `{"add":{"path":"a","size":1,"deletionVector":null},"remove":null}`},
		{"commit info of any shape", `{"commitInfo":["free"]}` + `{"commitInfo":"free"}` + info + addA},
		{"stats full of quotes", info + `{"add":{"path":"a","size":1,"stats":"{\"numRecords\":1,\"x\":\"}{\\\"\"}"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scanText(c.text)
			require.NoError(t, err)
			assert.Equal(t, want, got.Files)
			assert.Equal(t, "WRITE", got.Operation)
			assert.Equal(t, int64(len(c.text)), got.Size)
			assert.Equal(t, sha256.Sum256([]byte(c.text)), got.SHA256, "of the bytes as they are")
			slow, err := ScanCommit(iotest.OneByteReader(strings.NewReader(c.text)))
			require.NoError(t, err)
			assert.Equal(t, got, slow)
		})
	}
}

func TestScanCommitRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"empty (H5)", "", ErrIncomplete},
		{"byte order mark alone", "\xef\xbb\xbf", ErrIncomplete},
		{"white space alone", "\r\n \n", ErrIncomplete},
		{"cut in a value (H5)", info + "\n" + addA[:20], ErrIncomplete},
		{"cut in a literal", `tr`, ErrIncomplete},
		{"NULs behind the end", info + "\x00\x00\x00", ErrCorrupt},
		{"not JSON", "hello", ErrCorrupt},
		{"a value that is no object", `[` + addA + `]`, ErrCorrupt},
		{"a number", `17`, ErrCorrupt},
		{"null", `null`, ErrCorrupt},
		{"action that is no object", `{"add":"a"}`, ErrCorrupt},
		{"no path", `{"add":{"size":1}}`, ErrCorrupt},
		{"path is a number", `{"add":{"path":1}}`, ErrCorrupt},
		{"path twice", `{"add":{"path":"a","path":"b"}}`, ErrCorrupt},
		{"action twice", `{"add":{"path":"a"},"add":{"path":"b"}}`, ErrCorrupt},
		{"two actions in one", `{"add":{"path":"a"},"remove":{"path":"b"}}`, ErrCorrupt},
		{"path not UTF-8", "{\"add\":{\"path\":\"a\xff\"}}", ErrCorrupt},
		{"half of a surrogate pair in a path", `{"add":{"path":"a\ud800"}}`, ErrCorrupt},
		{"half of a surrogate pair in a deletion vector", `{"add":{"path":"a","deletionVector":{"storageType":"u","pathOrInlineDv":"\udc0000000000000000000000"}}}`, ErrCorrupt},
		{"traversal (H20)", `{"add":{"path":"../a"}}`, ErrCorrupt},
		{"change data in the log (H20)", `{"cdc":{"path":"_delta_log/00000000000000000000.json"}}`, ErrCorrupt},
		{"absolute path: shallow clone", `{"add":{"path":"s3://b/a"}}`, ErrUnsupported},
		{"absolute deletion vector", `{"add":{"path":"a","deletionVector":{"storageType":"p","pathOrInlineDv":"s3://b/a"}}}`, ErrUnsupported},
		{"deletion vector of no type", `{"add":{"path":"a","deletionVector":{"pathOrInlineDv":"x"}}}`, ErrCorrupt},
		{"deletion vector that is none", `{"add":{"path":"a","deletionVector":7}}`, ErrCorrupt},
		{"adaptive metadata", `{"checkpoint":[{"path":"metadata/x"}]}`, ErrUnsupported},
		{"adaptive metadata root", `{"contentRoot":{"path":"metadata/x"}}`, ErrUnsupported},
		{"two protocols", `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}`, ErrCorrupt},
		{"protocol without a reader version", `{"protocol":{"minWriterVersion":2}}`, ErrCorrupt},
		{"features that are no list", `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":"x"}}`, ErrCorrupt},
		{"nested too deep", strings.Repeat(`{"x":`, 20_000), ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scanText(c.text)
			require.ErrorIs(t, err, c.want)
			assert.Nil(t, got)
			assert.Equal(t, c.want == ErrIncomplete, errors.Is(err, ErrIncomplete))
			assert.Equal(t, c.want == ErrIncomplete, errors.Is(err, io.ErrUnexpectedEOF))
			assert.Equal(t, c.want != ErrUnsupported, errors.Is(err, ErrCorrupt))
		})
	}
}

func TestH17ScanCommitValues(t *testing.T) {
	c, err := scanText(`{"commitInfo":{"inCommitTimestamp":9223372036854775807,"operation":"MERGE","operationParameters":{"operation":"no","n":1e400}}}
{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint","x"]}}
{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint","x"]}}
{"metaData":{"id":"11aa","configuration":{"delta.checkpointInterval":"10","n":5}}}
{"add":{"path":"a%20b/c","size":9007199254740993}}
{"add":{"path":"d","size":1.5}}
{"txn":{"appId":"x","version":9223372036854775807}}`)
	require.NoError(t, err)
	require.NotNil(t, c.InCommitTimestamp)
	assert.Equal(t, int64(9223372036854775807), *c.InCommitTimestamp, "not by way of a float (H17)")
	assert.Equal(t, "MERGE", c.Operation)
	assert.Equal(t, &Protocol{3, 7, []string{"v2Checkpoint"}, []string{"v2Checkpoint", "x"}}, c.Protocol)
	assert.Equal(t, &Metadata{ID: "11aa", Configuration: map[string]string{"delta.checkpointInterval": "10", "n": "5"}}, c.Metadata)
	assert.Equal(t, []File{{Path: "a b/c", Kind: KindData, Size: 9007199254740993}, {Path: "d", Kind: KindData}}, c.Files)
}

// TestKept: what a bundle may leave out because the version before has it.
func TestKept(t *testing.T) {
	add := func(path, dv string) string {
		return fmt.Sprintf(`{"add":{"path":%q,"deletionVector":%s}}`, path, dv)
	}
	remove := func(path, dv string) string {
		return fmt.Sprintf(`{"remove":{"path":%q,"deletionVector":%s}}`, path, dv)
	}
	data := func(kept bool) File { return File{Path: "a", Kind: KindData, Kept: kept} }
	dv := func(digit int, kept bool) File { return File{Path: bin(digit), Kind: KindDeletionVector, Kept: kept} }
	const none = "null"
	inline := `{"storageType":"i","pathOrInlineDv":"wi5b"}`
	for _, c := range []struct {
		name, text string
		files      []File
		removed    []string
	}{
		{"new file", add("a", none), []File{data(false)}, nil},
		{"first deletion vector", remove("a", none) + add("a", vector(1)), []File{data(true), dv(1, false)}, nil},
		{"the other way round", add("a", vector(1)) + remove("a", none), []File{data(true), dv(1, false)}, nil},
		{"another deletion vector", remove("a", vector(1)) + add("a", vector(2)), []File{data(true), dv(2, false)}, nil},
		{"deletion vector taken away", remove("a", vector(1)) + add("a", none), []File{data(true)}, nil},
		{"inline deletion vector", remove("a", none) + add("a", inline), []File{data(true)}, nil},
		{"path written otherwise", remove("%61", none) + add("a", vector(1)), []File{data(true), dv(1, false)}, nil},
		{"removed and added plainly: path reuse", remove("a", none) + add("a", none), []File{data(false)}, nil},
		{"RESTORE: added with its old vector", add("a", vector(1)), []File{data(false), dv(1, false)}, nil},
		{"the other file is removed", remove("b", none) + add("a", vector(1)), []File{data(false), dv(1, false)}, []string{"b"}},
		{"same vector file for another file", remove("b", vector(1)) + add("a", vector(1)), []File{data(false), dv(1, true)}, []string{"b"}},
		{"one vector file for two files", add("a", vector(1)) + add("b", vector(1)),
			[]File{data(false), dv(1, false), {Path: "b", Kind: KindData}}, nil},
		{"change data of a removed file", remove("a", vector(1)) + `{"cdc":{"path":"a"}}`, []File{{Path: "a", Kind: KindChangeData}}, []string{"a"}},
		{"removed twice", remove("a", none) + remove("a", vector(1)), nil, []string{"a"}},
		{"tombstones that name no file here", remove("s3://b/a", none) + remove("../a", none) + remove("b", `{"storageType":"p","pathOrInlineDv":"s3://b"}`), nil, []string{"b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := scanText(c.text)
			require.NoError(t, err)
			assert.Equal(t, c.files, got.Files)
			assert.Equal(t, c.removed, got.Removed)
			requireSorted(t, c.text, got.Files)
		})
	}
}

// requireSorted: SortFiles says the same of a commit, in the order of the paths.
func requireSorted(t *testing.T, text string, want []File) {
	t.Helper()
	sorted, err := SortFiles(strings.NewReader(text), 1) // all of it by way of the file
	require.NoError(t, err)
	defer func() { require.NoError(t, sorted.Close()) }()
	for range 2 {
		var got []File
		for f, err := range sorted.All() {
			require.NoError(t, err)
			got = append(got, f)
		}
		byPath := slices.SortedFunc(slices.Values(want), func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		require.Equal(t, byPath, got)
	}
}

// TestScanCommitUpTo: what names too many files is told all the same, but for these.
func TestScanCommitUpTo(t *testing.T) {
	text := info + `{"add":{"path":"a","deletionVector":` + vector(1) + `}}{"remove":{"path":"b","deletionVector":` + vector(2) + `}}{"cdc":{"path":"c"}}`
	all, err := scanText(text)
	require.NoError(t, err)
	for most, omitted := range map[int]bool{0: false, 5: false, 4: true, 1: true} {
		got, err := ScanCommitUpTo(strings.NewReader(text), most)
		require.NoError(t, err)
		want := *all
		if want.Omitted = omitted; omitted {
			want.Files, want.Removed = nil, nil
		}
		require.Equal(t, &want, got, most)
	}
	long := strings.Repeat("l/", 100) + "n"
	for most, omitted := range map[int]bool{2: true, 3: false} {
		got, err := ScanCommitUpTo(strings.NewReader(`{"add":{"path":"`+long+`"}}`), most)
		require.NoError(t, err)
		require.Equal(t, omitted, got.Omitted, "a long path counts more than once")
	}
	_, err = ScanCommitUpTo(strings.NewReader(text+`{"add":{"path":"../a"}}`), 1)
	require.ErrorIs(t, err, ErrCorrupt, "it is read to its end")
}

// TestScanCommitCut cuts a commit at every byte: either it is seen to be cut,
// or the cut lies between two actions and what is before it is read.
func TestScanCommitCut(t *testing.T) {
	actions := []string{info, `{"add":{"path":"a","size":1,"stats":"{\"n\":1}"}}`, `{"cdc":{"path":"c"}}`}
	whole := strings.Join(actions, "\n") + "\n"
	ends := map[int]int{} // offset of an end to how many files came before
	at := 0
	for i, a := range actions {
		at += len(a)
		ends[at], ends[at+1] = i, i
		at++
	}
	for n := range len(whole) {
		c, err := scanText(whole[:n])
		if files, isEnd := ends[n]; isEnd {
			require.NoError(t, err, "cut at %d", n)
			require.Len(t, c.Files, files, "cut at %d", n)
			continue
		}
		require.ErrorIs(t, err, ErrIncomplete, "cut at %d: %q", n, whole[:n])
	}
}

func TestH11ScanCommitLongLine(t *testing.T) {
	long := `{"add":{"stats":"` + strings.Repeat("x", 20<<20) + `","path":"a","size":1}}`
	require.Greater(t, len(long), 20<<20)
	c, err := scanText(long + "\n" + info)
	require.NoError(t, err)
	assert.Equal(t, []File{{Path: "a", Kind: KindData, Size: 1}}, c.Files)
}

// endless yields one character for ever.
type endless struct{ c byte }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.c
	}
	return len(p), nil
}

func TestScanCommitEndlessAction(t *testing.T) {
	for _, c := range []struct {
		name string
		r    io.Reader
	}{
		{"string", io.MultiReader(strings.NewReader(`{"add":{"path":"`), endless{'x'})},
		{"white space", endless{'\n'}},
		{"number", endless{'1'}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := eachValueUpTo(1<<20, c.r, func([]byte) error { return nil })
			require.ErrorIs(t, err, ErrTooLarge)
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// TestScanCommitReaderFails: a stream that breaks is not a commit that is cut.
func TestScanCommitReaderFails(t *testing.T) {
	for _, broken := range []error{errors.New("cable"), io.ErrUnexpectedEOF} {
		for _, text := range []string{"", "\xef", info, info[:9], info + "\n"} {
			_, err := ScanCommit(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken)
			require.NotErrorIs(t, err, ErrCorrupt, "after %q", text)
		}
	}
}

// FuzzScanCommit: no panic, and what is accepted keeps its promises.
func FuzzScanCommit(f *testing.F) {
	for _, seed := range []string{
		info + "\n" + addA + "\n", "\xef\xbb\xbf" + addA, `{"remove":{"path":"a"}}{"add":{"path":"a","deletionVector":` + vector(1) + `}}`,
		`{"add":{"path":"\ud800"}}`, `{"a":{"b":[1,{"c":"\\"}]}, "metaData" : {"configuration":{"a":null}}}`, `{"checkpoint":[]}`, `{"add":{"path":"%2e%2e/x"}}`,
		`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"]}}`, "{}", "{", "",
	} {
		f.Add([]byte(seed))
	}
	for _, commit := range goldenCommits(f) {
		f.Add(commit)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ScanCommit(strings.NewReader(string(b)))
		slow, slowErr := ScanCommit(iotest.OneByteReader(strings.NewReader(string(b))))
		require.Equal(t, err == nil, slowErr == nil)
		require.Equal(t, c, slow)
		if err != nil {
			require.Nil(t, c)
			require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrUnsupported), "%v", err)
			return
		}
		require.Equal(t, int64(len(b)), c.Size)
		require.Equal(t, sha256.Sum256(b), c.SHA256)
		data := map[string]bool{}
		seen := map[string]bool{}
		for _, file := range c.Files {
			require.NoError(t, checkPath(file.Path))
			require.False(t, seen[file.Path], "%s twice", file.Path)
			require.GreaterOrEqual(t, file.Size, int64(0))
			seen[file.Path], data[file.Path] = true, file.Kind == KindData
		}
		for _, path := range c.Removed {
			require.NoError(t, checkPath(path))
			require.False(t, data[path], "%s is both added and removed", path)
		}
		requireSorted(t, string(b), c.Files)
	})
}

func BenchmarkScanCommit(b *testing.B) {
	line := `{"add":{"path":"part=%d/part-00000-3a0e4727-de0d-41b6-81ef-5223cf40f025-c000.snappy.parquet","partitionValues":{"part":"1"},"size":429,"modificationTime":1587968586000,"dataChange":true,"stats":"{\"numRecords\":10,\"minValues\":{\"id\":%d},\"maxValues\":{\"id\":99},\"nullCount\":{\"id\":0}}"}}` + "\n"
	for _, n := range []int{1, 1000, 50_000} {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, line, i, i)
		}
		b.Run(fmt.Sprintf("adds=%d", n), func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scanText(text.String()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestPathText(t *testing.T) {
	for raw, want := range map[string]string{
		`"a"`:                        "a",
		`"\ud83d\ude00"`:             "\U0001f600",
		`"\uD83D\uDE00\ufffd"`:       "\U0001f600\ufffd",
		"\"\ufffd\"":                 "\ufffd",
		`"\\ud800\ufffd"`:            `\ud800` + "\ufffd",
		`"\ud800"`:                   "",
		`"\udc00"`:                   "",
		`"\udc00\ud800"`:             "",
		`"\ud800\ud800\udc00"`:       "",
		`"\ud800\n\udc00"`:           "",
		`"\ud83d\ude00\ud83d"`:       "",
		"\"\ufffd\\ud83d\\\\ude00\"": "",
	} {
		got, err := pathText([]byte(raw))
		assert.Equal(t, want, got, raw)
		assert.Equal(t, want == "", errors.Is(err, ErrCorrupt), raw)
	}
}
