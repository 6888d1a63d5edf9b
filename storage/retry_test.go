package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// naps records the waits instead of waiting.
type naps struct{ taken []time.Duration }

func (n *naps) sleep(ctx context.Context, d time.Duration) error {
	n.taken = append(n.taken, d)
	return ctx.Err()
}

func (n *naps) options() *storage.RetryOptions {
	return &storage.RetryOptions{
		Attempts: 4, Base: time.Second, Max: 3 * time.Second, Sleep: n.sleep,
		Random: func() float64 { return 0.5 },
	}
}

var errDown = fmt.Errorf("service says 503: %w", storage.ErrUnavailable)

// flaky fails each operation fails times before it works, cuts streams after
// chunk bytes and listings after chunk keys.
type flaky struct {
	storage.Store
	storage.Deleter
	storage.Overwriter
	fails int
	err   error
	chunk int
	calls int
}

func newFlaky(fails int) *flaky {
	m := storage.NewMemory()
	return &flaky{Store: m, Deleter: m.(storage.Deleter), Overwriter: m.(storage.Overwriter), fails: fails, err: errDown}
}

func (f *flaky) fail() error {
	f.calls++
	if f.calls <= f.fails {
		return f.err
	}
	return nil
}

func (f *flaky) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := f.fail(); err != nil {
		// As a driver does: it has read a part when it fails.
		if _, rerr := r.Read(make([]byte, 2)); rerr != nil {
			return rerr
		}
		return err
	}
	return f.Store.Create(ctx, key, r, size)
}

func (f *flaky) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	r, err := f.Store.Open(ctx, key, off, n)
	if err != nil || f.chunk == 0 {
		return r, err
	}
	return &cutStream{ReadCloser: r, left: f.chunk, err: f.err}, nil
}

// cutStream fails after left bytes, with the last of them.
type cutStream struct {
	io.ReadCloser
	left int
	err  error
}

func (c *cutStream) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, c.err
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	if c.left == 0 && err == nil {
		err = c.err
	}
	return n, err
}

func (f *flaky) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		if err := f.fail(); err != nil {
			yield(storage.Info{}, err)
			return
		}
		n := 0
		for info, err := range f.Store.List(ctx, prefix, after) {
			if n++; f.chunk > 0 && n > f.chunk && err == nil {
				yield(storage.Info{}, f.err)
				return
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func (f *flaky) Delete(ctx context.Context, key string) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.Deleter.Delete(ctx, key)
}

func (f *flaky) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := f.fail(); err != nil {
		return nil, "", err
	}
	return f.Overwriter.Get(ctx, key)
}

func (f *flaky) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	if err := f.fail(); err != nil {
		return "", err
	}
	return f.Overwriter.Put(ctx, key, b, ifMatch)
}

// operations are those that are retried.
var operations = map[string]func(ctx context.Context, s storage.Store) error{
	"create": func(ctx context.Context, s storage.Store) error {
		return s.Create(ctx, "new", strings.NewReader("0123456789"), 10)
	},
	"open": func(ctx context.Context, s storage.Store) error {
		r, err := s.Open(ctx, "k", 0, -1)
		if err != nil {
			return err
		}
		return r.Close()
	},
	"list": func(ctx context.Context, s storage.Store) error {
		var last error
		for _, err := range s.List(ctx, "", "") {
			last = err
		}
		return last
	},
	"delete": func(ctx context.Context, s storage.Store) error { return s.(storage.Deleter).Delete(ctx, "k") },
	"get": func(ctx context.Context, s storage.Store) error {
		_, _, err := s.(storage.Overwriter).Get(ctx, "k")
		return err
	},
}

func TestRetryAttempts(t *testing.T) {
	other := errors.New("something else")
	for name, op := range operations {
		for _, c := range []struct {
			fails, calls int
			err, want    error
		}{
			{0, 1, errDown, nil},
			{1, 2, errDown, nil},
			{3, 4, errDown, nil},
			{4, 4, errDown, storage.ErrUnavailable},
			{1, 1, storage.ErrDenied, storage.ErrDenied},
			{1, 1, storage.ErrExists, storage.ErrExists},
			{1, 1, other, other},
		} {
			t.Run(fmt.Sprintf("%s fails %d times with %v", name, c.fails, c.err), func(t *testing.T) {
				f := newFlaky(c.fails)
				f.err = c.err
				require.NoError(t, create(t, f.Store, "k", "content"))
				var n naps
				require.ErrorIs(t, op(t.Context(), storage.Retry(f, n.options())), c.want)
				require.Equal(t, c.calls, f.calls)
				require.Equal(t, []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 2250 * time.Millisecond}[:c.calls-1], nonNil(n.taken))
			})
		}
	}
}

