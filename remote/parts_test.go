package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// commitLarge commits n files of size bytes at once.
func (p *pond) commitLarge(n, size int) deltalog.Version {
	p.t.Helper()
	var actions []action
	if p.next == 0 {
		actions = begin("large")
	}
	for i := range n {
		name := largeFile(p.next, i)
		content := noise(uint64(p.next)*1000+uint64(i), size)
		p.write(name, content)
		actions = append(actions, add(name, content))
	}
	return p.commit(actions...)
}

func largeFile(v deltalog.Version, i int) string { return fmt.Sprintf("large-%d/%d.parquet", v, i) }

// pushDivided pushes version by version, as a hook would, and divides what has
// more than 10,000 bytes.
func (p *pond) pushDivided(store storage.Reader) error {
	p.t.Helper()
	hook := replicator(p.t, p.dir, store, &remote.Options{MaxVersions: 1})
	remote.SetPartSize(hook, 10_000)
	for {
		report, err := hook.Push(p.t.Context())
		if err != nil || report.Remaining == 0 {
			return err
		}
	}
}

// dividedPond is a table whose version 1 has ten files of 4,000 bytes, so that it
// goes into four parts and a bundle, each with two of them.
func dividedPond(t *testing.T) *pond {
	source := newPond(t)
	source.churn(1, 3, 100)
	source.commitLarge(10, 4000)
	return source
}

func TestLargeCommitIsDivided(t *testing.T) {
	source, store := dividedPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	require.Len(t, keysWith(t, store, "version-000001/part-"), 4)
	require.Len(t, keysWith(t, store, "/part-"), 4)
	assert.Less(t, objects(t, store)["backups/version-000001/bundle.tar.zst"], int64(10_000), "two files of ten")
	behind := restored(t, store)
	requireSame(t, source.dir, behind)

	for _, data := range bothDepths {
		v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
		require.Empty(t, v.Findings)
		require.True(t, v.Table.Identical)
		require.EqualValues(t, 13, v.Files)
	}
	// A base refers to what lies in parts.
	source.churn(1, 3, 100)
	require.NoError(t, source.pushDivided(store))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.commitLarge(4, 4000)
	require.NoError(t, source.pushDivided(store))
	live, report := initLive(t, store, remote.Options{})
	require.Equal(t, deltalog.Version(2), *report.Base)
	require.Equal(t, liveFiles(t, source.dir, 3), liveFiles(t, live, 3))
	require.Empty(t, verify(t, live, store, remote.VerifyOptions{Data: true}).Findings)
	_, err = replicator(t, behind, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, behind)
}

// A file is never divided, and one that is large lies in the bundle if it is alone.
func TestLargeFileIsNotDivided(t *testing.T) {
	for n, parts := range map[int]int{1: 0, 2: 1, 3: 2} {
		source, store := newPond(t), storage.NewMemory()
		source.commitLarge(n, 30_000)
		require.NoError(t, source.pushDivided(store))
		require.Len(t, keysWith(t, store, "/part-"), parts)
		requireSame(t, source.dir, restored(t, store))
	}
}

// created records which keys were created, and of which how many bytes were read.
type created struct {
	storage.Store
	mu   sync.Mutex
	keys map[string]int64
}

func (c *created) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	var n counting
	err := c.Store.Create(ctx, key, io.TeeReader(r, &n), size)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = map[string]int64{}
	}
	c.keys[key] += int64(n)
	return err
}

type counting int64

func (c *counting) Write(b []byte) (int, error) {
	*c += counting(len(b))
	return len(b), nil
}

