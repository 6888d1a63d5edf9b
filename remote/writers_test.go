package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func TestManyHooksAtOnce(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 20 {
		source.append("x")
	}
	same := replicator(t, source.dir, store, nil)
	pushers := []*remote.Replicator{same, same, same, replicator(t, source.dir, store, nil), replicator(t, source.dir, store, nil)}
	var moved, present atomic.Int64
	var wg sync.WaitGroup
	for _, r := range pushers {
		wg.Go(func() {
			report, err := r.Push(t.Context())
			if err != nil {
				t.Error(err)
			}
			moved.Add(int64(report.Versions))
			present.Add(int64(report.Present))
		})
	}
	wg.Wait()
	require.Equal(t, int64(20), moved.Load(), "each version was created by exactly one push")
	requireSame(t, source.dir, restored(t, store))
}

// lostReply is a store whose service takes every new object and then answers
// that it is unavailable.
type lostReply struct {
	storage.Store
	lost atomic.Int64
}

func (s *lostReply) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	err := s.Store.Create(ctx, key, r, size)
	if err == nil {
		s.lost.Add(1)
		return storage.ErrUnavailable
	}
	return err
}

func TestH31LostReplyIsSettledByContent(t *testing.T) {
	source, store := newPond(t), &lostReply{Store: storage.NewMemory()}
	source.mustPushAfterProbe(store)
	source.append("one")
	report := source.mustPush(store)
	require.Positive(t, store.lost.Load(), "the fault never fired")
	require.Equal(t, 1, report.Present)
	requireSame(t, source.dir, restored(t, store.Store))
}

// mustPushAfterProbe pushes a first version without faults.
func (p *pond) mustPushAfterProbe(store *lostReply) {
	p.append("zero")
	p.mustPush(store.Store)
}

// noHead is a store that may not overwrite.
type noHead struct{ storage.Store }

func TestWithoutTheRightToOverwrite(t *testing.T) {
	source, store := newPond(t), noHead{storage.NewMemory()}
	source.append("zero")
	source.mustPush(store)
	dir := restored(t, store)
	for range 3 {
		source.append("x")
		source.mustPush(store)
		_, err := replicator(t, dir, store, nil).Pull(t.Context())
		require.NoError(t, err)
		requireSame(t, source.dir, dir)
	}
	require.NotContains(t, objects(t, store), "backups/head.json")
}

// deniedHead is a store whose service refuses to overwrite.
type deniedHead struct{ storage.Store }

func (s deniedHead) Get(ctx context.Context, key string) ([]byte, string, error) {
	return s.Store.(storage.Overwriter).Get(ctx, key)
}

func (deniedHead) Put(context.Context, string, []byte, string) (string, error) {
	return "", storage.ErrDenied
}

func TestHeadThatMayNotBeWritten(t *testing.T) {
	source, store := newPond(t), deniedHead{storage.NewMemory()}
	r := replicator(t, source.dir, store, nil)
	for range 3 {
		source.append("x")
		report, err := r.Push(t.Context())
		require.NoError(t, err, "the head is a hint")
		require.Equal(t, 1, report.Versions)
	}
	source.append("y")
	require.Equal(t, 1, source.mustPush(store).Versions, "found by listing")
	requireSame(t, source.dir, restored(t, store))
}

func TestLaggingHeadIsCaughtUp(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	dir := restored(t, store)
	for range 5 {
		source.append("x")
	}
	source.mustPush(noHead{store}) // finds no head of its own, moves none: as after a crash
	source.append("y")
	report := source.mustPush(store)
	require.Equal(t, 1, report.Versions)
	require.Equal(t, 5, report.Present)
	_, err := replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, dir)
}

func TestPullLooksBeyondALaggingHead(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	dir := restored(t, store)
	source.append("one")
	source.append("two")
	source.mustPush(noHead{store})
	report, err := replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, report.Versions)
	requireSame(t, source.dir, dir)
}

// A replica with commits of its own beyond a lagging head must not hear that
// nothing is new. A random simulation found it: seed 1795659154295838697.
func TestForkBeyondALaggingHead(t *testing.T) {
	for name, own := range map[string]int{"below the end of the store": 1, "level with it": 2, "beyond it": 3} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.mustPush(store)
			fork := &pond{t: t, dir: restored(t, store), next: 1}
			for range own {
				fork.append("its own")
			}
			source.append("one")
			source.append("two")
			source.mustPush(noHead{store}) // as one run, so that no bundle begins at version 2
			stored, before := objects(t, store), tree(t, fork.dir)
			_, err := replicator(t, fork.dir, store, nil).Pull(t.Context())
			requireDiverged(t, err, stored, objects(t, store))
			require.Equal(t, before, tree(t, fork.dir))
		})
	}
}

