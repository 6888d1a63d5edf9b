package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// holed is a store that fails to create the bundle of a version once it has that of the next.
type holed struct {
	storage.Store
	v    deltalog.Version
	next chan struct{}
	once sync.Once
}

var errHoled = errors.New("no room for this one")

func (h *holed) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	switch key {
	case bundleOf(h.v):
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
		<-h.next
		return errHoled
	case bundleOf(h.v + 1):
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		err = h.Store.Create(context.WithoutCancel(ctx), key, bytes.NewReader(b), size)
		h.once.Do(func() { close(h.next) })
		return err
	}
	return h.Store.Create(ctx, key, r, size)
}

// drop removes a file of the table, which it does not need any more.
func (p *pond) drop(v deltalog.Version) {
	p.t.Helper()
	path := partOf(v)
	require.NoError(p.t, os.Remove(filepath.Join(p.dir, path)))
	p.commit(remove(path))
}

func partOf(v deltalog.Version) string { return fmt.Sprintf("part-%05d.parquet", int64(v)) }

// requireFile makes sure that a replica has the file of version v.
func requireFile(t *testing.T, dir string, v deltalog.Version, content string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, partOf(v)))
	require.NoError(t, err)
	require.True(t, content == string(got), "%s is another", partOf(v))
}

// TestAboveAHoleIsNotAbsent: what a push that failed has left above a bundle that did not get
// there is not lost where the table has lost it since.
func TestAboveAHoleIsNotAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		size int  // of the file of the version that fails
		both bool // its file goes, too
	}{
		"a small one below": {size: 100},
		"a large one below": {size: 17 << 20, both: true},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.append(soft(1, 9<<20))
			source.append(soft(2, c.size))
			source.append(soft(3, 17<<20))
			_, err := replicator(t, source.dir, &holed{Store: store, v: 2, next: make(chan struct{})}, nil).Push(t.Context())
			require.ErrorIs(t, err, errHoled)
			require.Contains(t, objects(t, store), bundleOf(3))
			absent := 0
			source.drop(3)
			if c.both {
				source.drop(2)
				absent++
			}
			report := source.mustPush(store)
			require.Equal(t, absent, report.Absent)

			dir := restored(t, store)
			requireFile(t, dir, 3, soft(3, 17<<20))
			require.FileExists(t, filepath.Join(dir, (source.next-1).CommitPath()))
			requireOnlyAbsent(t, store)
		})
	}
}

// requireOnlyAbsent makes sure that the store has nothing that Verify finds fault with, but for what the
// source had lost.
func requireOnlyAbsent(t *testing.T, store storage.Store) {
	t.Helper()
	v, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	for _, f := range v.Findings {
		require.Equal(t, remote.FindingAbsent, f.Kind, f)
	}
}

// noPlaces cannot read a file alone.
type noPlaces struct{ remote.BundleCodec }

func (noPlaces) Extract(context.Context, io.Reader, int64, []bundle.File, bundle.PutFunc) error {
	return bundle.ErrNoPlace
}

