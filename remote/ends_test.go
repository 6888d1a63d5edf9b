package remote_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// farStore takes a second for each read, which it counts.
type farStore struct {
	storage.Store
	reads atomic.Int64
}

func (f *farStore) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	f.reads.Add(1)
	time.Sleep(time.Second)
	return f.Store.Open(ctx, key, off, n)
}

// What is safe to vacuum is known by looking into runs of which the head does not tell any
// more: into several at once, and by one process only once.
func TestSafeVersionAsksOnce(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 60 {
		source.churn(2+i%3, 3, 10) // of different lengths, so that the head tells of 24
		source.mustPush(store)
	}
	synctest.Test(t, func(t *testing.T) {
		far := &farStore{Store: store}
		r := replicator(t, source.dir, far, nil)
		for i, most := range []int64{50, 8} {
			far.reads.Store(0)
			begin := time.Now()
			v, err := r.SafeVersion(t.Context())
			require.NoError(t, err)
			require.Equal(t, source.next-1, v)
			require.Less(t, far.reads.Load(), most, "call %d", i)
			require.Less(t, time.Since(begin), 12*time.Second, "call %d", i)
		}
	})
}
