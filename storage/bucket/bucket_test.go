package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// fakeBucket is a gocloud driver that answers as a test says.
type fakeBucket struct {
	driver.Bucket // nil: a method that no test expects panics
	code          gcerrors.ErrorCode
	size          int64
	body          io.Reader
	openErr       error
	attrsErr      error
	writeErr      error
	onWrite       func(ctx context.Context, b []byte) error
	onUpload      func(io.Reader) error
	onList        func()
	pages         [][]string
}

func (f *fakeBucket) ErrorCode(error) gcerrors.ErrorCode { return f.code }
func (f *fakeBucket) As(any) bool                        { return false }
func (f *fakeBucket) ErrorAs(err error, i any) bool      { return errors.As(err, i) }

func (f *fakeBucket) Attributes(context.Context, string) (*driver.Attributes, error) {
	return &driver.Attributes{Size: f.size}, f.attrsErr
}

func (f *fakeBucket) NewRangeReader(context.Context, string, int64, int64, *driver.ReaderOptions) (driver.Reader, error) {
	return &fakeReader{f.body, f.size}, f.openErr
}

func (f *fakeBucket) ListPaged(_ context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if f.writeErr != nil {
		return nil, f.writeErr
	}
	if f.onList != nil {
		f.onList()
	}
	if opts.BeforeList != nil {
		if err := opts.BeforeList(f.As); err != nil {
			return nil, err
		}
	}
	page := &driver.ListPage{}
	for _, key := range f.pages[0] {
		page.Objects = append(page.Objects, &driver.ListObject{Key: key})
	}
	if f.pages = f.pages[1:]; len(f.pages) > 0 {
		page.NextPageToken = []byte("more")
	}
	return page, nil
}

func (f *fakeBucket) NewTypedWriter(ctx context.Context, _, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return &fakeWriter{ctx: ctx, f: f}, f.writeErr
}

type fakeReader struct {
	io.Reader
	size int64
}

func (r *fakeReader) Close() error { return nil }
func (r *fakeReader) As(any) bool  { return false }
func (r *fakeReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size}
}

type fakeWriter struct {
	bytes.Buffer
	ctx context.Context
	f   *fakeBucket
}

func (w *fakeWriter) Upload(r io.Reader) error {
	if w.f.onUpload != nil {
		return w.f.onUpload(r)
	}
	_, err := w.ReadFrom(r)
	return err
}

func (w *fakeWriter) Close() error {
	if w.f.onWrite == nil {
		return nil
	}
	return w.f.onWrite(w.ctx, w.Bytes())
}

func newFake(t *testing.T, f *fakeBucket, opts *Options) *Store {
	t.Helper()
	if f.code == 0 {
		f.code = gcerrors.Unknown
	}
	b, err := New(blob.NewBucket(f), opts)
	require.NoError(t, err)
	return b
}

func TestNewBucketRefusesFileblob(t *testing.T) {
	folder := t.TempDir() + "/bucket"
	b, err := fileblob.OpenBucket(folder, &fileblob.Options{CreateDir: true})
	require.NoError(t, err)
	for name, bucket := range map[string]*blob.Bucket{"plain": b, "prefixed": blob.PrefixedBucket(b, "p/")} {
		_, err = New(bucket, nil)
		require.ErrorIs(t, err, storage.ErrUnsafe, name)
		require.ErrorContains(t, err, "OpenDir", name)
	}
	again, err := fileblob.OpenBucket(folder, nil)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(folder))
	_, err = New(again, nil)
	require.ErrorIs(t, err, storage.ErrUnsafe, "its folder is gone")

	_, err = New(memblob.OpenBucket(nil), nil)
	require.NoError(t, err)
}