// TestAboveALossIsNotAbsent: bundles are lost, with the head, so the history ends below them. What
// comes after goes up again, also what the table has lost since, if that is good and of the table.
func TestAboveALossIsNotAbsent(t *testing.T) {
	noise3 := noise(3, 300_000)
	for name, c := range map[string]struct {
		prepare func(t *testing.T, source *pond, store storage.Store)
		options func(*remote.Options)
		stored  int64 // what a bundle holds at most, when it is pushed first
		parts   int64 // and again
		pack    bool
		absent  int
	}{
		"each a bundle": {},
		"the place is not known": {
			options: func(o *remote.Options) {
				codec, err := bundle.NewCodec(nil)
				require.NoError(t, err)
				o.Codec = noPlaces{codec}
			},
		},
		"into parts":             {parts: 250_000},
		"out of parts":           {stored: 100_000},
		"out of parts, into one": {stored: 100_000, parts: 250_000},
		"damaged": {
			prepare: func(t *testing.T, _ *pond, store storage.Store) { damage(t, store, bundleOf(3), 0.5) },
			absent:  1,
		},
		"cut off": {
			prepare: func(t *testing.T, _ *pond, store storage.Store) {
				b := read(t, store, bundleOf(3))
				lose(t, store, bundleOf(3))
				require.NoError(t, store.Create(t.Context(), bundleOf(3), bytes.NewReader(b[:len(b)/2]), -1))
			},
			absent: 1,
		},
		"of another history": {
			prepare: func(t *testing.T, source *pond, store storage.Store) {
				fork, other := newPond(t), storage.NewMemory()
				for range 4 {
					fork.append(noise(9, 300_000))
				}
				fork.pushSingly(other)
				lose(t, store, bundleOf(3))
				copyObject(t, other, store, bundleOf(3))
			},
			absent: 1,
		},
		"in a pack": {
			pack: true,
			prepare: func(t *testing.T, _ *pond, store storage.Store) {
				_, err := storeOnly(t, store, nil).Consolidate(t.Context())
				require.NoError(t, err)
				require.NotEmpty(t, keysWith(t, store, "/pack"))
				for v := deltalog.Version(2); v < 6; v++ {
					lose(t, store, bundleOf(v))
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.append(noise(1, 9<<20)) // too large for a run with what follows
			source.append("two")
			source.write("part-more", noise(8, 200_000)) // a file is never divided
			source.write(partOf(3), noise3)
			source.commit(add(partOf(3), noise3), add("part-more", noise(8, 200_000)))
			source.append("")
			source.append("five")
			r := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
			if c.stored > 0 {
				remote.SetPartSize(r, c.stored)
			}
			for range source.next {
				_, err := r.Push(t.Context())
				require.NoError(t, err)
			}
			if c.prepare != nil {
				c.prepare(t, source, store)
			}
			lose(t, store, bundleOf(1), "backups/head.json")
			if !c.pack {
				lose(t, store, bundleOf(2)) // the run that begins with it takes in what is above
			}
			source.drop(3)
			source.drop(4)
			o := &remote.Options{}
			if c.options != nil {
				c.options(o)
			}
			r = replicator(t, source.dir, store, o)
			if c.parts > 0 {
				remote.SetPartSize(r, c.parts)
			}
			report, err := r.Push(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.absent, report.Absent)

			dir := restored(t, store)
			if c.absent == 0 {
				requireFile(t, dir, 3, noise3)
			} else {
				require.NoFileExists(t, filepath.Join(dir, partOf(3)))
			}
			requireFile(t, dir, 4, "")
			requireFile(t, dir, 1, noise(1, 9<<20))
			require.FileExists(t, filepath.Join(dir, (source.next-1).CommitPath()))
		})
	}
}

// TestExtraFileAboveALoss: a run above a lost bundle has a file of the host's that is gone.
func TestExtraFileAboveALoss(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	extra := func(_ context.Context, v deltalog.Version) (paths []string, err error) {
		for n := range v + 1 {
			paths = append(paths, fmt.Sprintf("_large_files/%d", n))
		}
		return paths, nil
	}
	o := &remote.Options{Extra: extra, AllowMissing: true, MaxVersions: 1}
	for v := range 5 {
		source.append("some")
		source.write(fmt.Sprintf("_large_files/%d", v), noise(uint64(v), 100))
		if v == 1 {
			_, err := replicator(t, source.dir, store, o).Push(t.Context())
			require.NoError(t, err)
		}
	}
	_, err := replicator(t, source.dir, store, o).Push(t.Context())
	require.NoError(t, err)
	o.MaxVersions = 0
	report, err := replicator(t, source.dir, store, o).Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, report.Versions)
	require.NotContains(t, objects(t, store), bundleOf(3), "it is in a run")

	lose(t, store, bundleOf(1), "backups/head.json")
	require.NoError(t, os.Remove(filepath.Join(source.dir, "_large_files", "1")))
	require.NoError(t, os.Remove(filepath.Join(source.dir, "_large_files", "3")))
	report, err = replicator(t, source.dir, store, o).Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Absent, "nobody has that of version 1")
	got, err := os.ReadFile(filepath.Join(restored(t, store), "_large_files", "3"))
	require.NoError(t, err)
	require.True(t, noise(3, 100) == string(got))
}

