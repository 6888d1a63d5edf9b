package remote_test

import (
	"bytes"
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

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// A push dies at any operation; the next one, which lists as much or more, finishes it.
func TestFilesInBaseCutAnywhere(t *testing.T) {
	source := newPond(t)
	source.append("0")
	source.many(5)
	source.append("2")
	push := func(store storage.Store, most int) error {
		r := replicator(t, source.dir, store, &remote.Options{Concurrency: 1})
		remote.SetMaxListed(r, most)
		remote.SetPartSize(r, 900)
		_, err := r.Push(t.Context())
		return err
	}
	for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultMiddle} {
		for n := 1; ; n++ {
			left := storage.NewMemory()
			faulty, faults := storagetest.Fault(left, storagetest.FaultPlan{Kind: kind, N: n, Times: 1000, Err: errStopped})
			if err := push(faulty, 3); !faults.Reached() {
				require.NoError(t, err)
				require.Greater(t, n, 15)
				break
			}
			for _, most := range []int{3, 1000} {
				store := storage.NewMemory()
				copyAll(t, left, store)
				what := fmt.Sprintf("%s at operation %d, then %d", kind, n, most)
				require.NoError(t, push(store, most), what)
				requireSame(t, source.dir, restored(t, store))
				live, _ := initLive(t, store, remote.Options{Durability: remote.DurabilityRelaxed})
				requireVersion(t, source, live, source.next-1)
				requireClean(t, source.dir, store)
				require.NoError(t, os.RemoveAll(live))
			}
		}
	}
}

// slowStore lets other pushers come before any operation.
type slowStore struct {
	storage.Store
	mu  sync.Mutex
	rnd *rand.Rand
}

func (s *slowStore) wait() {
	s.mu.Lock()
	n := s.rnd.IntN(4)
	s.mu.Unlock()
	time.Sleep(time.Duration(n) * 300 * time.Microsecond)
}

func (s *slowStore) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	s.wait()
	return s.Store.Create(ctx, key, r, size)
}

// Pushers at the same moment, one of which lists more.
func TestFilesInBaseManyPushers(t *testing.T) {
	source := newPond(t)
	source.append("0")
	source.many(5)
	source.append("2")
	source.many(5)
	source.many(5)
	for seed := range uint64(15) {
		store := storage.NewMemory()
		var all sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			r := replicator(t, source.dir, &slowStore{Store: store, rnd: rand.New(rand.NewPCG(seed, uint64(i)))}, &remote.Options{MaxVersions: 1 + int(seed)%4})
			if i > 0 {
				remote.SetMaxListed(r, 3)
			}
			remote.SetPartSize(r, 900)
			all.Go(func() {
				for report := (remote.Report{Remaining: 1}); report.Remaining > 0 && errs[i] == nil; {
					report, errs[i] = r.Push(t.Context())
				}
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...), "seed %d", seed)
		requireSame(t, source.dir, restored(t, store))
		live, _ := initLive(t, store, remote.Options{})
		requireVersion(t, source, live, source.next-1)
	}
}

// whileCreating runs first before that object is created.
type whileCreating struct {
	storage.Store
	key   string
	first func()
}

func (s *whileCreating) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if key == s.key && s.first != nil {
		first := s.first
		s.first = nil
		first()
	}
	return s.Store.Create(ctx, key, r, size)
}

// vacuumed is a table, and a copy of it that lacks a file which version 2, of many, brought and
// version 3 removed.
func vacuumed(t *testing.T) (source, clean *pond, path string) {
	source = newPond(t)
	source.append("0")
	source.append("1")
	path = fmt.Sprintf("many-%d/0.parquet", source.many(5))
	source.commit(remove(path))
	source.append("4")
	clean = &pond{t: t, dir: t.TempDir(), next: source.next}
	copyTree(t, source.dir, clean.dir)
	require.NoError(t, os.Remove(filepath.Join(clean.dir, path)))
	return source, clean, path
}

// A pusher whose copy lacks a file is first: who has the file is told, however either lists.
func TestFilesInBaseOfAPusherThatLacksAFile(t *testing.T) {
	for _, ours := range []int{1000, 3} {
		for _, theirs := range []int{1000, 3} {
			source, clean, path := vacuumed(t)
			store := storage.NewMemory()
			_, err := replicator(t, source.dir, store, &remote.Options{MaxVersions: 2}).Push(t.Context())
			require.NoError(t, err)
			late := &whileCreating{Store: store, key: bundleOf(2)}
			if ours == theirs && ours == 3 {
				late.key = baseOf(2)
			}
			late.first = func() {
				r := replicator(t, clean.dir, store, &remote.Options{MaxVersions: 1})
				remote.SetMaxListed(r, theirs)
				_, err := r.Push(t.Context())
				// Where the first half of our own push is there, the base, they have what it has.
				if err != nil {
					require.Equal(t, []int{3, 3}, []int{ours, theirs})
				}
			}
			r := replicator(t, source.dir, late, &remote.Options{MaxVersions: 1})
			remote.SetMaxListed(r, ours)
			_, err = r.Push(t.Context())
			dir := filepath.Join(t.TempDir(), "replica")
			require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(2)}))
			if _, lacks := os.Stat(filepath.Join(dir, path)); lacks != nil {
				require.ErrorIs(t, err, remote.ErrDiverged, "%d and %d", ours, theirs)
			} else {
				require.NoError(t, err)
			}
		}
	}
}

