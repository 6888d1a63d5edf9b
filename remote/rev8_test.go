package remote_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// logOnly is a table that cannot tell its state.
type logOnly struct{ d *deltalog.Dir }

func (l logOnly) Tip(ctx context.Context) (deltalog.Version, error) { return l.d.Tip(ctx) }
func (l logOnly) TipFrom(ctx context.Context, v deltalog.Version) (deltalog.Version, error) {
	return l.d.TipFrom(ctx, v)
}
func (l logOnly) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	return l.d.OpenCommit(ctx, v)
}
func (l logOnly) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	return l.d.OpenFile(ctx, path)
}

func TestRevLogOnly(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.append("0")
		p.many(5)
		r, err := remote.New(logOnly{openTable(t, p.dir)}, store, nil)
		require.NoError(t, err)
		remote.SetMaxListed(r, most)
		_, err = r.Push(t.Context())
		t.Log(most, err)
		if err != nil {
			t.Errorf("most %d: %v", most, err)
		}
	}
}

// A file dead at the tip is gone; a power cut of a relaxed pull leaves zeros under a name that no version has.
func TestRevFollow(t *testing.T) {
	p, store := newPond(t), storage.NewMemory()
	p.append("0")
	p.pushListing3(store, nil)
	dir := restored(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	r := replicator(t, dir, store, &remote.Options{Mode: remote.ModePull, SyncInterval: 10 * time.Millisecond})
	done := make(chan error, 1)
	go func() { done <- r.Follow(ctx) }()
	for i := range 6 {
		if i%2 == 0 {
			p.many(5)
		} else {
			p.append("x")
		}
		p.pushListing3(store, nil)
	}
	require.Eventually(t, func() bool {
		tip, err := openTable(t, dir).Tip(t.Context())
		return err == nil && tip == 6
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	err := <-done
	require.True(t, err == nil || errors.Is(err, context.Canceled))
	requireVersion(t, p, dir, 6)
	requireSame(t, p.dir, dir)
}

// Wrong bytes: a base over a gap by a pusher of a larger limit, whose index has an older content of a name that the version brings again.
func TestRevStaleContent(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.append("0")
		p.write("reused", "old content")
		p.commit(add("reused", "old content"))
		p.pushListing3(store, nil)
		p.commit(remove("reused"))
		p.write("reused", "new content")
		c := "new content"
		acts := []action{add("reused", c)}
		for _, n := range []string{"a", "b", "c", "d"} {
			p.write(n, n)
			acts = append(acts, add(n, n))
		}
		v := p.commit(acts...)
		whole := t.TempDir()
		copyTree(t, p.dir, whole)
		p.cleanUp(v)
		_, err := replicator(t, p.dir, withoutKey{store, bundleOf(v)}, nil).Push(t.Context())
		require.ErrorIs(t, err, storage.ErrUnavailable)
		r := replicator(t, whole, store, nil)
		remote.SetMaxListed(r, most)
		_, err = r.Push(t.Context())
		require.NoError(t, err)
		dir, _ := initLive(t, store, remote.Options{Target: ptr(2)})
		_ = dir
		for _, h := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
			dir := filepath.Join(t.TempDir(), "r")
			err = initIn(t, dir, store, remote.Options{History: h})
			b, rerr := os.ReadFile(filepath.Join(dir, "reused"))
			t.Log(most, h, err, string(b), rerr)
			if err == nil && string(b) != c {
				t.Errorf("most %d history %v: wrong bytes, no error", most, h)
			}
		}
	}
}