func nonNil(d []time.Duration) []time.Duration { return append([]time.Duration{}, d...) }

func TestRetryCreateRewinds(t *testing.T) {
	f := newFlaky(2)
	var n naps
	r := strings.NewReader("header and body")
	_, err := r.Seek(7, io.SeekStart)
	require.NoError(t, err)
	s := storage.Retry(f, n.options())
	require.NoError(t, s.Create(t.Context(), "k", r, 8))
	got, _, err := f.Overwriter.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "and body", string(got), "from where the reader stood, not from the start of it")

	f = newFlaky(1)
	err = storage.Retry(f, n.options()).Create(t.Context(), "k", io.MultiReader(strings.NewReader("abc")), 3)
	require.ErrorIs(t, err, storage.ErrUnavailable, "a stream cannot be read twice")
	require.Equal(t, 1, f.calls)
	require.NoError(t, storage.Retry(f, n.options()).Create(t.Context(), "k", strings.NewReader("abc"), 3), "nothing was left behind")
}

// TestRetryNotForTheSource: what the reader reads from may be a store as well.
func TestRetryNotForTheSource(t *testing.T) {
	for name, s := range map[string]storage.Store{"memory": storage.NewMemory(), "folder": openDir(t, t.TempDir())} {
		r := &failingSeeker{}
		err := storage.Retry(s, (&naps{}).options()).Create(t.Context(), "k", r, 10)
		require.ErrorIs(t, err, storage.ErrUnavailable, name)
		require.ErrorContains(t, err, "source: service says 503", name)
		require.Equal(t, 1, r.reads, name)
	}
}

// failingSeeker is a source that is away.
type failingSeeker struct{ reads int }

func (f *failingSeeker) Read([]byte) (int, error)       { f.reads++; return 0, errDown }
func (f *failingSeeker) Seek(int64, int) (int64, error) { return 0, nil }

func TestRetryNeverRepeatsPut(t *testing.T) {
	f := newFlaky(1)
	var n naps
	_, err := storage.Retry(f, n.options()).(storage.Overwriter).Put(t.Context(), "k", []byte("x"), "")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Equal(t, 1, f.calls)
}

func TestRetryResumesStreams(t *testing.T) {
	text := strings.Repeat("0123456789", 10)
	for _, c := range []struct{ chunk, off, n int }{{1, 0, -1}, {7, 0, -1}, {7, 13, 50}, {10, 0, 100}, {100, 0, -1}, {1000, 5, -1}, {3, 98, 30}, {3, 100, -1}, {3, 0, 0}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			f := newFlaky(0)
			f.chunk = c.chunk
			require.NoError(t, create(t, f.Store, "k", text))
			var n naps
			r, err := storage.RetryReader(f, n.options()).Open(t.Context(), "k", int64(c.off), int64(c.n))
			require.NoError(t, err)
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			want := text[c.off:]
			if c.n >= 0 {
				want = want[:min(c.n, len(want))]
			}
			require.Equal(t, want, string(b))
			require.NoError(t, r.Close())
			_, err = r.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		})
	}
}

// TestRetryShrunkObject: a stream that broke because its object lost bytes is opened
// again behind the new end, which is not the end of what was promised.
func TestRetryShrunkObject(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder)
	require.NoError(t, create(t, d, "k", strings.Repeat("x", 1000)))
	for _, n := range []int64{-1, 1000, 2000} {
		require.NoError(t, os.Truncate(filepath.Join(folder, "k"), 1000))
		r, err := storage.RetryReader(d, (&naps{}).options()).Open(t.Context(), "k", 0, n)
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 400))
		require.NoError(t, err)
		require.NoError(t, os.Truncate(filepath.Join(folder, "k"), 500))
		rest, err := io.ReadAll(r)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Nil(t, storage.Class(err), "%v", err)
		require.Len(t, rest, 100)
		require.NoError(t, r.Close())
	}
}