// A replica further than a lagging head is asked for one listing more, and is fine.
func TestReplicaBeyondALaggingHead(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	source.append("one")
	source.append("two")
	source.mustPush(noHead{store})
	dir := restored(t, store)
	requireSame(t, source.dir, dir)
	report, err := replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions)
	require.EqualValues(t, 1, report.Requests.List)
}

// Without a head, too, what lies above a hole that was never filled is an upload
// under way and no loss.
func TestUploadsUnderWayWithoutAHead(t *testing.T) {
	source, store := newPond(t), noHead{storage.NewMemory()}
	for range 4 {
		source.append("x")
	}
	source.pushSingly(store)
	replica := restored(t, store)
	for range 3 {
		source.append("y")
	}
	complete := storage.NewMemory()
	source.pushSingly(complete)
	const late = "backups/version-000005/bundle.tar.zst"
	require.NoError(t, store.Create(t.Context(), late, bytes.NewReader(read(t, complete, late)), -1))
	report, err := replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions)
	source.pushSingly(store)
	_, err = replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, replica)
}

func TestDamagedOrForeignHeadIsMended(t *testing.T) {
	for name, content := range map[string]string{
		"damaged":          "{",
		"no format":        "{}",
		"negative version": `{"format":1,"lineage":"x","version":-4,"commit":"` + zeros + `","timestamp":0}`,
		"of another":       `{"format":1,"lineage":"x","version":7,"commit":"` + zeros + `","timestamp":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.append("one")
			source.pushSingly(store)
			good := headOf(t, store)
			_, err := store.(storage.Overwriter).Put(t.Context(), "backups/head.json", []byte(content), "")
			require.NoError(t, err)
			require.Zero(t, source.mustPush(store).Versions)
			require.Equal(t, good, headOf(t, store))
		})
	}
}

// headOf is what the head says, but for what only its writer knew of the bundles.
func headOf(t *testing.T, store storage.Reader) map[string]any {
	t.Helper()
	var h map[string]any
	require.NoError(t, json.Unmarshal(read(t, store, "backups/head.json"), &h))
	delete(h, "bundles")
	delete(h, "sum")
	return h
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func TestStoreEmptiedUnderARunningPusher(t *testing.T) {
	setup := func(t *testing.T, gone ...string) (*pond, *storage.Dir, *remote.Replicator) {
		source := newPond(t)
		store, err := storage.OpenDir(t.TempDir()) // its head has tags
		require.NoError(t, err)
		source.append("zero")
		source.append("one")
		r := replicator(t, source.dir, store, nil)
		_, err = r.Push(t.Context())
		require.NoError(t, err)
		for _, key := range append(gone, "backups/head.json", "backups/version-000000/bundle.tar.zst", "backups/version-000001/bundle.tar.zst") {
			require.NoError(t, store.Delete(t.Context(), key))
		}
		source.append("two")
		return source, store, r
	}
	t.Run("everything", func(t *testing.T) {
		_, _, r := setup(t, "sluice.json")
		_, err := r.Push(t.Context())
		require.ErrorIs(t, err, remote.ErrDiverged)
		_, err = r.Push(t.Context())
		require.ErrorIs(t, err, remote.ErrCorrupt, "a bundle without an identity")
	})
	t.Run("the versions, which the table still has", func(t *testing.T) {
		source, store, r := setup(t)
		_, err := r.Push(t.Context())
		require.ErrorIs(t, err, remote.ErrGap, "not in silence")
		report, err := r.Push(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, report.Versions, "as a run, in which the leftover lies")
		requireSame(t, source.dir, restored(t, store))
	})
}

func TestLeftoversAboveTheEnd(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	dir := restored(t, store)
	for range 4 {
		source.append("x")
	}
	complete := storage.NewMemory()
	source.pushSingly(complete)
	const leftover = "backups/version-000003/bundle.tar.zst"
	require.NoError(t, store.Create(t.Context(), leftover, bytes.NewReader(read(t, complete, leftover)), -1))

	st, err := replicator(t, dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 0, *st.Store, "what lies above a gap does not count")
	report, err := replicator(t, dir, store, nil).Pull(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Versions)

	present := 0
	hook := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
	for range 4 {
		report, err := hook.Push(t.Context())
		require.NoError(t, err)
		present += report.Present
	}
	require.Equal(t, 1, present, "our own leftover is settled by content")
	requireSame(t, source.dir, restored(t, store))
}

func TestForeignLeftoverIsNamed(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	foreign := &pond{t: t, dir: restored(t, store), next: 1}
	for range 3 {
		foreign.append("foreign")
	}
	other := storage.NewMemory()
	foreign.pushSingly(other)
	const leftover = "backups/version-000003/bundle.tar.zst"
	require.NoError(t, store.Create(t.Context(), leftover, bytes.NewReader(read(t, other, leftover)), -1))
	for range 3 {
		source.append("mine")
	}
	hook := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
	var err error
	for range 3 {
		if _, err = hook.Push(t.Context()); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.Contains(t, err.Error(), "version 3")
	require.Equal(t, read(t, other, leftover), read(t, store, leftover), "nothing is overwritten")
}

// TestMixedRunIsRefused: two copies that went different ways after version 1
// pushed at the same time, so that the store holds versions of both. Neither
// may take the run for its own because its end is.
func TestMixedRunIsRefused(t *testing.T) {
	for _, head := range []bool{true, false} {
		source, store := newPond(t), storage.NewMemory()
		source.append("zero")
		source.mustPush(store) // the head stays here
		source.append("one")
		mine, theirs := storage.NewMemory(), storage.NewMemory()
		source.pushSingly(mine)
		other := &pond{t: t, dir: restored(t, mine), next: 2}
		for range 4 {
			source.append("mine")
			other.append("theirs")
		}
		source.pushSingly(mine)
		other.pushSingly(theirs)
		for v, from := range []storage.Store{1: mine, 2: mine, 3: theirs, 4: mine, 5: mine} {
			if from == nil {
				continue
			}
			key := fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v)
			require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(read(t, from, key)), -1))
		}
		if !head {
			require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		}
		source.append("more")
		before := objects(t, store)
		_, err := source.push(store)
		require.ErrorIs(t, err, remote.ErrDiverged, "with a head: %t", head)
		require.Contains(t, err.Error(), "version 3")
		after := objects(t, store)
		delete(before, "backups/head.json")
		delete(after, "backups/head.json")
		delete(after, "backups/version-000006/bundle.tar.zst") // uploads run ahead; it does not count
		require.Equal(t, before, after)
	}
}

// A pusher that fell behind another one learns where the store is, and never
// moves the head back.
func TestHeadDoesNotMoveBack(t *testing.T) {
	source := newPond(t)
	store, err := storage.OpenDir(t.TempDir()) // its head has tags
	require.NoError(t, err)
	source.append("zero")
	behind := replicator(t, source.dir, store, &remote.Options{MaxVersions: 1})
	_, err = behind.Push(t.Context())
	require.NoError(t, err)
	for range 4 {
		source.append("x")
	}
	source.pushSingly(store)
	newest := headOf(t, store)
	report, err := behind.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Present, "it believed to be the first")
	require.Equal(t, newest, headOf(t, store))
	report, err = behind.Push(t.Context())
	require.NoError(t, err)
	require.Zero(t, report.Remaining, "the head told it")
	require.Equal(t, newest, headOf(t, store))
}

// lowestFails is a store that takes every bundle but that of version 0, whose creation
// fails when that of version 2 is there.
type lowestFails struct {
	storage.Store
	above chan struct{}
}

func (s lowestFails) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if strings.HasSuffix(key, "version-000000/bundle.tar.zst") {
		<-s.above
		return errStopped
	}
	err := s.Store.Create(ctx, key, r, size)
	if strings.HasSuffix(key, "version-000002/bundle.tar.zst") {
		close(s.above)
	}
	return err
}

// What went up ahead of what failed is not there yet for anybody, so no report counts it.
func TestReportOfAPushWithAHole(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 3 {
		source.append(noise(uint64(i), 9<<20)) // too large to share a bundle
	}
	report, err := source.push(lowestFails{store, make(chan struct{})})
	require.ErrorIs(t, err, errStopped)
	require.Len(t, keysWith(t, store, "/bundle.tar.zst"), 2)
	require.Zero(t, report.Versions)
	require.Zero(t, report.Files)

	report = source.mustPush(store)
	require.Equal(t, []int{1, 2}, []int{report.Versions, report.Present})
}
