package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRoundTrip(t *testing.T) {
	many := make([]string, 10000)
	for i := range many {
		many[i] = fmt.Sprintf("part=%d/file-%d.parquet", i%10, i)
	}
	cases := map[string][][]string{
		"no files":      {{}},
		"one empty":     {{"empty.parquet"}},
		"several":       {{"a", "b", "c/d/e.parquet"}},
		"long names":    {{strings.Repeat("n", 255), strings.Repeat("d/", 100) + "f", strings.Repeat(strings.Repeat("e", 255)+"/", 15) + strings.Repeat("f", 256-1)}},
		"odd names":     {{"größe=ß/日本語.parquet", "a=b%2Fc/+ &?#.parquet", "new\nline\ttab", "🦆", " ", "x/.sluice/_delta_log", "path=1\nsize=2"}},
		"two versions":  {{"a"}, {"b"}},
		"files in none": {{}, {"b"}, {}},
		"10,000 files":  {many},
	}
	for name, versions := range cases {
		t.Run(name, func(t *testing.T) {
			files, m := tree{}, Manifest{Writer: Writer{Program: "p", Version: "1", Host: "h"}}
			for v, paths := range versions {
				m.Versions = append(m.Versions, version(files, int64(v), paths...))
			}
			raw, done := encode(t, m, files)
			got, u, err := decode(t, raw)
			require.NoError(t, err)
			assert.Equal(t, done, got)
			assert.Equal(t, files, u.files)
			checkMembers(t, done, u.members)
		})
	}
}

func checkMembers(t *testing.T, m Manifest, got []Member) {
	t.Helper()
	var want []Member
	for e := range m.members() {
		want = append(want, Member{e.Path, e.Size, e.modified})
	}
	assert.Equal(t, want, got)
}

func TestManifestKeepsEverything(t *testing.T) {
	files := tree{}
	v := version(files, 1234567, "data", "dv", "cdc", "extra")
	for i, kind := range []Kind{KindData, KindDeletionVector, KindChangeData, KindExtra} {
		v.Files[i].Kind = kind
	}
	v.Absent = []string{"gone.parquet"}
	v.Metadata = map[string]string{"Key With Ünicode": "<&>\x01", "txn_seq": "7"}
	v.Modified = time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
	m := Manifest{Versions: []Version{v}}
	raw, done := encode(t, m, files)
	got, _, err := decode(t, raw)
	require.NoError(t, err)
	require.Equal(t, done, got)
	assert.Zero(t, m.Versions[0].Files[0].SHA256, "the caller's manifest was written to")
	want := m.clone().Versions[0]
	for i := range want.Files {
		want.Files[i].Size = int64(len(files[want.Files[i].Path]))
		want.Files[i].SHA256 = digestOf(files[want.Files[i].Path])
	}
	want.Commit.Size, want.Commit.SHA256 = int64(len(files[want.Commit.Path])), digestOf(files[want.Commit.Path])
	assert.Equal(t, Manifest{Format: 1, Versions: []Version{want}}, unplaced(got))
}

func TestTimesSurvive(t *testing.T) {
	for _, when := range []time.Time{
		time.Unix(0, 0), time.Unix(0, 1), time.Unix(-1, 999999999), time.Unix(1<<33, 5),
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	} {
		t.Run(when.UTC().String(), func(t *testing.T) {
			files := tree{}
			v := version(files, 0, "a")
			v.Modified = when
			raw, _ := encode(t, Manifest{Versions: []Version{v}}, files)
			got, u, err := decode(t, raw)
			require.NoError(t, err)
			assert.True(t, when.Equal(got.Versions[0].Modified))
			assert.True(t, when.Equal(u.members[0].Modified))
		})
	}
}

func TestSameInputSameBytes(t *testing.T) {
	c := newCodec(t, Limits{})
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "a", "b", "c")}}
	files["a"] = bytes.Repeat([]byte("some text that shrinks "), 50000)
	pack := func(open OpenFunc) []byte {
		var b bytes.Buffer
		_, err := c.Encode(t.Context(), &b, m, open)
		require.NoError(t, err)
		return b.Bytes()
	}
	want := pack(files.open)
	// The compressor is used again, also after a failure, and a reader's
	// portions must not show.
	_, err := c.Encode(t.Context(), io.Discard, m, tree{"a": files["a"]}.open)
	require.Error(t, err)
	assert.Equal(t, want, pack(files.open))
	assert.Equal(t, want, pack(func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		r, size, err := files.open(ctx, path)
		return io.NopCloser(iotest.HalfReader(r)), size, err
	}))
	fresh, _ := encode(t, m, files)
	assert.Equal(t, want, fresh)
}

