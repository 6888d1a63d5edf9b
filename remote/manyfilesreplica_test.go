package remote_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// manyOf is a table of seven versions, three of them of many files.
func manyOf(t *testing.T) *pond {
	source := newPond(t)
	source.append("0")
	source.append("1")
	source.many(5)
	source.append("3")
	source.many(4)
	source.many(4)
	source.append("6")
	return source
}

// dyingReplica is a table whose process is gone after some steps.
type dyingReplica struct {
	*deltalog.Dir
	mu   sync.Mutex
	left int // steps; negative: it is gone
	at   string
}

func (s *dyingReplica) step(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left == -1 {
		s.at = what
	}
	if s.left < 0 {
		return errStopped
	}
	return nil
}

func (s *dyingReplica) Apply(ctx context.Context, b deltalog.Batch) (int, error) {
	for i := range b.Changes {
		if err := s.step("apply"); err != nil {
			n, aerr := s.Dir.Apply(ctx, deltalog.Batch{Changes: b.Changes[:i]})
			return n, errors.Join(err, aerr)
		}
	}
	return s.Dir.Apply(ctx, b)
}

func (s *dyingReplica) Place(ctx context.Context, files []deltalog.Staged, relaxed bool) error {
	for i := range files {
		if err := s.step("place"); err != nil {
			return errors.Join(err, s.Dir.Place(ctx, files[:i], relaxed))
		}
	}
	return s.Dir.Place(ctx, files, relaxed)
}

func (s *dyingReplica) SetMarker(ctx context.Context, note []byte) error {
	return firstError(s.step("marker"), func() error { return s.Dir.SetMarker(ctx, note) })
}

func (s *dyingReplica) Discard(ctx context.Context) error {
	s.mu.Lock()
	gone := s.left < 0
	s.mu.Unlock()
	if gone {
		return errStopped
	}
	return s.Dir.Discard(ctx)
}

// requireHas asserts that a replica has all files of a table.
func requireHas(t *testing.T, source *pond, dir string) {
	t.Helper()
	got := tree(t, dir)
	for path, content := range tree(t, source.dir) {
		require.Equal(t, content, got[path], path)
	}
}

func firstError(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// A replica dies at any step; what is visible is whole, and the next call finishes it.
func TestFilesInBaseReplicaDies(t *testing.T) {
	source, store := manyOf(t), storage.NewMemory()
	source.pushListing3(store, nil)
	begun := filepath.Join(t.TempDir(), "begun")
	require.NoError(t, initIn(t, begun, store, remote.Options{Target: ptr(1)}))
	for _, op := range []string{"init", "init live", "pull"} {
		for n, done := 0, false; !done; n++ {
			dir := filepath.Join(t.TempDir(), "replica")
			if op == "pull" {
				copyTree(t, begun, dir)
			}
			call := func(table remote.LogReader) error {
				opts := &remote.Options{}
				if op == "init live" {
					opts.History = remote.HistoryLive
				}
				r, err := remote.New(table, store, opts)
				require.NoError(t, err)
				if op == "pull" {
					_, err = r.Pull(t.Context())
				} else {
					_, err = r.Init(t.Context())
				}
				return err
			}
			table := &dyingReplica{Dir: openTable(t, dir), left: n}
			if err := call(table); table.left >= 0 {
				require.NoError(t, err)
				done = true
				require.Greater(t, n, 8)
			} else {
				require.ErrorIs(t, err, errStopped)
			}
			if tip, err := openTable(t, dir).Tip(t.Context()); err == nil {
				requireVersion(t, source, dir, tip)
			}
			if !done {
				require.NoError(t, call(openTable(t, dir)), "%s, %d: %s", op, n, table.at)
			}
			requireVersion(t, source, dir, 6)
			if op != "init live" {
				requireHas(t, source, dir) // and what the process that is gone has staged, which lives on here
			}
			require.NoError(t, os.RemoveAll(dir))
		}
	}
}

// Other bytes lie on the replica under a name that such a version brings: they are replaced,
// as with any other version, if no version names them.
func TestFilesInBaseReplaceAnOrphan(t *testing.T) {
	source, store := manyOf(t), storage.NewMemory()
	source.pushListing3(store, nil)
	for _, named := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(1)}))
		name := filepath.Join(dir, "many-2/3.parquet")
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, make([]byte, 400), 0o644))
		if !named {
			require.NoError(t, pullIn(t, dir, store, remote.Options{}))
			requireSame(t, source.dir, dir)
			continue
		}
		own := "part-00000.parquet"
		require.FileExists(t, filepath.Join(dir, own))
		require.NoError(t, os.WriteFile(filepath.Join(dir, own), []byte("somebody wrote that"), 0o644))
		require.ErrorIs(t, pullIn(t, dir, store, remote.Options{}), deltalog.ErrConflict)
		requireSpan(t, dir, 0, 1)
		require.Equal(t, "somebody wrote that", readString(t, filepath.Join(dir, own)))
	}
}

