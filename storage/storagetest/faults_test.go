package storagetest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// faults are stores that break one promise each, and the case of the suite
// that must find it.
var faults = map[string]struct {
	finds string
	store faulty
}{
	"looks, then writes":        {"create/race", faulty{create: lookThenWrite}},
	"overwrites":                {"create/exists", faulty{create: overwrite}},
	"overwrites, to the probe":  {"probe", faulty{create: overwrite}},
	"keeps half":                {"create/failing_reader", faulty{create: keepHalf}},
	"keeps half at end of ctx":  {"create/ctx", faulty{create: keepHalf}},
	"believes any size":         {"create/wrong_size", faulty{create: anySize}},
	"holds on to the reader":    {"create/reader_let_go", readLate()},
	"lists backwards":           {"list/order", faulty{list: backwards}},
	"lists one page":            {"list/many", faulty{list: onePage}},
	"lists after itself":        {"list/prefix_and_after", faulty{list: inclusive}},
	"ignores ranges":            {"read/ranges", faulty{open: noRanges}},
	"missing objects are empty": {"read/not_found", faulty{open: missingIsEmpty}},
}

const envFault = "SLUICE_TEST_FAULT"

// TestSuiteFindsFaults runs the suite on each faulty store, in a process of its
// own, and wants the right case to fail there.
func TestSuiteFindsFaults(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			out := runChild(t, name, "^TestFaultyStore$/^"+strings.ReplaceAll(f.finds, "/", "$/^")+"$")
			require.Contains(t, out, "--- FAIL: TestFaultyStore/"+f.finds)
			require.NotContains(t, out, "panic:")
		})
	}
}

// TestFaultyStore is what TestSuiteFindsFaults runs in its child processes.
func TestFaultyStore(t *testing.T) {
	f, ok := faults[os.Getenv(envFault)]
	if !ok {
		t.Skip("only for the children of TestSuiteFindsFaults")
	}
	storagetest.RunWith(t, &storagetest.Options{LargeSize: 2 << 20}, func(*testing.T) storage.Store {
		f.store.memory = storage.NewMemory().(memory)
		return f.store
	})
}

// A skipped case that does not exist would be a test that nobody runs.
func TestSkipMustNameACase(t *testing.T) {
	if os.Getenv(envFault) == "skip" {
		opts := &storagetest.Options{Skip: map[string]string{"no such case": "why"}}
		storagetest.RunWith(t, opts, func(*testing.T) storage.Store { return storage.NewMemory() })
		return
	}
	out := runChild(t, "skip", "^TestSkipMustNameACase$/^none$")
	require.Contains(t, out, `"no such case" is no case`)
}

// runChild runs tests of this binary that must fail and returns what they print.
func runChild(t *testing.T, fault, pattern string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run="+pattern)
	c.Env = append(os.Environ(), envFault+"="+fault)
	out, err := c.CombinedOutput()
	require.Error(t, err, "the tests pass:\n%s", out)
	return string(out)
}

// memory is what the store of storage.NewMemory can do.
type memory interface {
	storage.Store
	storage.Deleter
	storage.Overwriter
}

// faulty is a memory store that replaces some of its methods.
type faulty struct {
	memory
	create func(ctx context.Context, s memory, key string, r io.Reader, size int64) error
	open   func(ctx context.Context, s memory, key string, off, n int64) (io.ReadCloser, error)
	list   func(all []storage.Info, after string) []storage.Info
}

func (f faulty) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if f.create != nil {
		return f.create(ctx, f.memory, key, r, size)
	}
	return f.memory.Create(ctx, key, r, size)
}

func (f faulty) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if f.open != nil {
		return f.open(ctx, f.memory, key, off, n)
	}
	return f.memory.Open(ctx, key, off, n)
}

func (f faulty) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	if f.list == nil {
		return f.memory.List(ctx, prefix, after)
	}
	return func(yield func(storage.Info, error) bool) {
		var all []storage.Info
		for info, err := range f.memory.List(ctx, prefix, "") {
			if err != nil {
				yield(storage.Info{}, err)
				return
			}
			all = append(all, info)
		}
		for _, info := range f.list(all, after) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func overwrite(ctx context.Context, s memory, key string, r io.Reader, _ int64) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, err = s.Put(ctx, key, b, "")
	return err
}

func lookThenWrite(ctx context.Context, s memory, key string, r io.Reader, size int64) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if _, _, err := s.Get(ctx, key); err == nil {
		return storage.ErrExists
	}
	for range 10_000 { // a network would leave others more time than this
		runtime.Gosched()
	}
	return overwrite(ctx, s, key, bytes.NewReader(b), size)
}

// keepHalf stores what it got before the reader failed or ctx ended.
func keepHalf(ctx context.Context, s memory, key string, r io.Reader, _ int64) error {
	b, err := io.ReadAll(r)
	kept := s.Create(context.WithoutCancel(ctx), key, bytes.NewReader(b), int64(len(b)))
	return errors.Join(err, ctx.Err(), kept)
}

func anySize(ctx context.Context, s memory, key string, r io.Reader, _ int64) error {
	return s.Create(ctx, key, r, -1)
}

// readLate returns a store that keeps the reader of a Create that came too late, and
// reads on when it is asked for something else.
func readLate() faulty {
	var held io.Reader
	return faulty{
		create: func(ctx context.Context, s memory, key string, r io.Reader, size int64) error {
			if key != "taken" || size >= 0 {
				return s.Create(ctx, key, r, size)
			}
			held = r
			return storage.ErrExists
		},
		open: func(ctx context.Context, s memory, key string, off, n int64) (io.ReadCloser, error) {
			if held != nil {
				_, _ = held.Read(make([]byte, 100)) // that it reads is the fault, not what
			}
			return s.Open(ctx, key, off, n)
		},
	}
}

func backwards(all []storage.Info, _ string) []storage.Info {
	slices.Reverse(all)
	return all
}

func onePage(all []storage.Info, after string) []storage.Info {
	all = slices.DeleteFunc(all, func(i storage.Info) bool { return i.Key <= after })
	return all[:min(len(all), 1000)]
}

func inclusive(all []storage.Info, after string) []storage.Info {
	return slices.DeleteFunc(all, func(i storage.Info) bool { return i.Key < after })
}

func noRanges(ctx context.Context, s memory, key string, _, _ int64) (io.ReadCloser, error) {
	return s.Open(ctx, key, 0, -1)
}

func missingIsEmpty(ctx context.Context, s memory, key string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Open(ctx, key, off, n)
	if errors.Is(err, storage.ErrNotFound) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return r, err
}