func TestBucketPrefix(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	whole, err := New(inner, nil)
	require.NoError(t, err)
	part, err := New(inner, &Options{Prefix: "pre/fix"})
	require.NoError(t, err)
	require.NoError(t, part.Create(t.Context(), "k", strings.NewReader("x"), 1))
	require.NoError(t, whole.Create(t.Context(), "pre/fix2/other", strings.NewReader("x"), 1))
	require.NoError(t, inner.WriteAll(t.Context(), "pre/fix/", nil, nil)) // as a console marks a folder
	require.NoError(t, inner.WriteAll(t.Context(), "pre/fix/folder/", nil, nil))
	require.Equal(t, []string{"k"}, bucketKeys(t, part, "", ""))
	require.Equal(t, []string{"pre/fix/k", "pre/fix2/other"}, bucketKeys(t, whole, "", ""))

	_, err = New(inner, &Options{Prefix: "/p"})
	require.ErrorIs(t, err, storage.ErrInvalidKey)
	long := strings.Repeat("k", storage.MaxKey-4)
	require.ErrorIs(t, part.Create(t.Context(), long, strings.NewReader("x"), 1), storage.ErrInvalidKey, "prefix and key together count")
	require.NoError(t, whole.Create(t.Context(), long, strings.NewReader("x"), 1))
}

func bucketKeys(t *testing.T, b *Store, prefix, after string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.List(t.Context(), prefix, after) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func TestBucketListStartAfter(t *testing.T) {
	f := &fakeBucket{pages: [][]string{{"p/b", "p/c"}, {"p/d"}}}
	var asked []string
	b := newFake(t, f, &Options{Prefix: "p", StartAfter: func(after string, _ func(any) bool) error {
		asked = append(asked, after)
		return nil
	}})
	require.Equal(t, []string{"c", "d"}, bucketKeys(t, b, "", "b"), "the service may begin at the key itself")
	require.Equal(t, []string{"p/b", "p/b"}, asked, "once for each page, with the whole key")
}

func TestBucketListOutOfOrder(t *testing.T) {
	for name, pages := range map[string][][]string{"on a page": {{"b", "a"}}, "across pages": {{"b"}, {"a"}}, "twice": {{"a"}, {"a"}}} {
		b := newFake(t, &fakeBucket{pages: pages}, nil)
		var last error
		for _, err := range b.List(t.Context(), "", "") {
			last = err
		}
		require.ErrorIs(t, last, errOrder, name)
	}
}

// TestBucketListPanics: the drivers panic on a page that lacks what every page has.
func TestBucketListPanics(t *testing.T) {
	s := newFake(t, &fakeBucket{onList: func() { panic("a nil pointer") }}, nil)
	var got []error
	require.NotPanics(t, func() {
		for _, err := range s.List(t.Context(), "", "") {
			got = append(got, err)
		}
	})
	require.Len(t, got, 1)
	require.ErrorIs(t, got[0], errPanic)
	require.ErrorContains(t, got[0], "nil pointer")
}

func TestBucketBrokenStreams(t *testing.T) {
	strange := errors.New("stream error: INTERNAL_ERROR; received from peer")
	for name, c := range map[string]struct {
		body io.Reader
		want error
	}{
		"cut cleanly":   {strings.NewReader("01234"), io.ErrUnexpectedEOF},
		"cut with text": {io.MultiReader(strings.NewReader("01234"), errReaderFunc(strange)), strange},
		"range ignored": {strings.NewReader("0123456789"), nil},
	} {
		b := newFake(t, &fakeBucket{size: 10, body: c.body}, nil)
		r, err := b.Open(t.Context(), "k", 1, -1)
		require.NoError(t, err)
		_, err = io.ReadAll(r)
		require.ErrorIs(t, err, storage.ErrUnavailable, name)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, name)
		}
		require.NoError(t, r.Close())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func errReaderFunc(err error) io.Reader {
	return readerFunc(func([]byte) (int, error) { return 0, err })
}

func TestBucketRangeNotSatisfiable(t *testing.T) {
	odd := errors.New("InvalidRange")
	for name, c := range map[string]struct {
		size, off, n int64
		attrsErr     error
		empty        bool
	}{
		"at the end":             {10, 10, 5, nil, true},
		"beyond":                 {10, 11, -1, nil, true},
		"of an empty object":     {0, 0, 5, nil, true},
		"inside is an error":     {10, 9, 1, nil, false},
		"whole is an error":      {0, 0, -1, nil, false},
		"size cannot be learned": {0, 5, -1, errors.New("no"), false},
	} {
		b := newFake(t, &fakeBucket{size: c.size, openErr: odd, attrsErr: c.attrsErr}, nil)
		r, err := b.Open(t.Context(), "k", c.off, c.n)
		if !c.empty {
			require.ErrorIs(t, err, odd, name)
			continue
		}
		require.NoError(t, err, name)
		got, err := io.ReadAll(r)
		require.NoError(t, err, name)
		require.Empty(t, got, name)
	}
}

// A driver that says that it stored what it cannot have read, or was told not
// to store, must not go unnoticed.
func TestBucketTornObject(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		upload func(io.Reader) error
		source io.Reader
	}{
		"reads nothing": {func(io.Reader) error { return nil }, strings.NewReader("x")},
		"reads a part":  {func(r io.Reader) error { _, err := r.Read(make([]byte, 1)); return err }, strings.NewReader("xy")},
		"swallows the failure": {func(r io.Reader) error { _, _ = io.ReadAll(r); return nil },
			io.MultiReader(strings.NewReader("x"), errReaderFunc(boom))},
	} {
		b := newFake(t, &fakeBucket{onUpload: c.upload}, nil)
		require.ErrorIs(t, b.Create(t.Context(), "k", c.source, -1), errTorn, name)
	}
}