// A push that is cut off at any request is carried on by another process, which
// sends no part again that is there.
func TestPushOfPartsIsCarriedOn(t *testing.T) {
	source := dividedPond(t)
	resumed := map[int]bool{} // with how many parts there
	for _, kind := range []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultAfter, storagetest.FaultMiddle} {
		for n := 1; ; n++ {
			store := storage.NewMemory()
			faulty, faults := storagetest.Fault(store, storagetest.FaultPlan{Kind: kind, N: n, Times: 1000, Err: errStopped})
			err := source.pushDivided(faulty)
			if !faults.Reached() {
				require.NoError(t, err)
				break
			}
			before := objects(t, store)
			again := &created{Store: store}
			require.NoError(t, source.pushDivided(again), "%s %d", kind, n)
			sent := int64(0)
			for key, bytes := range again.keys {
				if strings.Contains(key, "/part-") {
					require.NotContains(t, before, key, "%s %d: sent twice", kind, n)
					sent += bytes
				}
			}
			there := int64(0)
			for key, size := range objects(t, store) {
				if _, old := before[key]; strings.Contains(key, "/part-") && !old {
					there += size
				}
			}
			require.Equal(t, there, sent, "%s %d", kind, n)
			require.Len(t, keysWith(t, store, "/part-"), 4, "%s %d", kind, n)
			v := verify(t, source.dir, store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err(), "%s %d", kind, n)
			require.True(t, v.Table.Identical, "%s %d", kind, n)
			if left := 4 - partsOf(again.keys); left > 0 {
				resumed[left] = true
			}
		}
	}
	require.Len(t, resumed, 4, "after each of the parts")
}

func partsOf(keys map[string]int64) (n int) {
	for key := range keys {
		if strings.Contains(key, "/part-") {
			n++
		}
	}
	return n
}

// cutOff is a store with what a push of version 1 has left that got as far as n
// parts.
func cutOff(t *testing.T, source *pond, n int) storage.Store {
	t.Helper()
	whole, store := storage.NewMemory(), storage.NewMemory()
	require.NoError(t, source.pushDivided(whole))
	for key := range objects(t, whole) {
		if !strings.Contains(key, "version-000001") {
			continue
		}
		if n > 0 && strings.Contains(key, "/part-") {
			copyObject(t, whole, store, key)
			n--
		}
	}
	_, err := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1}).Push(t.Context())
	require.NoError(t, err)
	return store
}

// What was left is used wherever it still is what the table has, and only there.
func TestPartsThatWereLeft(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, source *pond, store storage.Store)
		reused int
	}{
		"nothing changed": {func(*testing.T, *pond, storage.Store) {}, 2},
		"a checkpoint came": {func(t *testing.T, source *pond, _ storage.Store) {
			source.write("_delta_log/00000000000000000000.checkpoint.parquet", "no real one")
		}, 2},
		"a file was vacuumed": {func(t *testing.T, source *pond, store storage.Store) {
			kept := partsFiles(t, source, store)
			i := 0
			for slices.Contains(kept, largeFile(1, i)) {
				i++
			}
			source.commit(remove(largeFile(1, i)))
			require.NoError(t, os.Remove(filepath.Join(source.dir, largeFile(1, i))))
		}, 2},
		"a file was rewritten": {func(t *testing.T, source *pond, store storage.Store) {
			source.write(partsFiles(t, source, store)[0], noise(99, 4000))
		}, 1},
		"a part is garbage": {func(t *testing.T, _ *pond, store storage.Store) {
			spoil(t, store, keysWith(t, store, "/part-")[0], func([]byte) []byte { return []byte("garbage") })
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			source := dividedPond(t)
			store := cutOff(t, source, 2)
			before := keysWith(t, store, "/part-")
			c.change(t, source, store)
			again := &created{Store: store}
			err := source.pushDivided(again)
			if name == "a part is garbage" {
				require.ErrorIs(t, err, remote.ErrCorrupt)
				require.ErrorContains(t, err, "/part-", "its name is taken, and it is told which one it is")
				return
			}
			require.NoError(t, err)
			for _, key := range before {
				require.NotContains(t, again.keys, key)
			}
			named := 0
			v := verify(t, "", store, remote.VerifyOptions{Data: true})
			require.NoError(t, v.Err())
			for _, key := range before {
				if !slices.Contains(kinds(v), "leftover "+key) {
					named++
				}
			}
			require.Equal(t, c.reused, named)
			replica := restored(t, store)
			require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, replica, source.next-1))
		})
	}
}