// TestPushMeetsADamagedBundle: the error says what to do, and doing it mends the store.
func TestPushMeetsADamagedBundle(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	source.append(noise(2, 10_000))
	source.append("three")
	source.pushSingly(store)
	damage(t, store, bundleOf(2), 0.5)
	lose(t, store, bundleOf(1), "backups/head.json")
	hook := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
	_, err := hook.Push(t.Context())
	require.NoError(t, err)
	_, err = hook.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, bundleOf(2))
	require.ErrorContains(t, err, "remove the object and push again")

	lose(t, store, bundleOf(2))
	source.mustPush(store)
	requireSame(t, source.dir, restored(t, store))
}

// flippingOnce is a store of which one reading of a bundle comes with a bit flipped.
type flippingOnce struct {
	storage.Store
	key  string
	left atomic.Int32 // readings until then
}

func (f *flippingOnce) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := f.Store.Open(ctx, key, off, n)
	if err != nil || key != f.key || f.left.Add(-1) != 0 {
		return r, err
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	b[len(b)/2] ^= 1
	return io.NopCloser(bytes.NewReader(b)), nil
}

// TestDamagedOnTheLine: a bit that is flipped on the way makes a push neither give up a file nor
// believe that the bundle is damaged for good.
func TestDamagedOnTheLine(t *testing.T) {
	for name, c := range map[string]struct {
		gone bool
		most int // versions of a bundle
	}{
		"the file is taken":          {true, 0},
		"the bundle is settled with": {false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			flipped := 0
			for reading := range int32(8) {
				source, store := newPond(t), storage.NewMemory()
				source.append("zero")
				source.append("one")
				source.append(noise(2, 10_000))
				source.append("three")
				source.pushSingly(store)
				lose(t, store, bundleOf(1), "backups/head.json")
				if c.gone {
					source.drop(2)
				}
				line := &flippingOnce{Store: store, key: bundleOf(2)}
				line.left.Store(reading + 1)
				r := replicator(t, source.dir, line, &remote.Options{MaxVersions: c.most})
				for range 4 {
					report, err := r.Push(t.Context())
					if err != nil { // while it packs: the next push goes on
						require.ErrorIs(t, err, remote.ErrUnavailable)
					}
					require.Zero(t, report.Absent)
				}
				requireFile(t, restored(t, store), 2, noise(2, 10_000))
				if line.left.Load() <= 0 {
					flipped++
				}
			}
			require.NotZero(t, flipped)
		})
	}
}

// aboveALoss is a store with a bundle for each version from 0 on, whose file is of that content, and of
// which the bundle of version 1 and the head are lost then.
func aboveALoss(t *testing.T, contents ...string) (source *pond, store storage.Store) {
	t.Helper()
	source, store = newPond(t), storage.NewMemory()
	for _, content := range contents {
		source.append(content)
	}
	source.pushSingly(store)
	lose(t, store, bundleOf(1), "backups/head.json")
	return source, store
}

// A path that two versions of one run use for different files, against the protocol, is that of each.
func TestAboveALossAPathIsUsedAgain(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for _, content := range []string{"zero", "one", "first content"} {
		source.append(content)
	}
	source.pushSingly(store)
	source.commit(remove(partOf(2)))
	source.write(partOf(2), "the second content")
	again := source.commit(add(partOf(2), "the second content"))
	source.pushSingly(store)
	lose(t, store, bundleOf(1), "backups/head.json")
	source.drop(2)
	source.mustPush(store)
	dir := filepath.Join(t.TempDir(), "replica")
	require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(2)}))
	requireFile(t, dir, 2, "first content")
	require.ErrorIs(t, initIn(t, dir, store, remote.Options{Target: ptr(again)}), remote.ErrConflict)
}

// A pack above is damaged, and one of its bundles is still there alone.
func TestAboveALossADamagedPack(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for _, content := range []string{"zero", noise(1, 3<<20), "two", noise(3, 50_000), "four", "five"} {
		source.append(content)
	}
	source.pushSingly(store)
	_, err := storeOnly(t, store, nil).Consolidate(t.Context())
	require.NoError(t, err)
	damage(t, store, "backups/pack-000002-000005.tar.zst", 0.5)
	lose(t, store, bundleOf(1), "backups/head.json")
	source.drop(3)
	require.Zero(t, source.mustPush(store).Absent)
	requireFile(t, restored(t, store), 3, noise(3, 50_000))
}

// vanishedOnce is a store that once does not find a bundle which is there.
type vanishedOnce struct {
	storage.Store
	key  string
	left atomic.Int32 // readings until then
}

