package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// deadLater: version 2 names five files; version 3 removes one of them.
func deadLater(t *testing.T) (p, copied *pond, path string) {
	p = newPond(t)
	p.append("0")
	p.append("1")
	v := p.many(5)
	path = fmt.Sprintf("many-%d/0.parquet", v)
	p.commit(remove(path))
	p.append("4")
	copied = &pond{t: t, dir: t.TempDir(), next: p.next}
	copyTree(t, p.dir, copied.dir)
	require.NoError(t, os.Remove(filepath.Join(copied.dir, path)))
	return p, copied, path
}

// hookCreate runs before once before the object of that key is created.
type hookCreate struct {
	storage.Store
	key    string
	once   sync.Once
	before func()
}

func (s *hookCreate) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if key == s.key {
		s.once.Do(s.before)
	}
	return s.Store.Create(ctx, key, r, size)
}

// Another pusher, whose copy was vacuumed, comes first. Who has the file must hear of it.
func TestRevSettleAbsent(t *testing.T) {
	for _, ours := range []int{1000, 3} {
		for _, theirs := range []int{1000, 3} {
			p, copied, path := deadLater(t)
			store := storage.NewMemory()
			p0 := replicator(t, p.dir, store, &remote.Options{MaxVersions: 2})
			_, err := p0.Push(t.Context())
			require.NoError(t, err)
			h := &hookCreate{Store: store, key: bundleOf(2)}
			if ours == 3 && theirs == 3 {
				h.key = baseOf(2)
			}
			h.before = func() {
				r := replicator(t, copied.dir, store, &remote.Options{MaxVersions: 1})
				remote.SetMaxListed(r, theirs)
				rep, err := r.Push(t.Context())
				require.NoError(t, err)
				if !(ours == 3) {
					require.Equal(t, 1, rep.Absent)
				}
			}
			r := replicator(t, p.dir, h, &remote.Options{MaxVersions: 1})
			remote.SetMaxListed(r, ours)
			rep, err := r.Push(t.Context())
			dir := filepath.Join(t.TempDir(), "r")
			ierr := initIn(t, dir, store, remote.Options{Target: ptr(2)})
			_, serr := os.Stat(filepath.Join(dir, path))
			t.Logf("ours %d theirs %d: push %v (absent %d); init %v; file %v", ours, theirs, err, rep.Absent, ierr, serr)
			if err == nil && serr != nil {
				t.Errorf("ours %d theirs %d: the push says nothing and a full restore lacks the file", ours, theirs)
			}
		}
	}
}

// A push is cut off after its base, in which a file is recorded absent; it is put back.
func TestRevPutBack(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, copied, path := deadLater(t)
		store := storage.NewMemory()
		_, err := replicator(t, copied.dir, store, &remote.Options{MaxVersions: 2}).Push(t.Context())
		require.NoError(t, err)
		r := replicator(t, copied.dir, withoutKey{store, bundleOf(2)}, &remote.Options{MaxVersions: 1})
		remote.SetMaxListed(r, most)
		_, err = r.Push(t.Context())
		t.Log(err)
		copyTree(t, p.dir, copied.dir)
		r = replicator(t, copied.dir, store, nil)
		remote.SetMaxListed(r, most)
		rep, err := r.Push(t.Context())
		dir := filepath.Join(t.TempDir(), "r")
		require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(2)}))
		_, serr := os.Stat(filepath.Join(dir, path))
		t.Logf("most %d: push %v absent %d, file %v", most, err, rep.Absent, serr)
		if err == nil && serr != nil && rep.Absent == 0 {
			t.Errorf("most %d: says nothing, and the file is not in the store", most)
		}
	}
}

// Another history left a base at that version; then ours is too large as well.
func TestRevForeignBase(t *testing.T) {
	for _, most := range []int{3, 1000} {
		p, store := newPond(t), storage.NewMemory()
		p.append("0")
		p.append("1")
		p.pushListing3(store, nil)
		fork := forked(t, p)
		fork.many(7)
		fork.append("fork")
		_, err := listing3(t, fork.dir, withoutKey{store, bundleOf(2)}, nil).Push(t.Context())
		require.Error(t, err)
		require.Contains(t, objects(t, store), baseOf(2))
		p.many(5)
		p.append("3")
		r := replicator(t, p.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err = r.Push(t.Context())
		t.Log(most, err)
		if most == 3 {
			require.ErrorIs(t, err, remote.ErrDiverged)
			left, err := listing3(t, p.dir, store, nil).Repair(t.Context(), true)
			require.NoError(t, err)
			t.Logf("%+v", left)
			p.pushListing3(store, nil)
		} else {
			require.NoError(t, err)
		}
		dir := restored(t, store)
		requireVersion(t, p, dir, 3)
		live, _ := initLive(t, store, remote.Options{})
		requireVersion(t, p, live, 3)
		for v := range deltalog.Version(4) {
			for _, h := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
				dir := filepath.Join(t.TempDir(), "r")
				require.NoError(t, initIn(t, dir, store, remote.Options{Target: &v, History: h}))
				requireVersion(t, p, dir, v)
			}
		}
		found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
		require.NoError(t, err)
		t.Log(found.Findings)
	}
}

// jitter yields before each operation.
type jitter struct {
	fullStore
	mu  sync.Mutex
	rnd *rand.Rand
}

func (s *jitter) wait() {
	s.mu.Lock()
	n := s.rnd.IntN(4)
	s.mu.Unlock()
	time.Sleep(time.Duration(n) * 300 * time.Microsecond)
}

func (s *jitter) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	s.wait()
	return s.fullStore.Create(ctx, key, r, size)
}

func (s *jitter) Put(ctx context.Context, key string, b []byte, m string) (string, error) {
	s.wait()
	return s.fullStore.Put(ctx, key, b, m)
}

func TestRevTwoPushers(t *testing.T) {
	p := newPond(t)
	p.append("0")
	p.append("1")
	p.many(5)
	p.append("3")
	p.many(5)
	p.many(5)
	p.append("6")
	for seed := range uint64(60) {
		store := storage.NewMemory().(fullStore)
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range 3 {
			j := &jitter{fullStore: store, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}
			r := replicator(t, p.dir, j, &remote.Options{MaxVersions: 1 + int(seed+uint64(i))%4})
			if seed%3 != 0 || i != 1 {
				remote.SetMaxListed(r, 3)
			}
			remote.SetPartSize(r, 900)
			wg.Go(func() {
				for {
					rep, err := r.Push(t.Context())
					if errors.Is(err, storage.ErrUnavailable) {
						continue
					}
					if errs[i] = err; err != nil || rep.Remaining == 0 {
						return
					}
				}
			})
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				t.Logf("seed %d pusher %d: %v", seed, i, err)
			}
		}
		require.NoError(t, errors.Join(errs...))
		if seed%4 == 0 {
			require.NoError(t, store.Delete(t.Context(), "backups/head.json"))
			p.pushListing3(store, nil)
		}
		dir := restored(t, store)
		requireVersion(t, p, dir, 6)
		requireSame(t, p.dir, dir)
		live, _ := initLive(t, store, remote.Options{})
		requireVersion(t, p, live, 6)
		if seed%5 == 0 {
			found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
			require.NoError(t, err)
			for _, f := range found.Findings {
				if f.Kind != remote.FindingHead && f.Kind != remote.FindingLeftover {
					t.Errorf("seed %d %+v", seed, f)
				}
			}
		}
	}
}