// partsFiles are the table's files that lie in the parts of a store.
func partsFiles(t *testing.T, source *pond, store storage.Reader) (files []string) {
	t.Helper()
	for _, key := range keysWith(t, store, "/part-") {
		codec, err := bundle.NewCodec(nil)
		require.NoError(t, err)
		p, err := codec.DecodePart(t.Context(), bytes.NewReader(read(t, store, key)), func(context.Context, bundle.Member, io.Reader) error { return nil })
		require.NoError(t, err)
		for _, f := range p.Files {
			files = append(files, f.Path)
		}
	}
	require.Len(t, files, 4)
	return files
}

// A part that no bundle names goes when its bundle is there, not before.
func TestPruneOfParts(t *testing.T) {
	all := remote.PruneOptions{Delete: true, Grace: -1}
	source := dividedPond(t)
	store := cutOff(t, source, 2)
	v := verify(t, "", store, remote.VerifyOptions{})
	require.NoError(t, v.Err())
	require.Len(t, v.Findings, 2, "leftovers, that the next push may go on with")
	require.Empty(t, prune(t, store, all).Keys)

	orphan := keysWith(t, store, "/part-")[0]
	source.write(partsFiles(t, source, store)[0], noise(99, 4000))
	require.NoError(t, source.pushDivided(store))
	require.Zero(t, prune(t, store, remote.PruneOptions{Delete: true}).Keys, "within the grace period")
	require.Equal(t, []string{orphan}, prune(t, store, all).Keys)
	require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)

	// In a pack the bundle has its parts where they were.
	source.churn(3, 3, 10)
	source.pushSingly(store)
	consolidate(t, store)
	require.Contains(t, prune(t, store, all).Keys, "backups/version-000001/bundle.tar.zst")
	require.Len(t, keysWith(t, store, "/part-"), 4)
	require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)
	requireSame(t, source.dir, restored(t, store))
}

// What lies below the floor goes with its parts, unless a base refers to it.
func TestPruneBelowTheFloorTakesParts(t *testing.T) {
	source, store := dividedPond(t), storage.NewMemory()
	require.NoError(t, source.pushDivided(store))
	var gone []action
	for i := range 10 {
		gone = append(gone, remove(largeFile(1, i)))
	}
	source.commitLarge(4, 4000)
	source.commit(gone...)
	require.NoError(t, source.pushDivided(store))
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.churn(2, 3, 100)
	require.NoError(t, source.pushDivided(store))
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	}
	require.Empty(t, keysWith(t, store, "version-000001/"))
	require.Len(t, keysWith(t, store, "version-000002/part-"), 1)
	live, _ := initLive(t, store, remote.Options{})
	require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, live, source.next-1))
}

// A pack may still have a bundle below the floor whose parts are gone: for who pulls that
// is what was pruned, and no damage. A random simulation found it, with small parts.
func TestPullBelowTheFloorOfPartsThatWent(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(1, 3, 100)
	require.NoError(t, source.pushDivided(store))
	behind := restored(t, store)
	source.commitLarge(3, 4000)
	source.churn(5, 3, 100)
	source.commit(remove(largeFile(1, 0)), remove(largeFile(1, 1)), remove(largeFile(1, 2)))
	require.NoError(t, source.pushDivided(store))
	require.Len(t, keysWith(t, store, "version-000001/part-"), 1)
	require.Equal(t, 1, consolidate(t, store).Packs)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	}
	require.Empty(t, keysWith(t, store, "/part-"))
	require.Len(t, keysWith(t, store, "/pack-"), 1)

	_, err = replicator(t, behind, store, nil).Pull(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.NotErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "below version 7 was pruned")
	_, err = replicator(t, behind, store, &remote.Options{AcrossGap: true}).Pull(t.Context())
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, behind, 7))
}