func TestRetryStreamGivesUp(t *testing.T) {
	f := newFlaky(0)
	require.NoError(t, create(t, f.Store, "k", "0123456789"))
	f.chunk = 4
	var n naps
	r, err := storage.RetryReader(f, n.options()).Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 4))
	require.NoError(t, err)
	f.fails = 1000 // from now on the service is down
	b, err := io.ReadAll(r)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Empty(t, b)
	require.Equal(t, 1+3, f.calls, "the first, and what is left of four attempts after the one that broke")
	_, again := r.Read(make([]byte, 1))
	require.Equal(t, err, again, "the error stays")
	require.NoError(t, r.Close())
}

func TestRetryResumesListings(t *testing.T) {
	f := newFlaky(0)
	var want []string
	for i := range 20 {
		key := fmt.Sprintf("dir/%02d", i)
		require.NoError(t, create(t, f.Store, key, "x"))
		want = append(want, key)
	}
	for _, chunk := range []int{1, 3, 20, 100} {
		f.chunk = chunk
		var n naps
		s := storage.RetryReader(f, n.options())
		seq := s.List(t.Context(), "dir/", "dir/04")
		for range 2 {
			var got []string
			for info, err := range seq {
				require.NoError(t, err)
				got = append(got, info.Key)
			}
			require.Equal(t, want[5:], got, "chunk %d", chunk)
		}
	}
}

func TestRetryEndsWithContext(t *testing.T) {
	for name, op := range operations {
		synctest.Test(t, func(t *testing.T) {
			f := newFlaky(1000)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			err := op(ctx, storage.Retry(f, &storage.RetryOptions{Attempts: 1000}))
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
			require.ErrorContains(t, err, "503", "what was waited for is not forgotten")
			require.Equal(t, time.Minute, time.Since(begin), "no later than ctx")
			require.Less(t, f.calls, 25, "waits grow")
			require.Greater(t, f.calls, 8, "but are bounded")
		})
	}
}

func TestRetryKeepsAbilities(t *testing.T) {
	m := storage.NewMemory()
	d, o := m.(storage.Deleter), m.(storage.Overwriter)
	for _, c := range []struct {
		d storage.Deleter
		o storage.Overwriter
	}{{nil, nil}, {d, nil}, {nil, o}, {d, o}} {
		counted, _ := storagetest.Count(storage.Retry(storage.Compose(m, c.d, c.o), nil))
		_, isDeleter := counted.(storage.Deleter)
		_, isOverwriter := counted.(storage.Overwriter)
		require.Equal(t, c.d != nil, isDeleter)
		require.Equal(t, c.o != nil, isOverwriter)
	}
}

// everyThird fails every third read operation, for the whole suite.
type everyThird struct {
	storage.Store
	n atomic.Int64
}

func (e *everyThird) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if e.n.Add(1)%3 == 0 {
		return nil, errDown
	}
	r, err := e.Store.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return &cutStream{ReadCloser: r, left: 100 << 10, err: errDown}, nil
}

func TestRetrySuite(t *testing.T) {
	noWait := &storage.RetryOptions{Base: 1, Max: 1}
	storagetest.RunWith(t, fast, func(*testing.T) storage.Store {
		return storage.Retry(&everyThird{Store: storage.NewMemory()}, noWait)
	})
}

func TestProbe(t *testing.T) {
	m := storage.NewMemory()
	require.NoError(t, storage.Probe(t.Context(), m, "probe"))
	require.NoError(t, storage.ProbeLarge(t.Context(), m, "probe-large", 2<<20))
	for _, err := range []error{storage.Probe(t.Context(), ignoring{}, "k"), storage.ProbeLarge(t.Context(), ignoring{}, "k", 1)} {
		require.ErrorIs(t, err, storage.ErrUnsafe)
	}
	err := storage.Probe(t.Context(), &flaky{Store: m, fails: 9, err: errDown}, "other")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NotErrorIs(t, err, storage.ErrUnsafe, "nothing was found out")
}

// ignoring is a service that ignores the condition of a create.
type ignoring struct{}

func (ignoring) Create(_ context.Context, _ string, r io.Reader, size int64) error {
	b, err := io.ReadAll(r)
	if err == nil && (int64(len(b)) != size || !bytes.HasPrefix(b, []byte("sluice created this object"))) {
		return errors.New("not the probe's content")
	}
	return err
}
