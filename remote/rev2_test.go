package remote_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// fullStore is a store with all optional abilities.
type fullStore interface {
	storage.Store
	storage.Deleter
	storage.Overwriter
}

// nthFails is a store whose n-th Create, of those that are no identity, fails, before or after its effect; dead: all after it fail, too.
type nthFails struct {
	fullStore
	n     int
	after bool
	dead  bool
	count int
	key   string
}

func (s *nthFails) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	s.count++
	if s.count < s.n || s.count > s.n && !s.dead {
		return s.fullStore.Create(ctx, key, r, size)
	}
	if s.count == s.n {
		s.key = key
	}
	if s.count == s.n && s.after {
		if err := s.fullStore.Create(ctx, key, r, size); err != nil {
			return err
		}
	}
	return fmt.Errorf("cut: %w", os.ErrPermission)
}

func (s *nthFails) Put(ctx context.Context, key string, b []byte, m string) (string, error) {
	if s.count >= s.n && s.dead {
		return "", os.ErrPermission
	}
	return s.fullStore.Put(ctx, key, b, m)
}

// largeParts: several large commits, with enough in them for parts of 1000 bytes.
func twoLarge(t *testing.T) *pond {
	source := largeInTheMiddle(t, true)
	source.commitLarge(5, 400)
	source.append("end")
	return source
}

func TestRevCutEverywhere(t *testing.T) {
	source := twoLarge(t)
	tip := source.next - 1
	opts := func() *remote.Options { return &remote.Options{Concurrency: 1} }
	for _, dead := range []bool{true, false} {
		for _, after := range []bool{false, true} {
			for n := 2; ; n++ {
				mem := storage.NewMemory().(fullStore)
				cut := &nthFails{fullStore: mem, n: n, after: after, dead: dead}
				r := listing3(t, source.dir, cut, opts())
				remote.SetPartSize(r, 900)
				_, err := r.Push(t.Context())
				if cut.count < n {
					require.NoError(t, err)
					break
				}
				for _, most := range []int{3, 1000} {
					store := storage.NewMemory().(fullStore)
					copyAll(t, mem, store)
					what := fmt.Sprint("cut at ", n, " ", cut.key, " after ", after, " dead ", dead, " then ", most, " err ", err)
					// what is there is restorable
					checkAllVersions(t, source, store, what)
					r := replicator(t, source.dir, store, opts())
					remote.SetMaxListed(r, most)
					remote.SetPartSize(r, 900)
					_, perr := r.Push(t.Context())
					require.NoError(t, perr, what)
					requireVersion(t, source, restored(t, store), tip)
					checkAllVersions(t, source, store, what)
					found, verr := replicator(t, source.dir, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
					require.NoError(t, verr, what)
					require.NoError(t, found.Err(), "%s %v", what, found.Findings)
				}
			}
		}
	}
}

// checkAllVersions restores the newest full and live; each must be what the source has.
func checkAllVersions(t *testing.T, source *pond, store storage.Reader, what string) {
	t.Helper()
	for _, h := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		dir, err := os.MkdirTemp("", "rev")
		require.NoError(t, err)
		place := filepath.Join(dir, "r")
		_, err = replicator(t, place, store, &remote.Options{History: h, Durability: remote.DurabilityRelaxed}).Init(t.Context())
		if err != nil {
			require.ErrorIs(t, err, remote.ErrEmptyStore, what)
			require.NoError(t, os.RemoveAll(dir))
			continue
		}
		tip, err := openTable(t, place).Tip(t.Context())
		require.NoError(t, err)
		if tip > 3 { // below, names are used again
			require.Equal(t, liveFiles(t, source.dir, tip), liveFiles(t, place, tip), what)
		}
		require.NoError(t, os.RemoveAll(dir))
	}
}

// a stale leftover with other bytes on the replica, under a path which the large commit brings and no version names.
func TestRevOrphan(t *testing.T) {
	for _, most := range []int{1000, 3} {
		source, store := largeInTheMiddle(t, false), storage.NewMemory()
		r := replicator(t, source.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err := r.Push(t.Context())
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "r")
		require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(2)}))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "many"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "many/3.parquet"), make([]byte, 400), 0o644))
		require.NoError(t, pullIn(t, dir, store, remote.Options{}), most)
		requireVersion(t, source, dir, 6)
	}
}

func TestRevUnsupportedFeature(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.write("z", "z")
		p.commit(append([]action{{"protocol": map[string]any{"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": []string{"somethingNew"}}}, begin("x")[1]}, add("z", "z"))...)
		p.commitLarge(5, 100)
		r := replicator(t, p.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err := r.Push(t.Context())
		require.NoError(t, err, most)
	}
}

var _ = deltalog.Version(0)
