package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Processes that push the same table at the same time, as hooks of several programs
// do: each version is stored once, and all of them succeed.
func TestTwoProcessesPushOneTable(t *testing.T) {
	source, folder := newPond(t), t.TempDir()
	store, err := storage.OpenDir(folder)
	require.NoError(t, err)
	for range 3 {
		source.churn(8, 3, 2000)
		var processes []*exec.Cmd
		for range 2 {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPushingProcess$")
			c.Env = append(os.Environ(), "SLUICE_TEST_TABLE="+source.dir, "SLUICE_TEST_STORE="+folder)
			c.Stdout, c.Stderr = os.Stderr, os.Stderr
			require.NoError(t, c.Start())
			processes = append(processes, c)
		}
		for _, c := range processes {
			require.NoError(t, c.Wait())
		}
	}
	require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)
	requireSame(t, source.dir, restored(t, store))
}

// TestPushingProcess is such a process.
func TestPushingProcess(t *testing.T) {
	table := os.Getenv("SLUICE_TEST_TABLE")
	if table == "" {
		t.Skip("a process of TestTwoProcessesPushOneTable")
	}
	store, err := storage.OpenDir(os.Getenv("SLUICE_TEST_STORE"))
	require.NoError(t, err)
	hook := replicator(t, table, store, &remote.Options{MaxVersions: 1}) // so that they meet often
	for {
		report, err := hook.Push(t.Context())
		require.NoError(t, err)
		if report.Remaining == 0 {
			return
		}
	}
}

// Hosts whose clocks are a day apart push in turns, and while one of them sleeps.
func TestClocksADayApart(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	at := func(d time.Duration) *remote.Options {
		return &remote.Options{Clock: func() time.Time { return time.Now().Add(d) }, Settle: time.Minute}
	}
	hosts := []*remote.Replicator{
		replicator(t, source.dir, store, at(0)), replicator(t, source.dir, store, at(-24*time.Hour)), replicator(t, source.dir, store, at(24*time.Hour)),
	}
	for i := range 9 {
		source.append("x") // as old as pond.commit says, so still for all of them
		_, err := hosts[i%3].Push(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, i, headOf(t, store)["version"])
	}
	require.Len(t, keysWith(t, store, "bundle"), 9)
	replica := filepath.Join(t.TempDir(), "replica")
	_, err := replicator(t, replica, store, at(-24*time.Hour)).Init(t.Context())
	require.NoError(t, err)
	source.append("y")
	_, err = hosts[2].Push(t.Context())
	require.NoError(t, err)
	_, err = replicator(t, replica, store, at(-24*time.Hour)).Pull(t.Context())
	require.NoError(t, err)
	requireSame(t, source.dir, replica)
	require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)
}

// Two tables that are pushed to one new prefix at the same moment: one of them gets
// it, whatever the other left there is named, and removed by repair.
func TestTwoTablesAtOnceIntoOnePrefix(t *testing.T) {
	for range 10 {
		store := storage.NewMemory()
		ponds := []*pond{newPond(t), newPond(t)}
		errs := make([]error, 2)
		var pushing sync.WaitGroup
		for i, p := range ponds {
			p.append("zero")
			for v := range 9 {
				name := fmt.Sprintf("table-%d-%d.parquet", i, v)
				p.write(name, name)
				p.commit(add(name, name))
			}
			pushing.Go(func() {
				hook := replicator(t, p.dir, store, &remote.Options{MaxVersions: 1})
				for report := (remote.Report{Remaining: 1}); errs[i] == nil && report.Remaining > 0; {
					report, errs[i] = hook.Push(t.Context())
				}
			})
		}
		pushing.Wait()
		zero, dir := deltalog.Version(0), t.TempDir()
		_, err := replicator(t, dir, store, &remote.Options{Target: &zero}).Init(t.Context())
		require.NoError(t, err)
		winner := 0
		if tree(t, dir)[zero.CommitPath()] == tree(t, ponds[1].dir)[zero.CommitPath()] {
			winner = 1
		}
		loser := 1 - winner
		require.ErrorIs(t, errs[loser], remote.ErrDiverged)
		require.Regexp(t, `[0-9a-f]{64} here, [0-9a-f]{64} in the store|table id "pond-.*this is "pond-`, errs[loser].Error())
		if errs[winner] != nil {
			require.ErrorIs(t, errs[winner], remote.ErrDiverged)
			_, err := replicator(t, ponds[winner].dir, store, nil).Repair(t.Context(), true)
			require.NoError(t, err)
			ponds[winner].mustPush(store)
		}
		requireSame(t, ponds[winner].dir, restored(t, store))
	}
}

