package remote_test

import (
	"context"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// TestNoLimits: "as much as you like", as a host would write it.
func TestNoLimits(t *testing.T) {
	p, store := newPond(t), storage.NewMemory()
	p.append("rows")
	opts := &remote.Options{Memory: math.MaxInt64, Concurrency: math.MaxInt}
	_, err := replicator(t, p.dir, store, opts).Push(t.Context())
	require.NoError(t, err)
	_, err = replicator(t, t.TempDir()+"/replica", store, opts).Init(t.Context())
	require.NoError(t, err)
}

// crowd counts the parts that are open at once, and keeps each open for a while.
type crowd struct {
	storage.Store
	mu        sync.Mutex // guards what follows
	now, most int
}

func (c *crowd) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := c.Store.Open(ctx, key, off, n)
	if err != nil || !strings.Contains(key, "/part-") {
		return r, err
	}
	c.count(1)
	time.Sleep(time.Second)
	return leaving{r, c}, nil
}

func (c *crowd) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

type leaving struct {
	io.ReadCloser
	c *crowd
}

func (l leaving) Close() error { l.c.count(-1); return l.ReadCloser.Close() }

// TestPartsAtOnce: several bundles with several parts each are fetched at once.
func TestPartsAtOnce(t *testing.T) {
	p, store := newPond(t), &crowd{Store: storage.NewMemory()}
	for range 4 {
		p.commitLarge(8, 4000)
	}
	require.NoError(t, p.pushDivided(store))
	store.most = 0
	replica := t.TempDir() + "/replica"
	synctest.Test(t, func(t *testing.T) {
		_, err := replicator(t, replica, store, &remote.Options{Concurrency: 3}).Init(t.Context())
		require.NoError(t, err)
	})
	require.Equal(t, 3, store.most)
}