// spoil replaces an object.
func spoil(t *testing.T, store storage.Store, key string, change func(b []byte) []byte) {
	t.Helper()
	b := change(read(t, store, key))
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	if b != nil {
		require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(b), -1))
	}
}

// A part that is missing, or that is not what the bundle says, is damage, named, and
// leaves the replica as it was.
func TestDamagedPartIsRefused(t *testing.T) {
	source, whole := newPond(t), storage.NewMemory()
	source.churn(1, 3, 100)
	require.NoError(t, source.pushDivided(whole))
	behind := restored(t, whole)
	source.commitLarge(10, 4000)
	require.NoError(t, source.pushDivided(whole))
	_, err := replicator(t, source.dir, whole, nil).Base(t.Context())
	require.NoError(t, err)
	keys := keysWith(t, whole, "/part-")
	before := tree(t, behind)
	for name, c := range map[string]struct {
		spoil func(b []byte) []byte
		found string
	}{
		"missing":       {func([]byte) []byte { return nil }, "missing"},
		"swapped":       {func([]byte) []byte { return read(t, whole, keys[1]) }, "damaged"},
		"a flipped bit": {func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/3] ^= 4; return b }, "damaged"},
		"cut short":     {func(b []byte) []byte { return b[:len(b)/2] }, "damaged"},
		"a bundle":      {func([]byte) []byte { return read(t, whole, "backups/version-000000/bundle.tar.zst") }, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			store := storage.NewMemory()
			for key := range objects(t, whole) {
				copyObject(t, whole, store, key)
			}
			spoil(t, store, keys[0], c.spoil)
			for what, restore := range map[string]func() error{
				"pull": func() error { _, err := replicator(t, behind, store, nil).Pull(t.Context()); return err },
				"init": func() error { _, err := replicator(t, t.TempDir(), store, nil).Init(t.Context()); return err },
				"live": func() error {
					_, err := replicator(t, t.TempDir(), store, &remote.Options{History: remote.HistoryLive}).Init(t.Context())
					return err
				},
			} {
				err := restore()
				require.ErrorIs(t, err, remote.ErrCorrupt, what)
				require.False(t, errors.Is(err, storage.ErrNotFound), what)
				require.ErrorContains(t, err, keys[0], what)
			}
			require.Equal(t, before, tree(t, behind))
			v := verify(t, "", store, remote.VerifyOptions{Data: true})
			require.Equal(t, []string{c.found + " " + keys[0]}, kinds(v))
			require.Error(t, v.Err())
		})
	}
}

// Two pushers of one table that divide at once make one set of parts.
func TestTwoPushersDivide(t *testing.T) {
	source := dividedPond(t)
	for range 10 {
		store := storage.NewMemory()
		var pushers sync.WaitGroup
		for range 2 {
			pushers.Go(func() { assert.NoError(t, source.pushDivided(store)) })
		}
		pushers.Wait()
		require.Len(t, keysWith(t, store, "/part-"), 4)
		require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)
	}
}

// What no manifest can list is refused before anything of it is sent, and a Follow does not
// try again.
func TestCommitThatNoBundleHolds(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(1, 3, 100)
	source.commitLarge(30, 500)
	codec, err := bundle.NewCodec(&bundle.Options{Limits: bundle.Limits{MaxManifest: 5000}})
	require.NoError(t, err)
	r := replicator(t, source.dir, store, &remote.Options{Codec: codec, MaxVersions: 1})
	remote.SetPartSize(r, 2000)
	err = r.Follow(t.Context())
	require.ErrorIs(t, err, remote.ErrTooLarge)
	require.ErrorContains(t, err, "write it in several commits")
	require.Empty(t, keysWith(t, store, "version-000001/"))
}