// A push is cut off behind its base, which says that a file is absent. It is put back, and the
// next push brings it.
func TestFilesInBaseThatSaysAFileIsAbsent(t *testing.T) {
	source, clean, path := vacuumed(t)
	store := storage.NewMemory()
	_, err := listing3(t, clean.dir, withoutKey{store, bundleOf(2)}, nil).Push(t.Context())
	require.ErrorIs(t, err, errStopped)
	again := storage.NewMemory()
	copyAll(t, store, again)

	report := clean.pushListing3(again, nil)
	require.Equal(t, 1, report.Absent, "what the base says counts as this push's")

	require.Zero(t, source.pushListing3(store, nil).Absent)
	dir := filepath.Join(t.TempDir(), "replica")
	require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(2)}))
	require.FileExists(t, filepath.Join(dir, path))
	requireVersion(t, source, restored(t, store), 4)
}

// The version after a gap is one of many files: its base has what is live, its bundle the
// changes. So it does not matter how much who was cut off lists.
func TestFilesInBaseBesideAGap(t *testing.T) {
	for _, begun := range []bool{false, true} {
		for _, before := range []int{0, 3, 1000} { // who was cut off behind the base
			for _, most := range []int{3, 1000} {
				t.Run(fmt.Sprintf("begun %v, before %d, lists %d", begun, before, most), func(t *testing.T) {
					source, store := newPond(t), storage.NewMemory()
					source.append("0")
					behind := filepath.Join(t.TempDir(), "behind")
					if begun {
						source.pushListing3(store, nil)
						require.NoError(t, initIn(t, behind, store, remote.Options{}))
					}
					source.append("1")
					v := source.many(5)
					source.append("3")
					source.many(6)
					source.cleanUp(v)
					push := func(store storage.Store, most int) error {
						r := replicator(t, source.dir, store, nil)
						remote.SetMaxListed(r, most)
						_, err := r.Push(t.Context())
						return err
					}
					if before > 0 {
						require.ErrorIs(t, push(withoutKey{store, bundleOf(v)}, before), errStopped)
						require.Contains(t, objects(t, store), baseOf(v))
					}
					require.NoError(t, push(store, most))
					dir := restored(t, store)
					requireSpan(t, dir, v, source.next-1)
					requireVersion(t, source, dir, source.next-1)
					require.FileExists(t, filepath.Join(dir, "_change_data/c-4.parquet"))
					require.Equal(t, []string{"_change_data/c-2.parquet", v.CommitPath()}, carriedIn(t, store, bundleOf(v))[:2])
					live, _ := initLive(t, store, remote.Options{})
					requireVersion(t, source, live, source.next-1)
					if begun {
						require.ErrorIs(t, pullIn(t, behind, store, remote.Options{}), remote.ErrGap)
						require.NoError(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}))
						requireVersion(t, source, behind, source.next-1)
					}
					requireClean(t, source.dir, store)
				})
			}
		}
	}
}

// carriedIn returns the paths that a bundle carries.
func carriedIn(t *testing.T, store storage.Reader, key string) (paths []string) {
	codec, err := bundle.NewCodec(nil)
	require.NoError(t, err)
	_, err = codec.Decode(t.Context(), bytes.NewReader(read(t, store, key)), func(_ context.Context, m bundle.Member, r io.Reader) error {
		paths = append(paths, m.Path)
		_, err := io.Copy(io.Discard, r)
		return err
	})
	require.NoError(t, err)
	return paths
}

// A pusher who lists more goes by a head that is far behind, and meets such a version, whose
// base retention has removed, not yet its bundle.
func TestFilesInBaseBelowTheFloorAndAHeadThatLags(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.pushListing3(store, nil)
	before := storage.NewMemory()
	copyAll(t, store, before)
	source.append("1")
	source.many(5)
	var dead []action
	for k := range 5 {
		dead = append(dead, remove(fmt.Sprintf("many-2/%d.parquet", k)))
	}
	source.commit(dead...)
	source.append("4")
	source.pushListing3(store, nil)
	copyObject(t, store, before, bundleOf(2))
	source.base(store)
	pruneAll(t, store)
	require.NotContains(t, objects(t, store), baseOf(2))
	for _, key := range []string{"backups/head.json", bundleOf(2)} {
		if _, there := objects(t, store)[key]; there {
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
		}
		copyObject(t, before, store, key)
	}
	source.append("5")
	require.Equal(t, 1, source.mustPush(store).Versions)
	requireVersion(t, source, restored(t, store), 5)
}

