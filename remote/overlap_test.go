package remote_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// slowToFinish is a store that has read a bundle long before it is there, as S3 puts large
// objects together from parts: here until the bundle behind it, if there is to be one, is being
// read too.
type slowToFinish struct {
	storage.Store
	bundles int

	mu     sync.Mutex
	begun  int
	next   chan struct{} // closed when one more has begun
	missed bool
}

func (s *slowToFinish) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if !strings.HasSuffix(key, "/bundle.tar.zst") {
		return s.Store.Create(ctx, key, r, size)
	}
	s.mu.Lock()
	s.begun++
	close(s.next)
	s.next = make(chan struct{})
	behind, last := s.next, s.begun == s.bundles
	s.mu.Unlock()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if !last {
		select {
		case <-behind:
		case <-time.After(20 * time.Second):
			s.mu.Lock()
			s.missed = true
			s.mu.Unlock()
		}
	}
	return s.Store.Create(ctx, key, bytes.NewReader(b), size)
}

// TestLargeBundlesOverlap: while the store puts one large object together the next is packed,
// within the memory of the default.
func TestLargeBundlesOverlap(t *testing.T) {
	source := newPond(t)
	const bundles, size = 3, 17 << 20 // more than is packed in memory
	for i := range bundles {
		source.append(noise(uint64(i), size))
	}
	store := &slowToFinish{Store: storage.NewMemory(), bundles: bundles, next: make(chan struct{})}
	_, err := replicator(t, source.dir, store, nil).Push(t.Context())
	require.NoError(t, err)
	require.False(t, store.missed, "a bundle waited until the one before was there")
	require.Equal(t, bundles, store.begun)
	requireSame(t, source.dir, restored(t, store))
}