// Replicas get checkpoints at the table's interval, whatever its commits are.
func TestFilesInBaseReplicaGetsCheckpoints(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.interval("2")
	dir := filepath.Join(t.TempDir(), "replica")
	bring := initIn
	for range 12 {
		source.many(4)
		source.pushListing3(store, &remote.Options{NoBases: true})
		require.NoError(t, bring(t, dir, store, remote.Options{}))
		bring = pullIn
	}
	require.NotEmpty(t, checkpointsOf(t, dir))
	requireVersion(t, source, dir, source.next-1)
}

// The index of the base lacks what the version brings: nobody applies that, and Verify tells.
func TestFilesInBaseWhoseIndexLacksAFile(t *testing.T) {
	source, store := manyOf(t), storage.NewMemory()
	source.pushListing3(store, nil)
	dropFromIndex(t, store, baseOf(2), "_change_data/c-2.parquet") // which is not live
	dir := filepath.Join(t.TempDir(), "replica")
	require.ErrorIs(t, initIn(t, dir, store, remote.Options{}), remote.ErrCorrupt)
	requireSpan(t, dir, 0, 1)
	found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	require.ErrorIs(t, found.Err(), remote.ErrCorrupt)
}

// A pinned version below the floor needs the base; it is lost, and Verify tells.
func TestFilesInBaseThatAPinNeedsIsLost(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 11 {
		switch i {
		case 4:
			source.many(5)
		case 6:
			var dead []action
			for k := range 5 {
				dead = append(dead, remove(fmt.Sprintf("many-4/%d.parquet", k)))
			}
			source.commit(dead...)
		default:
			source.append(fmt.Sprint(i))
		}
		source.pushListing3(store, &remote.Options{NoBases: true})
		if i == 8 {
			source.base(store)
		}
	}
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "before", 3))
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "pin", 5))
	pruneAll(t, store)
	require.NoError(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{Target: ptr(5)}))
	requireClean(t, source.dir, store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), baseOf(4)))
	for _, data := range []bool{false, true} {
		found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: data})
		require.NoError(t, err)
		require.ErrorIs(t, found.Err(), remote.ErrGap)
	}
}

// What promised and pinned versions need of such bases and bundles is kept, also in packs.
func TestFilesInBaseUnderRetention(t *testing.T) {
	for _, pack := range []bool{false, true} {
		for _, floor := range []deltalog.Version{3, 4, 5, 8} {
			t.Run(fmt.Sprintf("packs %v, floor %d", pack, floor), func(t *testing.T) {
				source, store := newPond(t), storage.NewMemory()
				for i := range 11 {
					if i == 4 || i == 7 {
						source.many(5)
					} else {
						source.append(fmt.Sprint(i))
					}
					r := listing3(t, source.dir, store, &remote.Options{MaxVersions: 1})
					remote.SetPartSize(r, 900)
					_, err := r.Push(t.Context())
					require.NoError(t, err)
					if deltalog.Version(i) == floor {
						source.base(store)
					}
				}
				require.Contains(t, objects(t, store), baseOf(4))
				pins := []deltalog.Version{1, 4, 5, 7}
				for i, pin := range pins {
					require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), fmt.Sprint("pin", i), pin))
				}
				if pack {
					consolidate(t, store)
				}
				keep := int64(11 - floor)
				retain := func() {
					for range 2 { // raise the floor, then remove
						prune(t, store, remote.PruneOptions{KeepVersions: keep, Delete: true, Grace: -1})
					}
				}
				requireThere := func(versions ...deltalog.Version) {
					t.Helper()
					for _, v := range versions {
						for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
							dir := filepath.Join(t.TempDir(), "replica")
							require.NoError(t, initIn(t, dir, store, remote.Options{Target: &v, History: history, Durability: remote.DurabilityRelaxed}), "%d", v)
							requireVersion(t, source, dir, v)
							if v >= floor {
								require.NoError(t, pullIn(t, dir, store, remote.Options{Durability: remote.DurabilityRelaxed}), "%d", v)
								requireVersion(t, source, dir, 10)
							}
							require.NoError(t, os.RemoveAll(dir))
						}
					}
					requireClean(t, source.dir, store)
				}
				retain()
				requireThere(append(pins, floor, 8, 10)...)
				for i := range pins {
					require.NoError(t, storeOnly(t, store, nil).Unpin(t.Context(), fmt.Sprint("pin", i)))
				}
				retain()
				requireThere(floor, 8, 10)
			})
		}
	}
}