func (s *vanishedOnce) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if key == s.key && s.left.Add(-1) == 0 {
		return nil, fmt.Errorf("%w: %s", storage.ErrNotFound, key)
	}
	return s.Store.Open(ctx, key, off, n)
}

// What was listed and is not there for a moment is not given up.
func TestAboveALossABundleIsAway(t *testing.T) {
	for _, size := range []int{100, 3 << 20, 20 << 20} {
		for reading := range int32(7) {
			source, store := aboveALoss(t, "zero", "one", soft(2, size), "three")
			source.drop(2)
			away := &vanishedOnce{Store: store, key: bundleOf(2)}
			away.left.Store(reading + 1)
			report, err := source.push(away)
			if err != nil {
				report, err = source.push(away)
			}
			require.NoError(t, err)
			require.Zero(t, report.Absent)
			requireFile(t, restored(t, store), 2, soft(2, size))
		}
	}
}

// A run above that is longer than the bundles beside it are many.
func TestAboveALossALongRun(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 201 {
		source.append("x")
	}
	source.pushSingly(store)
	lose(t, store, bundleOf(2), "backups/head.json")
	source.append("y")
	source.mustPush(store) // a run that begins with version 2
	lose(t, store, bundleOf(150), bundleOf(1), "backups/head.json")
	source.drop(150)
	require.Zero(t, source.mustPush(store).Absent)
	requireFile(t, restored(t, store), 150, "x")
}

// A damaged bundle above a loss, which a run has again since: readers go by the run, and so does
// who pushes without a head, as long as it can be seen how far that bundle leads.
func TestDamagedBundleWithinARun(t *testing.T) {
	for name, part := range map[string]float64{"a file": 0.5, "the manifest": 0.99} {
		t.Run(name, func(t *testing.T) {
			var contents []string
			for v := range 6 {
				contents = append(contents, noise(uint64(v), 5000))
			}
			source, store := aboveALoss(t, contents...)
			damage(t, store, bundleOf(3), part)
			source.mustPush(store) // a run from version 1 on
			requireSame(t, source.dir, restored(t, store))

			lose(t, store, "backups/head.json")
			source.append("more")
			if _, err := source.push(store); name == "the manifest" { // which may lead further
				require.ErrorIs(t, err, remote.ErrCorrupt)
				require.ErrorContains(t, err, "remove the object and push again")
				lose(t, store, bundleOf(3))
			}
			source.mustPush(store)
			requireSame(t, source.dir, restored(t, store))

			replica := filepath.Join(t.TempDir(), "replica")
			require.NoError(t, initIn(t, replica, store, remote.Options{Target: ptr(2)}))
			_, err := replicator(t, replica, store, nil).Pull(t.Context())
			require.NoError(t, err)
			requireSame(t, source.dir, replica)
		})
	}
}

// A run is damaged, and nothing else has what it has: whoever stands within it, or before it, hears
// that, also where bundles follow.
func TestDamagedRunIsTold(t *testing.T) {
	for _, part := range []float64{0.5, 0.99} {
		for _, head := range []bool{true, false} {
			source, store := newPond(t), storage.NewMemory()
			for v := range 10 {
				source.append(noise(uint64(v), 5000))
			}
			source.mustPush(store) // a run from version 0 to 9
			for range 2 {
				source.append("more")
				source.mustPush(store)
			}
			replica := filepath.Join(t.TempDir(), "replica")
			require.NoError(t, initIn(t, replica, store, remote.Options{Target: ptr(4)}))
			damage(t, store, bundleOf(0), part)
			if !head {
				lose(t, store, "backups/head.json")
			}
			_, err := replicator(t, replica, store, nil).Pull(t.Context())
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.ErrorContains(t, err, bundleOf(0))
			require.NotErrorIs(t, err, remote.ErrGap)
			tip, err := openTable(t, replica).Tip(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 4, tip)
			_, err = initErr(t, store, remote.Options{})
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.NotErrorIs(t, err, remote.ErrGap)
		}
	}
}