// What can happen to objects behind the library's back.
var accidents = map[string]struct {
	do      func(t *testing.T, store *storage.Dir, key, other string, foreign storage.Store)
	readers error // what init, pull and verify say
	heals   bool  // a pusher that looks puts it right
}{
	"deleted": {func(t *testing.T, store *storage.Dir, key, _ string, _ storage.Store) {
		require.NoError(t, store.Delete(t.Context(), key))
	}, remote.ErrGap, true},
	"truncated": {func(t *testing.T, store *storage.Dir, key, _ string, _ storage.Store) {
		b := read(t, store, key)
		replace(t, store, key, b[:len(b)/2])
	}, remote.ErrCorrupt, false},
	"swapped": {func(t *testing.T, store *storage.Dir, key, other string, _ storage.Store) {
		a, b := read(t, store, key), read(t, store, other)
		replace(t, store, key, b)
		replace(t, store, other, a)
	}, remote.ErrCorrupt, false},
	"replaced by the bundle of another commit": {func(t *testing.T, store *storage.Dir, key, _ string, foreign storage.Store) {
		replace(t, store, key, read(t, foreign, key))
	}, remote.ErrDiverged, false},
}

func replace(t *testing.T, store *storage.Dir, key string, b []byte) {
	t.Helper()
	require.NoError(t, store.Delete(t.Context(), key))
	require.NoError(t, store.Create(t.Context(), key, bytes.NewReader(b), int64(len(b))))
}

// Whatever happened to an object: readers refuse it by name and show nothing of it,
// a pusher that has the head to go by does no harm, and one that looks refuses by name
// or heals.
func TestObjectsDamagedBehindOurBack(t *testing.T) {
	const last = 5
	for name, damage := range accidents {
		for _, at := range []int{2, last} {
			t.Run(fmt.Sprint(name, " at ", at), func(t *testing.T) {
				source, foreign, other := newPond(t), newPond(t), storage.NewMemory()
				store, err := storage.OpenDir(t.TempDir())
				require.NoError(t, err)
				source.churn(last+1, 3, 500)
				for range last + 1 {
					foreign.append("other")
				}
				source.pushSingly(store)
				foreign.pushSingly(other)
				behind := filepath.Join(t.TempDir(), "behind")
				zero := deltalog.Version(0)
				_, err = replicator(t, behind, store, &remote.Options{Target: &zero}).Init(t.Context())
				require.NoError(t, err)
				running := replicator(t, source.dir, store, nil)
				_, err = running.Push(t.Context())
				require.NoError(t, err)

				key := fmt.Sprintf("backups/version-%06d/bundle.tar.zst", at)
				damage.do(t, store, key, "backups/version-000001/bundle.tar.zst", other)
				for what, call := range map[string]func(*remote.Replicator) error{
					"init": func(r *remote.Replicator) error { _, err := r.Init(t.Context()); return err },
					"pull": func(r *remote.Replicator) error { _, err := r.Pull(t.Context()); return err },
				} {
					dir := behind
					if what == "init" {
						dir = filepath.Join(t.TempDir(), "new")
					}
					err := call(replicator(t, dir, store, nil))
					require.ErrorIs(t, err, damage.readers, what)
					if damage.readers == remote.ErrDiverged {
						require.Regexp(t, `[0-9a-f]{64} here, [0-9a-f]{64} in the store|sha256`, err.Error())
					}
					var named *remote.Error
					require.ErrorAs(t, err, &named, what)
					require.NotNil(t, named.Version, what)
					require.NotEmpty(t, named.Hint(), "%s: %v", what, err)
					for v := deltalog.Version(at); v <= last; v++ {
						require.NoFileExists(t, filepath.Join(dir, v.CommitPath()), what)
					}
				}
				require.NotEmpty(t, verify(t, "", store, remote.VerifyOptions{}).Findings)

				before := objects(t, store)
				_, err = running.Push(t.Context())
				require.NoError(t, err, "nothing new, and the head is what it was")
				require.Equal(t, before, objects(t, store))
				require.NoError(t, store.Delete(t.Context(), "backups/head.json"))
				_, err = source.push(store)
				if !damage.heals && at == last {
					require.ErrorIs(t, err, damage.readers)
				}
				if damage.heals {
					require.NoError(t, err)
					requireSame(t, source.dir, restored(t, store))
				}
				// The way out: remove what is damaged, and push it again.
				require.NoError(t, errors.Join(store.Delete(t.Context(), key), store.Delete(t.Context(), "backups/version-000001/bundle.tar.zst"), store.Delete(t.Context(), "backups/head.json")))
				source.mustPush(store)
				requireSame(t, source.dir, restored(t, store))
				_, err = replicator(t, behind, store, nil).Pull(t.Context())
				require.NoError(t, err)
				requireSame(t, source.dir, behind)
			})
		}
	}
}

