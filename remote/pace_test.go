package remote_test

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// line is a store far away: each request waits for its answer, and then so many bytes
// come in a second.
type line struct {
	storage.Reader
	wait      time.Duration
	perSecond int64
}

func (l line) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	time.Sleep(l.wait)
	r, err := l.Reader.Open(ctx, key, off, n)
	return slowBody{r, l.perSecond}, err
}

type slowBody struct {
	io.ReadCloser
	perSecond int64
}

func (b slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	time.Sleep(time.Duration(n) * time.Second / time.Duration(b.perSecond))
	return n, err
}

// TestLiveByTheLine: what a live init reads over, rather than asking again, goes by
// what the line is like. One request a file once took longer than all of the history.
func TestLiveByTheLine(t *testing.T) {
	const keep, size = 3, 128 << 10 // two dead files between those that are live
	source, store := newPond(t), storage.NewMemory()
	for range 10 {
		source.scatter(30, keep, size)
		_, err := replicator(t, source.dir, store, &remote.Options{NoBases: true}).Push(t.Context())
		require.NoError(t, err)
	}
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)

	over := func(t *testing.T, wait time.Duration, perSecond int64, history remote.History) (took time.Duration, report remote.Report) {
		dir := filepath.Join(t.TempDir(), "replica")
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			far := line{store, wait, perSecond}
			var err error
			report, err = replicator(t, dir, far, &remote.Options{History: history, Concurrency: 1}).Init(t.Context())
			require.NoError(t, err)
			took = time.Since(begin)
		})
		if history == remote.HistoryLive {
			requireScattered(t, dir, source.next-1, keep, size)
		}
		return took, report
	}
	const live = 101 * size
	t.Run("data centre", func(t *testing.T) {
		wait := 25 * time.Millisecond
		took, report := over(t, wait, 80<<20, remote.HistoryLive)
		t.Logf("%s, %+v", took, report.Requests)
		assert.Less(t, took, 100*wait/2, "half of what a request for each file takes")
		assert.Less(t, report.Requests.Get, int64(30), "one for an object, but for the first")
		assert.Less(t, report.Requests.Received, int64(live*16/5))
	})
	t.Run("home", func(t *testing.T) {
		all, _ := over(t, 25*time.Millisecond, 1<<20, remote.HistoryFull)
		took, report := over(t, 25*time.Millisecond, 1<<20, remote.HistoryLive)
		t.Logf("full %s, live %s, %+v", all, took, report.Requests)
		assert.Less(t, took, all/2)
		assert.Less(t, report.Requests.Received, int64(live*6/5))
	})
}
