package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// testRange is the size of ranges in these tests.
const testRange = 1000

// opener reads from a store in small ranges, with memory for as many ahead.
func opener(t *testing.T, store storage.Reader, concurrency, buffers int) remote.OpenFunc {
	t.Helper()
	r := storeOnly(t, store, &remote.Options{Concurrency: concurrency, Memory: int64(max(1, 2*buffers*testRange))})
	remote.SetRangeSize(r, testRange)
	return remote.Opener(r)
}

func storeWith(t *testing.T, key, content string) storage.Store {
	t.Helper()
	store := storage.NewMemory()
	require.NoError(t, store.Create(t.Context(), key, bytes.NewReader([]byte(content)), -1))
	return store
}

func TestRangesMakeUpTheObject(t *testing.T) {
	for _, size := range []int{0, 1, testRange - 1, testRange, testRange + 1, 7 * testRange, 7*testRange + 3} {
		content := noise(1, size)
		store := storeWith(t, "k", content)
		for _, buffers := range []int{0, 1, 3} {
			for name, c := range map[string]struct{ off, n, end int }{
				"all":              {0, size, size},
				"size not known":   {0, -1, size},
				"from the middle":  {size / 2, -1, size},
				"a part":           {size / 3, size / 2, size/3 + size/2},
				"beyond its end":   {size / 2, size + 5*testRange, size},
				"less than it has": {0, size / 2, size / 2},
			} {
				r, err := opener(t, store, 4, buffers)(t.Context(), "k", int64(c.off), int64(c.n))
				require.NoError(t, err)
				got, err := io.ReadAll(iotest.HalfReader(r))
				require.NoError(t, errors.Join(err, r.Close()))
				require.Equal(t, content[c.off:c.end], string(got), "%d bytes, %d buffers, %s", size, buffers, name)
			}
		}
	}
}

func TestRangesReadOfNothing(t *testing.T) {
	r, err := opener(t, storeWith(t, "k", "content"), 4, 3)(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	n, err := r.Read(nil)
	require.Zero(t, n)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	require.Equal(t, "content", string(got))
}

// What is small takes one request, whether its size is known or not.
func TestSmallObjectIsOneRequest(t *testing.T) {
	store, counter := storagetest.Count(storeWith(t, "k", noise(1, testRange-1)))
	for _, n := range []int64{testRange - 1, -1} {
		r, err := opener(t, store, 4, 3)(t.Context(), "k", 0, n)
		require.NoError(t, err)
		_, err = io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
		require.EqualValues(t, 1, counter.Reset().Open)
	}
}

// transferring is a store that knows what is under way.
type transferring struct {
	storage.Store
	together int // nothing is read until so many are open

	mu      sync.Mutex
	open    int
	most    int
	begun   int
	reached chan struct{} // closed when together are open
	handed  atomic.Int64  // bytes
}

func (s *transferring) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	s.most = max(s.most, s.open)
	if s.begun++; s.begun == s.together {
		close(s.reached)
	}
	return &transfer{r, s}, nil
}

type transfer struct {
	io.ReadCloser
	s *transferring
}

func (r *transfer) Read(p []byte) (int, error) {
	if r.s.together > 0 {
		select {
		case <-r.s.reached:
		case <-time.After(20 * time.Second):
			return 0, errors.New("no other range is being read")
		}
	}
	n, err := r.ReadCloser.Read(p)
	r.s.handed.Add(int64(n))
	return n, err
}

func (r *transfer) Close() error {
	r.s.mu.Lock()
	r.s.open--
	r.s.mu.Unlock()
	return r.ReadCloser.Close()
}

func TestRangesAreReadAtOnce(t *testing.T) {
	content := noise(1, 20*testRange)
	store := &transferring{Store: storeWith(t, "k", content), together: 4, reached: make(chan struct{})}
	r, err := opener(t, store, 4, 3)(t.Context(), "k", 0, int64(len(content)))
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	require.Equal(t, content, string(got))
	require.Equal(t, 4, store.most)
}

// A stream that reads out of memory has no request, so that another may run: with one
// place beside it two ranges are under way all the same.
func TestRangesOfOneStreamAlone(t *testing.T) {
	content := noise(1, 40*testRange) // 4 s on one connection
	far := line{storeWith(t, "k", content), 30 * time.Millisecond, 10 * testRange}
	for concurrency, most := range map[int]time.Duration{2: 2700 * time.Millisecond, 3: 1900 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			r, err := opener(t, far, concurrency, 4)(t.Context(), "k", 0, int64(len(content)))
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, errors.Join(err, r.Close()))
			require.Equal(t, content, string(got))
			require.Less(t, time.Since(begin), most, "%d at once", concurrency)
		})
	}
}