// An upload that reads on in the background is cut off, not waited for.
func TestBucketLateRead(t *testing.T) {
	var kept io.Reader
	b := newFake(t, &fakeBucket{onUpload: func(r io.Reader) error { kept = r; return errors.New("gave up") }}, nil)
	require.Error(t, b.Create(t.Context(), "k", strings.NewReader("x"), -1))
	_, err := kept.Read(make([]byte, 1))
	require.ErrorIs(t, err, stream.ErrReturned)
}

// The failure of the source must have ended the driver's context before the
// driver is told to finish.
func TestBucketCancelsBeforeClose(t *testing.T) {
	var atClose error
	b := newFake(t, &fakeBucket{onWrite: func(ctx context.Context, _ []byte) error {
		atClose = ctx.Err()
		return atClose
	}}, nil)
	for name, r := range map[string]io.Reader{
		"fails":     io.MultiReader(strings.NewReader("x"), errReaderFunc(errors.New("boom"))),
		"too short": io.LimitReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }), smallObject),
	} {
		atClose = nil
		err := b.Create(t.Context(), "k", r, smallObject+1)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, context.Canceled, "%s: the reason is the source", name)
		require.ErrorIs(t, atClose, context.Canceled, name)
	}
}

func TestBucketMissing(t *testing.T) {
	b := newFake(t, &fakeBucket{code: gcerrors.NotFound, writeErr: errors.New("404")}, nil)
	require.ErrorIs(t, b.Create(t.Context(), "k", strings.NewReader("x"), 1), storage.ErrNoBucket)
	_, err := b.Put(t.Context(), "k", []byte("x"), "")
	require.ErrorIs(t, err, storage.ErrNoBucket)
	for _, err := range b.List(t.Context(), "", "") {
		require.ErrorIs(t, err, storage.ErrNoBucket)
	}
}

// Where the driver knows a missing bucket by itself, nothing else is one; and the name is told of
// what is about all of a bucket.
func TestBucketThatIsNamed(t *testing.T) {
	opts := &Options{Name: `bucket "pond"`}
	b := newFake(t, &fakeBucket{code: gcerrors.NotFound, writeErr: errors.New("404")}, opts)
	require.ErrorContains(t, b.Create(t.Context(), "k", strings.NewReader("x"), 1), `create k: no such bucket: bucket "pond": `)
	b = newFake(t, &fakeBucket{code: gcerrors.NotFound, openErr: errors.New("404")}, opts)
	_, err := b.Open(t.Context(), "k", 0, -1)
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.NotContains(t, err.Error(), "pond")

	b = newFake(t, &fakeBucket{code: gcerrors.NotFound, writeErr: errors.New("404")}, &Options{KnowsNoBucket: true})
	for _, err := range b.List(t.Context(), "", "") {
		require.Error(t, err)
		require.NoError(t, storage.Class(err))
	}
}