// Kept files, a vector that moves on, change data, extra files, and some of each that are gone
// at the source.
func TestFilesInBaseOfEveryKind(t *testing.T) {
	for _, gone := range [][]string{nil, {"b"}, {vectorFile}, {"_change_data/c"}, {"f"}, {"b", "n1", "_change_data/c", vectorFile, "f"}} {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("gone %v, one by one %v", gone, single), func(t *testing.T) {
				source, store := newPond(t), storage.NewMemory()
				extras := [][]string{{"extra/0"}, {"extra/0", "extra/1"}, {"extra/1", "extra/2"}, {"extra/0", "extra/2"}, {"extra/2"}}
				for i := range 3 {
					source.write(fmt.Sprint("extra/", i), fmt.Sprint("extra ", i))
				}
				opts := &remote.Options{Extra: func(_ context.Context, v deltalog.Version) ([]string, error) { return extras[v], nil }}
				step := func(actions ...action) {
					source.commit(actions...)
					if single {
						source.pushListing3(store, opts)
					}
				}
				for _, name := range []string{"f", "g", "h", "b", "n1", "n2", "n3"} {
					source.write(name, "content of "+name)
				}
				named := func(name string) action { return add(name, "content of "+name) }
				source.write(vectorFile, "vector")
				step(append(withVectors("x"), named("f"), named("g"), named("h"))...)
				step(remove("h"), marked(named("h")))
				source.commit(remove("f"), marked(named("f")), marked(remove("h")), named("h"), marked(named("n1")), named("b"), named("n2"), named("n3"), remove("n3"), remove("g"), source.changes("_change_data/c"))
				for _, name := range gone {
					require.NoError(t, os.Remove(filepath.Join(source.dir, name)))
				}
				source.commit(remove("b"), marked(remove("n1")), marked(remove("f")))
				source.append("later")
				report := source.pushListing3(store, opts)
				if single || len(gone) == 0 {
					require.LessOrEqual(t, report.Absent, len(gone))
				}
				require.Contains(t, objects(t, store), baseOf(2))
				for v := deltalog.Version(2); v <= 4; v++ {
					full, live := filepath.Join(t.TempDir(), "full"), filepath.Join(t.TempDir(), "live")
					require.NoError(t, initIn(t, full, store, remote.Options{Target: &v}))
					require.NoError(t, initIn(t, live, store, remote.Options{Target: &v, History: remote.HistoryLive}))
					if len(gone) == 0 {
						requireVersion(t, source, full, v)
						requireVersion(t, source, live, v)
					}
					for _, dir := range []string{full, live} {
						for _, path := range extras[v] {
							require.FileExists(t, filepath.Join(dir, path))
						}
					}
					if v == 4 {
						requireHas(t, source, full)
					}
				}
				for _, data := range []bool{false, true} {
					found, err := storeOnly(t, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: data})
					require.NoError(t, err)
					absent := map[string]bool{}
					for _, f := range found.Findings {
						require.Equal(t, remote.FindingAbsent, f.Kind, "%+v", f)
						absent[f.Path] = true
					}
					for _, path := range gone {
						before := single && (path == "f" || path == vectorFile) // it was pushed before it was gone
						require.Equal(t, !before, absent[path], path)
					}
				}
			})
		}
	}
}