// A pusher that may not write the head, and so gets no sign, looks again after an
// hour.
func TestStoreEmptiedUnderAPusherWithoutAHead(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	now := time.Now()
	source.append("zero")
	source.append("one")
	r := replicator(t, source.dir, noHead{store}, &remote.Options{Clock: func() time.Time { return now }, MaxVersions: 1})
	for range 2 {
		_, err := r.Push(t.Context())
		require.NoError(t, err)
	}
	for key := range objects(t, store) {
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), key))
	}
	source.append("two")
	_, err := r.Push(t.Context())
	require.NoError(t, err, "it takes its own word")
	now = now.Add(time.Hour)
	source.append("three")
	_, err = r.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt, "a bundle without an identity")
}

// Init does not take what a loss left for the whole history.
func TestInitTellsWhatWasLost(t *testing.T) {
	setup := func(t *testing.T, base bool) (*pond, storage.Store) {
		source, store := newPond(t), storage.NewMemory()
		source.churn(6, 2, 500)
		source.pushSingly(store)
		if base {
			_, err := replicator(t, source.dir, store, nil).Base(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/version-000002/bundle.tar.zst"))
		return source, store
	}
	refuses := func(t *testing.T, store storage.Reader, opts *remote.Options) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "new")
		_, err := replicator(t, dir, store, opts).Init(t.Context())
		require.ErrorIs(t, err, remote.ErrGap)
		require.Contains(t, err.Error(), "version 2")
		require.Contains(t, err.Error(), "as version 1")
		require.NoDirExists(t, dir)
	}
	t.Run("as the head tells", func(t *testing.T) {
		_, store := setup(t, false)
		refuses(t, store, nil)
		refuses(t, store, &remote.Options{TargetTime: time.Now()})
		target := deltalog.Version(1)
		_, err := replicator(t, t.TempDir(), store, &remote.Options{Target: &target}).Init(t.Context())
		require.NoError(t, err)
	})
	t.Run("as a base tells", func(t *testing.T) {
		_, store := setup(t, true)
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		refuses(t, store, nil)
	})
	t.Run("but a listing that lags is no loss", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		source.churn(6, 2, 500)
		source.pushSingly(store)
		dir := restored(t, lateList{store, "backups/version-000005/bundle.tar.zst"})
		_, err := replicator(t, dir, store, nil).Pull(t.Context())
		require.NoError(t, err)
		requireSame(t, source.dir, dir)
	})
}