// A name is used again beyond a gap. A base that was taken there does not take it for the file
// that the store has, nor does who finds that base take an old one for the new.
func TestFilesInBaseUnderANameUsedBefore(t *testing.T) {
	for _, most := range []int{3, 1000} {
		for _, whole := range []bool{false, true} { // who pushes in the end has the log below
			for _, earlier := range []bool{false, true} { // it is used again by a version that is missing
				source, store := newPond(t), storage.NewMemory()
				source.append("0")
				source.write("reused", "old content")
				source.commit(add("reused", "old content"))
				source.pushListing3(store, nil)
				source.commit(remove("reused"))
				content, actions := "new content", []action(nil)
				if earlier {
					content = "new content, longer"
					source.commit(add("reused", content))
				} else {
					actions = append(actions, add("reused", content))
				}
				source.write("reused", content)
				for _, name := range []string{"a", "b", "c", "d"} {
					source.write(name, name)
					actions = append(actions, add(name, name))
				}
				v := source.commit(actions...)
				dir := t.TempDir()
				copyTree(t, source.dir, dir)
				source.cleanUp(v)
				_, err := replicator(t, source.dir, withoutKey{store, bundleOf(v)}, nil).Push(t.Context())
				require.ErrorIs(t, err, errStopped)
				if !whole {
					dir = source.dir
				}
				r := replicator(t, dir, store, nil)
				remote.SetMaxListed(r, most)
				_, err = r.Push(t.Context())
				require.NoError(t, err)
				live, _ := initLive(t, store, remote.Options{})
				require.Equal(t, content, readString(t, filepath.Join(live, "reused")))
			}
		}
	}
}

// commitsOnly is a table that cannot tell its state.
type commitsOnly struct{ dir *deltalog.Dir }

func (c commitsOnly) Tip(ctx context.Context) (deltalog.Version, error) { return c.dir.Tip(ctx) }
func (c commitsOnly) TipFrom(ctx context.Context, v deltalog.Version) (deltalog.Version, error) {
	return c.dir.TipFrom(ctx, v)
}
func (c commitsOnly) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	return c.dir.OpenCommit(ctx, v)
}
func (c commitsOnly) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	return c.dir.OpenFile(ctx, path)
}

// Where there can be no base the manifest lists all files.
func TestFilesInBaseWhereThereCanBeNone(t *testing.T) {
	push := func(source *pond, store storage.Reader) {
		source.pushListing3(store, nil)
		require.Contains(t, carriedIn(t, store, bundleOf(source.next-1)), fmt.Sprintf("many-%d/0.parquet", source.next-1))
	}
	t.Run("the state of the table cannot be read", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		for range 4 {
			source.append("x")
		}
		source.mustPush(store)
		source.cleanUp(3)
		require.NoError(t, os.WriteFile(filepath.Join(source.dir, deltalog.Version(3).CheckpointPath()), []byte("PAR1 no checkpoint PAR1"), 0o644))
		source.many(5)
		push(source, store)
	})
	t.Run("the base that is there is damaged", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.append("0")
		source.many(5)
		_, err := listing3(t, source.dir, withoutKey{store, bundleOf(1)}, nil).Push(t.Context())
		require.ErrorIs(t, err, errStopped)
		spoil(t, store, baseOf(1), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		push(source, store)
		requireSame(t, source.dir, restored(t, store))
	})
	t.Run("the base that is there names a bundle that was lost", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.append("0")
		source.many(5)
		source.pushSingly(store)
		source.base(store)
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), bundleOf(1)))
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		push(source, store)
		requireSame(t, source.dir, restored(t, store))
	})
	plain := newPond(t)
	plain.append("0")
	plain.many(5)
	odd := newPond(t)
	odd.write("z", "z")
	odd.commit(action{"protocol": map[string]any{"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": []string{"somethingNew"}}}, begin("x")[1], add("z", "z"))
	odd.many(5)
	for name, test := range map[string]struct {
		source *pond
		table  remote.LogReader
	}{
		"a table that cannot tell its state":            {plain, commitsOnly{openTable(t, plain.dir)}},
		"a feature that no checkpoint of ours can hold": {odd, openTable(t, odd.dir)},
	} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMemory()
			r, err := remote.New(test.table, store, nil)
			require.NoError(t, err)
			remote.SetMaxListed(r, 3)
			_, err = r.Push(t.Context())
			require.NoError(t, err)
			require.Empty(t, keysWith(t, store, "base.tar.zst"))
			requireSame(t, test.source.dir, restored(t, store))
		})
	}
}