func TestBucketBufferSize(t *testing.T) {
	b := newFake(t, &fakeBucket{}, nil)
	for size, want := range map[int64]int{
		-1: partSize, 0: defaultMinBuffer, 100: defaultMinBuffer, 1 << 20: 1<<20 + 1, 100 << 20: partSize,
		5 << 40: 5 << 40 / maxParts,
	} {
		got := b.bufferSize(size)
		require.InDelta(t, want, got, 1, "size %d", size)
		require.LessOrEqual(t, size, int64(got)*maxParts)
	}
	require.Equal(t, 5<<20, newFake(t, &fakeBucket{}, &Options{MinBuffer: 5 << 20}).bufferSize(100))
}

type apiError string

func (e apiError) Error() string     { return "api error " + string(e) }
func (e apiError) ErrorCode() string { return string(e) }

type statusError int

func (e statusError) Error() string       { return fmt.Sprintf("status %d", int(e)) }
func (e statusError) HTTPStatusCode() int { return int(e) }

func TestBucketClasses(t *testing.T) {
	own := errors.New("the SDK's own")
	for name, c := range map[string]struct {
		err  error
		code gcerrors.ErrorCode
		want error
	}{
		"missing":                    {errors.New("x"), gcerrors.NotFound, storage.ErrNotFound},
		"exists":                     {errors.New("x"), gcerrors.FailedPrecondition, storage.ErrExists},
		"denied":                     {errors.New("x"), gcerrors.PermissionDenied, storage.ErrDenied},
		"throttled":                  {errors.New("x"), gcerrors.ResourceExhausted, storage.ErrUnavailable},
		"unknown":                    {errors.New("x"), gcerrors.Unknown, nil},
		"S3 conflict":                {apiError("ConditionalRequestConflict"), gcerrors.Unknown, storage.ErrUnavailable},
		"S3 slow down":               {apiError("SlowDown"), gcerrors.Unknown, storage.ErrUnavailable},
		"S3 no bucket":               {apiError("NoSuchBucket"), gcerrors.NotFound, storage.ErrNoBucket},
		"S3 bad signature":           {apiError("SignatureDoesNotMatch"), gcerrors.Unknown, storage.ErrDenied},
		"S3 unknown code":            {apiError("EntityTooLarge"), gcerrors.Unknown, nil},
		"503":                        {statusError(503), gcerrors.Unknown, storage.ErrUnavailable},
		"403 that gocloud mistakes":  {statusError(403), gcerrors.NotFound, storage.ErrDenied},
		"Google's 403":               {fmt.Errorf("x: %w", &googleapi.Error{Code: 403}), gcerrors.NotFound, storage.ErrDenied},
		"Google's 401":               {&googleapi.Error{Code: 401}, gcerrors.Unknown, storage.ErrDenied},
		"refused":                    {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, gcerrors.Unknown, storage.ErrUnavailable},
		"reset":                      {fmt.Errorf("x: %w", syscall.ECONNRESET), gcerrors.Unknown, storage.ErrUnavailable},
		"no such host is no absence": {&net.DNSError{Err: "no such host"}, gcerrors.NotFound, storage.ErrUnavailable},
		"cut":                        {io.ErrUnexpectedEOF, gcerrors.Unknown, storage.ErrUnavailable},
		"the SDK's time limit":       {context.DeadlineExceeded, gcerrors.Unknown, storage.ErrUnavailable},
		"the driver knows":           {own, gcerrors.NotFound, storage.ErrDenied},
	} {
		b := newFake(t, &fakeBucket{code: c.code, openErr: c.err}, &Options{Classify: func(err error) error {
			if errors.Is(err, own) {
				return storage.ErrDenied
			}
			return nil
		}})
		_, err := b.Open(t.Context(), "some/key", 0, -1)
		require.Error(t, err, name)
		require.Equal(t, c.want, storage.Class(err), "%s: %v", name, err)
		require.ErrorContains(t, err, "open some/key", name)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "%s: only the caller's own may show", name)
	}
}

func TestBucketHidesSignedURLs(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "https://acct.example/c/k?sv=1&sig=hunter2", Err: syscall.ECONNREFUSED}
	b := newFake(t, &fakeBucket{openErr: cause}, nil)
	_, err := b.Open(t.Context(), "k", 0, -1)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "https://acct.example/c/k?...")
	require.NotContains(t, err.Error(), "hunter2")
}