// A run is damaged, and one that begins below has all of it, and more.
func TestDamagedRunWithinALongerOne(t *testing.T) {
	for _, head := range []bool{true, false} {
		source, store := newPond(t), storage.NewMemory()
		for v := range 4 {
			source.append(noise(uint64(v), 5000))
		}
		source.pushSingly(store)
		for v := 4; v < 10; v++ {
			source.append(noise(uint64(v), 5000))
		}
		source.mustPush(store) // versions 4 to 9
		source.append("ten")
		source.mustPush(store)
		lose(t, store, bundleOf(2), bundleOf(3), "backups/head.json")
		source.mustPush(store) // versions 2 to 10
		damage(t, store, bundleOf(4), 0.5)
		if !head {
			lose(t, store, "backups/head.json")
		}
		requireSame(t, source.dir, restored(t, store))
		for v := range deltalog.Version(10) {
			replica := filepath.Join(t.TempDir(), "replica")
			require.NoError(t, initIn(t, replica, store, remote.Options{Target: ptr(v)}))
			_, err := replicator(t, replica, store, nil).Pull(t.Context())
			require.NoError(t, err, "from version %d", v)
			requireSame(t, source.dir, replica)
		}
	}
}

// What a damaged bundle has beyond others is not taken for missing: a replica with a commit of its own
// there does not go across a gap.
func TestDamagedRunBeforeAGap(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		source, store := newPond(t), storage.NewMemory()
		source.append(noise(0, 5000))
		source.append(noise(1, 5000))
		source.pushSingly(store)
		for v := 2; v < 10; v++ {
			source.append(noise(uint64(v), 5000))
		}
		source.mustPush(store) // versions 2 to 9
		lose(t, store, bundleOf(1), "backups/head.json")
		_, err := replicator(t, source.dir, store, &remote.Options{MaxVersions: 5, NoBases: true}).Push(t.Context())
		require.NoError(t, err) // versions 1 to 5
		replica := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, replica, store, remote.Options{Target: ptr(8)}))
		own := &pond{t: t, dir: replica, next: 9}
		own.append("of its own")
		source.append("ten")
		source.append("eleven")
		source.cleanUp(10)
		source.mustPush(store)
		if damaged {
			damage(t, store, bundleOf(2), 0.99)
		}
		for _, across := range []bool{false, true} {
			_, err := replicator(t, replica, store, &remote.Options{AcrossGap: across}).Pull(t.Context())
			want := remote.ErrDiverged
			if damaged {
				want = remote.ErrCorrupt
			}
			require.ErrorIs(t, err, want)
		}
		require.FileExists(t, filepath.Join(replica, deltalog.Version(9).CommitPath()))
	}
}

// A damaged bundle beyond a head that lags, which a run has: a pull comes to the end in one go.
func TestDamagedBundleBeyondTheHead(t *testing.T) {
	for _, more := range []bool{false, true} {
		source, store := newPond(t), storage.NewMemory()
		var old []byte
		for v := range deltalog.Version(7) {
			source.append(noise(uint64(v), 5000))
			source.mustPush(store)
			if v == 3 {
				old = read(t, store, "backups/head.json")
			}
		}
		lose(t, store, bundleOf(2), "backups/head.json")
		source.mustPush(store) // versions 2 to 6
		if more {
			source.append("more")
			source.mustPush(store)
		}
		replica := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, replica, store, remote.Options{Target: ptr(3)}))
		lose(t, store, "backups/head.json")
		require.NoError(t, store.Create(t.Context(), "backups/head.json", bytes.NewReader(old), -1))
		damage(t, store, bundleOf(4), 0.5)
		_, err := replicator(t, replica, store, nil).Pull(t.Context())
		require.NoError(t, err)
		requireSame(t, source.dir, replica)
	}
}

// Of two damaged bundles the one is told that is in the way, and not the one whose version is there.
func TestDamagedBundleThatIsTold(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for v := range 8 {
		source.append(noise(uint64(v), 5000))
	}
	source.pushSingly(store)
	lose(t, store, bundleOf(2), "backups/head.json")
	_, err := replicator(t, source.dir, store, &remote.Options{MaxVersions: 3}).Push(t.Context())
	require.NoError(t, err) // versions 2 to 4
	lose(t, store, "backups/head.json")
	replica := filepath.Join(t.TempDir(), "replica")
	require.NoError(t, initIn(t, replica, store, remote.Options{Target: ptr(1)}))
	damage(t, store, bundleOf(3), 0.5)
	damage(t, store, bundleOf(6), 0.5)
	_, err = replicator(t, replica, store, nil).Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, bundleOf(6))
	tip, err := openTable(t, replica).Tip(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, tip)
}
