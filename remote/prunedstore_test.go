package remote_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// pruneAll raises the floor and removes what no promised version needs.
func pruneAll(t *testing.T, store storage.Reader) {
	t.Helper()
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 1, Delete: true, Grace: -1})
	}
}

func (p *pond) base(store storage.Reader) {
	p.t.Helper()
	_, err := replicator(p.t, p.dir, store, nil).Base(p.t.Context())
	require.NoError(p.t, err)
}

// deadLarge commits the removal of the n files of version v.
func (p *pond) deadLarge(v deltalog.Version, n int) {
	var dead []action
	for i := range n {
		dead = append(dead, remove(largeFile(v, i)))
	}
	p.commit(dead...)
}

// overGap makes the history go on beyond a gap: versions 0 and 1 as bundles, then a base of
// version 3, which carries the files of 2 and 3.
func (p *pond) overGap(store storage.Reader) {
	p.append("0")
	p.append("1")
	p.pushSingly(store)
	p.append("2")
	p.append("3")
	p.cleanUp(3)
}

// Of what retention gave up some is still there, for other versions: that it is not whole
// is no problem.
func TestVerifyOfPrunedStores(t *testing.T) {
	shapes := map[string]func(t *testing.T, source *pond, store storage.Store){
		"a pack for a pin, which has a bundle whose parts are gone": func(t *testing.T, source *pond, store storage.Store) {
			source.churn(6, 3, 100)
			source.commitLarge(5, 4000) // 6
			require.NoError(t, source.pushDivided(store))
			source.deadLarge(6, 5)
			source.churn(8, 3, 100)
			source.pushSingly(store)
			require.Equal(t, 1, consolidate(t, store).Packs)
			require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 3))
			source.base(store)
			pruneAll(t, store)
			require.Empty(t, keysWith(t, store, "/part-"))
			require.Len(t, keysWith(t, store, "pack-"), 1)
		},
		"a base that only another base needs": func(t *testing.T, source *pond, store storage.Store) {
			source.overGap(store)
			source.commit(remove("part-00000.parquet")) // 4
			source.pushSingly(store)
			source.base(store)
			pruneAll(t, store)
			require.Len(t, keysWith(t, store, "base.tar.zst"), 2)
			require.NotContains(t, objects(t, store), "backups/version-000000/bundle.tar.zst")
		},
		"a run behind a gap, whose base is gone": func(t *testing.T, source *pond, store storage.Store) {
			source.overGap(store)
			source.append("4")
			source.mustPush(store) // a run from 3 on
			source.commit(remove("part-00002.parquet"), remove("part-00003.parquet"))
			source.pushSingly(store)
			source.base(store)
			pruneAll(t, store)
			require.Len(t, keysWith(t, store, "base.tar.zst"), 1)
			require.Contains(t, objects(t, store), "backups/version-000003/bundle.tar.zst")
		},
		"a pin behind the base of a run": func(t *testing.T, source *pond, store storage.Store) {
			source.churn(4, 3, 100)
			source.pushSingly(store)
			source.base(store) // 3
			source.churn(4, 3, 100)
			source.mustPush(store) // a run from 4 to 7
			source.churn(4, 3, 100)
			source.pushSingly(store)
			require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 5))
			source.base(store)
			pruneAll(t, store)
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			shape(t, source, store)
			live, _ := initLive(t, store, remote.Options{})
			require.Equal(t, liveFiles(t, source.dir, source.next-1), liveFiles(t, live, source.next-1))
			for pin, err := range storeOnly(t, store, nil).Pins(t.Context()) {
				require.NoError(t, err)
				dir, err := initErr(t, store, remote.Options{Target: &pin.Version})
				require.NoError(t, err)
				require.Equal(t, liveFiles(t, source.dir, pin.Version), liveFiles(t, dir, pin.Version))
			}
			for _, data := range bothDepths {
				v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
				require.NoError(t, v.Err(), fmt.Sprint(v.Findings))
			}
			// What is needed of it must be whole.
			all := objects(t, store)
			for key := range all {
				of, _, found := strings.Cut(strings.TrimPrefix(key, "backups/version-"), "/")
				if at, err := strconv.Atoi(of); !found || err != nil || at >= int(source.next-1) {
					continue
				}
				damaged := storage.NewMemory()
				copyAll(t, store, damaged)
				spoil(t, damaged, key, func(b []byte) []byte { return b[:len(b)/2] })
				v := verify(t, source.dir, damaged, remote.VerifyOptions{Data: true})
				require.Error(t, v.Err(), key)
			}
		})
	}
}

// The base that a pinned version begins with stays, also where one of another history lies
// between the two.
func TestPinAboveAForeignBase(t *testing.T) {
	source, store, other := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(3, 3, 100)
	source.pushSingly(store)
	source.base(store) // 2
	copyAll(t, store, other)
	fork := forked(t, source)
	for range 4 {
		fork.append("fork")
	}
	fork.cleanUp(5)
	require.NoError(t, fork.pushDivided(other))
	const foreign = "backups/version-000005/base.tar.zst"
	copyObject(t, other, store, foreign) // its push died before its bundle
	source.churn(9, 3, 100)
	source.pushSingly(store)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 7))
	source.base(store)
	pruneAll(t, store)
	require.Contains(t, objects(t, store), "backups/version-000002/base.tar.zst")
	pin, dir := deltalog.Version(7), filepath.Join(t.TempDir(), "replica")
	restorer := replicator(t, dir, store, &remote.Options{Target: &pin})
	_, err := restorer.Init(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.ErrorContains(t, err, foreign)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), foreign)) // as Repair does
	_, err = restorer.Init(t.Context())
	require.NoError(t, err)
	require.Equal(t, liveFiles(t, source.dir, 7), liveFiles(t, dir, 7))
}