func TestLevels(t *testing.T) {
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "a")}}
	files["a"] = bytes.Repeat([]byte("0123456789"), 10000)
	for level := range 24 {
		c, err := NewCodec(&Options{Level: new(level)})
		if level > 22 {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = c.Encode(t.Context(), &b, m, files.open)
		require.NoError(t, err)
		_, u, err := decode(t, b.Bytes())
		require.NoError(t, err)
		assert.Equal(t, files, u.files)
	}
	_, err := NewCodec(&Options{Level: new(-1)})
	assert.Error(t, err)
	_, err = NewCodec(&Options{Limits: Limits{MaxMember: -1}})
	assert.Error(t, err)
	_, err = NewCodec(nil)
	assert.NoError(t, err)
}

func TestEncodeRefuses(t *testing.T) {
	negative := Digest{1}
	cases := map[string]struct {
		spoil func(m *Manifest, files tree)
		want  error
	}{
		"no versions":         {func(m *Manifest, _ tree) { m.Versions = nil }, ErrCorrupt},
		"newer format":        {func(m *Manifest, _ tree) { m.Format = 2 }, ErrUnsupported},
		"path":                {func(m *Manifest, _ tree) { m.Versions[0].Files[0].Path = "../x" }, ErrCorrupt},
		"path in the log":     {func(m *Manifest, _ tree) { m.Versions[0].Files[0].Path = commitPath(7) }, ErrCorrupt},
		"absent path":         {func(m *Manifest, _ tree) { m.Versions[0].Absent = []string{"/"} }, ErrCorrupt},
		"path twice":          {func(m *Manifest, _ tree) { m.Versions[0].Files[1].Path = "a" }, ErrCorrupt},
		"absent and there":    {func(m *Manifest, _ tree) { m.Versions[0].Absent = []string{"a"} }, ErrCorrupt},
		"kind":                {func(m *Manifest, _ tree) { m.Versions[0].Files[0].Kind = "odd" }, ErrUnsupported},
		"no kind":             {func(m *Manifest, _ tree) { m.Versions[0].Files[0].Kind = "" }, ErrUnsupported},
		"commit with kind":    {func(m *Manifest, _ tree) { m.Versions[0].Commit.Kind = KindData }, ErrCorrupt},
		"commit path":         {func(m *Manifest, _ tree) { m.Versions[0].Commit.Path = commitPath(2) }, ErrCorrupt},
		"negative version":    {func(m *Manifest, _ tree) { m.Versions[0].Version = -1 }, ErrCorrupt},
		"gap":                 {func(m *Manifest, _ tree) { m.Versions[1].Version, m.Versions[1].Commit.Path = 2, "" }, ErrCorrupt},
		"previous at 0":       {func(m *Manifest, _ tree) { m.Versions[0].Previous = &negative }, ErrCorrupt},
		"wrong previous":      {func(m *Manifest, _ tree) { m.Versions[1].Previous = &negative }, ErrCorrupt},
		"no previous above 0": {func(m *Manifest, _ tree) { m.Versions = m.Versions[1:]; m.Versions[0].Previous = nil }, ErrCorrupt},
		"no time":             {func(m *Manifest, _ tree) { m.Versions[0].Modified = time.Time{} }, ErrCorrupt},
		"time beyond":         {func(m *Manifest, _ tree) { m.Versions[0].Modified = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, ErrCorrupt},
		"operation":           {func(m *Manifest, _ tree) { m.Versions[0].Operation = "\xff" }, ErrCorrupt},
		"metadata":            {func(m *Manifest, _ tree) { m.Versions[0].Metadata = map[string]string{"k": "\xff"} }, ErrCorrupt},
		"writer":              {func(m *Manifest, _ tree) { m.Writer.Host = "\xff" }, ErrCorrupt},
		"member too large":    {func(_ *Manifest, files tree) { files["a"] = make([]byte, 5001) }, ErrTooLarge},
		"sum too large":       {func(_ *Manifest, files tree) { files["a"], files["b"] = make([]byte, 5000), make([]byte, 5000) }, ErrTooLarge},
		"too many members":    {func(m *Manifest, _ tree) { m.Versions[0].Files = make([]File, 20) }, ErrTooLarge},
		"manifest too large":  {func(m *Manifest, _ tree) { m.Versions[0].Operation = strings.Repeat("x", 3000) }, ErrTooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := tree{}
			m := Manifest{Versions: []Version{version(files, 0, "a", "b"), version(files, 1)}}
			tc.spoil(&m, files)
			c := newCodec(t, Limits{MaxMember: 5000, MaxTotal: 9000, MaxMembers: 10, MaxManifest: 3000})
			var b bytes.Buffer
			got, err := c.Encode(t.Context(), &b, m, files.open)
			require.ErrorIs(t, err, tc.want)
			assert.Zero(t, got)
			_, _, err = decode(t, b.Bytes())
			assert.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// brokenFile yields text and then the error read, if any, and fails to close
// with closed, if any.
type brokenFile struct {
	text         string
	read, closed error
}

func (f brokenFile) open() io.ReadCloser {
	r := io.Reader(strings.NewReader(f.text))
	if f.read != nil {
		r = io.MultiReader(r, iotest.ErrReader(f.read))
	}
	return struct {
		io.Reader
		io.Closer
	}{r, closer{f.closed}}
}

type closer struct{ err error }

func (c closer) Close() error { return c.err }

func TestEncodePassesFaultsOn(t *testing.T) {
	mine := errors.New("mine")
	text := strings.Repeat("x", 1000)
	cases := map[string]struct {
		file brokenFile
		size int64
		open error
		want []error
	}{
		"cannot open":       {open: mine, want: []error{mine}},
		"fails half-way":    {brokenFile{text[:10], mine, nil}, 1000, nil, []error{mine}},
		"fails at its end":  {brokenFile{text, mine, nil}, 1000, nil, []error{mine}},
		"fails to close":    {brokenFile{text, nil, mine}, 1000, nil, []error{mine}},
		"shorter":           {brokenFile{text: text[:999]}, 1000, nil, []error{ErrSize, io.ErrUnexpectedEOF}},
		"empty":             {brokenFile{}, 1000, nil, []error{ErrSize, io.ErrUnexpectedEOF}},
		"longer":            {brokenFile{text: text + "y"}, 1000, nil, []error{ErrSize}},
		"longer than empty": {brokenFile{text: "y"}, 0, nil, []error{ErrSize}},
		"negative":          {brokenFile{}, -1, nil, []error{ErrSize}},
	}
	for _, faulty := range []string{"a", commitPath(0)} {
		for name, tc := range cases {
			t.Run(faulty+" "+name, func(t *testing.T) {
				files := tree{}
				m := Manifest{Versions: []Version{version(files, 0, "a")}}
				var b bytes.Buffer
				_, err := newCodec(t, Limits{}).Encode(t.Context(), &b, m, func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
					if path == faulty {
						return tc.file.open(), tc.size, tc.open
					}
					return files.open(ctx, path)
				})
				for _, want := range tc.want {
					require.ErrorIs(t, err, want)
				}
				assert.NotErrorIs(t, err, ErrCorrupt)
				assert.ErrorContains(t, err, faulty)
				_, _, err = decode(t, b.Bytes())
				assert.ErrorIs(t, err, ErrCorrupt)
			})
		}
	}
}

// fullWriter takes n bytes and then fails.
type fullWriter struct {
	n   int
	err error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func TestEncodeWriterFails(t *testing.T) {
	mine := errors.New("disk full")
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "a")}}
	files["a"] = randomBytes(1 << 20)
	raw, _ := encode(t, m, files)
	for _, n := range []int{0, 1, 100000, len(raw) - 1} {
		_, err := newCodec(t, Limits{}).Encode(t.Context(), &fullWriter{n, mine}, m, files.open)
		assert.ErrorIs(t, err, mine, "at %d", n)
	}
}

func TestDecodePassesFaultsOn(t *testing.T) {
	raw, _ := small(t)
	mine := errors.New("mine")
	ignore := func(context.Context, Member, io.Reader) error { return nil }
	t.Run("put fails", func(t *testing.T) {
		_, err := newCodec(t, Limits{}).Decode(t.Context(), bytes.NewReader(raw), func(context.Context, Member, io.Reader) error { return mine })
		require.ErrorIs(t, err, mine)
		assert.NotErrorIs(t, err, ErrCorrupt)
	})
	t.Run("put reads nothing", func(t *testing.T) {
		_, err := newCodec(t, Limits{}).Decode(t.Context(), bytes.NewReader(raw), ignore)
		require.NoError(t, err)
	})
	t.Run("reader fails anywhere", func(t *testing.T) {
		// io.ErrUnexpectedEOF is what a cut connection gives, and the
		// decompressor has its own use for it.
		for _, fault := range []error{mine, io.ErrUnexpectedEOF} {
			for n := range len(raw) + 1 {
				r := io.MultiReader(bytes.NewReader(raw[:n]), iotest.ErrReader(fault))
				_, err := newCodec(t, Limits{}).Decode(t.Context(), r, ignore)
				require.ErrorIs(t, err, fault, "after %d bytes", n)
				require.NotErrorIs(t, err, ErrCorrupt, "after %d bytes", n)
			}
		}
	})
	t.Run("put hides the fault", func(t *testing.T) {
		bad := bytes.Clone(raw)
		bad = bad[:len(bad)/2]
		_, err := newCodec(t, Limits{}).Decode(t.Context(), bytes.NewReader(bad), func(_ context.Context, _ Member, r io.Reader) error {
			_, _ = io.Copy(io.Discard, r)
			return nil
		})
		require.ErrorIs(t, err, ErrCorrupt)
	})
}

func TestContextEnds(t *testing.T) {
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "a", "b")}}
	raw, _ := encode(t, m, files)
	c := newCodec(t, Limits{})
	mine := errors.New("mine")
	t.Run("encode", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := c.Encode(ctx, io.Discard, m, func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
			cancel(mine)
			return files.open(ctx, path)
		})
		assert.ErrorIs(t, err, context.Canceled)
	})
	t.Run("decode", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := c.Decode(ctx, bytes.NewReader(raw), func(context.Context, Member, io.Reader) error {
			cancel(mine)
			return nil
		})
		assert.ErrorIs(t, err, context.Canceled)
		assert.NotErrorIs(t, err, ErrCorrupt)
	})
}