// All streams of a call together have no more requests under way than Concurrency,
// and no more bytes in memory than half of Memory.
func TestRangesKeepTheBudget(t *testing.T) {
	const streams, concurrency, buffers = 3, 5, 2
	content := noise(1, 30*testRange)
	store := &transferring{Store: storeWith(t, "k", content)}
	open := opener(t, store, concurrency, buffers)
	var delivered atomic.Int64
	var readers sync.WaitGroup
	for range streams {
		readers.Go(func() {
			r, err := open(t.Context(), "k", 0, int64(len(content)))
			if !assert.NoError(t, err) {
				return
			}
			var got []byte
			buf := make([]byte, 300)
			for err == nil {
				var n int
				n, err = r.Read(buf)
				got = append(got, buf[:n]...)
				delivered.Add(int64(n))
				// A stream may hold a read of 300 bytes that is not counted yet.
				assert.LessOrEqual(t, store.handed.Load()-delivered.Load(), int64(buffers*testRange+streams*len(buf)))
			}
			assert.Equal(t, io.EOF, err)
			assert.Equal(t, content, string(got))
			assert.NoError(t, r.Close())
		})
	}
	readers.Wait()
	assert.LessOrEqual(t, store.most, concurrency)
	assert.Greater(t, store.begun, len(content)/testRange/2, "one of them at least in ranges, the others where it leaves room")
}

// Where other streams have all the room a large object takes one request, whether its
// size is known or not, and what is left of it is read in ranges as soon as they end.
func TestRangesWhenOthersEnd(t *testing.T) {
	content := noise(1, 30*testRange)
	for _, n := range []int64{int64(len(content)), -1} {
		store := storeWith(t, "k", content)
		require.NoError(t, store.Create(t.Context(), "other", bytes.NewReader([]byte(content)), -1))
		counted := &opened{Store: store, key: "k"}
		open := opener(t, counted, 2, 3)
		other, err := open(t.Context(), "other", 0, int64(len(content)))
		require.NoError(t, err)
		r, err := open(t.Context(), "k", 0, n)
		require.NoError(t, err)
		begin := make([]byte, 10*testRange)
		_, err = io.ReadFull(r, begin)
		require.NoError(t, err)
		require.EqualValues(t, 1, counted.n.Load())

		require.NoError(t, other.Close())
		rest, err := io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
		require.Equal(t, content, string(begin)+string(rest))
		require.GreaterOrEqual(t, counted.n.Load(), int64(1+19), "one for each range but that which the first request still reads")
	}
}

// opened counts how often an object was opened.
type opened struct {
	storage.Store
	key string
	n   atomic.Int64
}

func (s *opened) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key == s.key {
		s.n.Add(1)
	}
	return s.Store.Open(ctx, key, off, n)
}

// An error in any range is told, once it is its turn, and for good.
func TestRangeThatFails(t *testing.T) {
	content := noise(1, 9*testRange)
	for n := 1; ; n++ {
		faulty, faults := storagetest.Fault(storeWith(t, "k", content), storagetest.FaultPlan{Kind: storagetest.FaultMiddle, N: n, Err: errStopped})
		r, err := opener(t, faulty, 4, 3)(t.Context(), "k", 0, int64(len(content)))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		if !faults.Reached() {
			require.NoError(t, err)
			require.Equal(t, 10, n)
			require.NoError(t, r.Close())
			return
		}
		require.ErrorIs(t, err, errStopped, "request %d", n)
		require.Equal(t, content[:len(got)], string(got))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, errStopped, "request %d, again", n)
		require.NoError(t, r.Close())
	}
}

func TestRangesEndWithTheContext(t *testing.T) {
	store := &transferring{Store: storeWith(t, "k", noise(1, 9*testRange))}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := opener(t, store, 4, 3)(ctx, "k", 0, -1)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, testRange+1))
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.Close())
	require.Zero(t, store.open, "nothing is left open")
}

// Whole tables come down through it, with places that lead into the middle of what
// is read in ranges, and with a bundle that was cut short.
func TestRestoreInRanges(t *testing.T) {
	source, store := dividedPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for _, memory := range []int64{2000, 8000, 1 << 20} {
		for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
			t.Run(fmt.Sprint(memory, history), func(t *testing.T) {
				dir := t.TempDir()
				r := replicator(t, dir, store, &remote.Options{Memory: memory, History: history})
				remote.SetRangeSize(r, testRange)
				_, err := r.Init(t.Context())
				require.NoError(t, err)
				v := deltalog.Version(1)
				require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
			})
		}
	}
	spoil(t, store, "backups/version-000001/bundle.tar.zst", func(b []byte) []byte { return b[:len(b)-testRange] })
	r := replicator(t, t.TempDir(), store, nil)
	remote.SetRangeSize(r, testRange)
	_, err = r.Init(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
}