func TestManyAtOnce(t *testing.T) {
	c := newCodec(t, Limits{})
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			files := tree{}
			m := Manifest{Versions: []Version{version(files, 0, "a", "b", "c")}}
			files["a"] = bytes.Repeat([]byte{byte(i)}, 100000*i)
			for range 20 {
				var b bytes.Buffer
				done, err := c.Encode(t.Context(), &b, m, files.open)
				require.NoError(t, err)
				var u unpacked
				got, err := c.Decode(t.Context(), &b, u.put)
				require.NoError(t, err)
				require.Equal(t, done, got)
				require.Equal(t, files, u.files)
			}
		})
	}
}

// A reader that yields nothing for ever is an error, not a loop.
func TestEncodeReaderWithoutProgress(t *testing.T) {
	files := tree{}
	m := Manifest{Versions: []Version{version(files, 0, "a")}}
	open := func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		return io.NopCloser(noProgress{}), 5, nil
	}
	_, err := newCodec(t, Limits{}).Encode(t.Context(), io.Discard, m, open)
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type noProgress struct{}

func (noProgress) Read([]byte) (int, error) { return 0, nil }

// Fits never refuses what Encode takes, and is not far from it.
func TestFits(t *testing.T) {
	m, files := Manifest{Versions: []Version{{Version: 0, Modified: time.Unix(1, 0)}}}, tree{commitPath(0): []byte("{}")}
	for i := range 1000 {
		path := fmt.Sprintf("f%d", i)
		files[path] = []byte("x")[:min(i, 1)] // one is empty
		m.Versions[0].Files = append(m.Versions[0].Files, File{Path: path, Kind: KindData, Size: int64(min(i, 1))})
	}
	_, done := encode(t, m, files)
	raw, err := marshal(done)
	require.NoError(t, err)
	size := int64(len(raw))
	require.NoError(t, newCodec(t, Limits{MaxManifest: size}).Fits(m))
	require.ErrorIs(t, newCodec(t, Limits{MaxManifest: size * 9 / 10}).Fits(m), ErrTooLarge)
	require.ErrorIs(t, newCodec(t, Limits{MaxMembers: 1000}).Fits(m), ErrTooLarge)
}
