package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/remote/lake"
	"github.com/pondworks/sluice/storage"
)

// A replica gets checkpoints at the table's interval, whatever its commits.
func TestRevCheckpoints(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.interval("2")
		dir := filepath.Join(t.TempDir(), "r")
		for i := range 12 {
			p.many(4)
			r := replicator(t, p.dir, store, &remote.Options{NoBases: true})
			remote.SetMaxListed(r, most)
			_, err := r.Push(t.Context())
			require.NoError(t, err)
			if i == 0 {
				require.NoError(t, initIn(t, dir, store, remote.Options{}))
			} else {
				require.NoError(t, pullIn(t, dir, store, remote.Options{}))
			}
		}
		t.Log("most", most, "pulled:", checkpointsOf(t, dir), "init:", checkpointsOf(t, restored(t, store)))
		if len(checkpointsOf(t, dir)) == 0 {
			t.Errorf("most %d: no checkpoint in %d versions", most, p.next)
		}
	}
}

func TestRevHeads(t *testing.T) {
	p, store := newPond(t), storage.NewMemory().(fullStore)
	var heads [][]byte
	for i := range 7 {
		if i == 2 || i == 4 || i == 5 {
			p.many(5)
		} else {
			p.append(fmt.Sprint(i))
		}
		p.pushListing3(store, nil)
		b, _, err := store.Get(t.Context(), "backups/head.json")
		require.NoError(t, err)
		heads = append(heads, b)
	}
	for from := deltalog.Version(0); from < 7; from++ {
		for lag := -1; lag < 7; lag++ {
			if lag < 0 {
				require.NoError(t, store.Delete(t.Context(), "backups/head.json"))
			} else {
				_, err := store.Put(t.Context(), "backups/head.json", heads[lag], "")
				require.NoError(t, err)
			}
			dir := filepath.Join(t.TempDir(), "r")
			require.NoError(t, initIn(t, dir, store, remote.Options{Target: &from}))
			// a vacuum of the replica took an older file
			if from == 4 {
				require.NoError(t, os.Remove(filepath.Join(dir, "part-00001.parquet")))
				require.NoError(t, os.Remove(filepath.Join(dir, "many-2/1.parquet")))
			}
			require.NoError(t, pullIn(t, dir, store, remote.Options{}), "%d %d", from, lag)
			requireVersion(t, p, dir, 6)
			if from == 4 { // the base of 5 lists all that is live
				requireSame(t, p.dir, dir)
			}
			// a fresh pusher
			p2 := listing3(t, p.dir, store, nil)
			rep, err := p2.Push(t.Context())
			require.NoError(t, err)
			require.Zero(t, rep.Versions)
			safe, err := p2.SafeVersion(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 6, safe)
			l, err := p2.Lag(t.Context())
			require.NoError(t, err)
			require.Zero(t, l.Versions)
		}
	}
}

// A replica in a bucket, and a source in one.
func TestRevLake(t *testing.T) {
	p, store := newPond(t), storage.NewMemory()
	p.append("0")
	p.append("1")
	p.many(5)
	p.append("3")
	p.many(5)
	p.pushListing3(store, nil)
	replica := lake.Open(storage.NewMemory(), nil)
	r, err := remote.New(replica, store, &remote.Options{Target: ptr(1)})
	require.NoError(t, err)
	_, err = r.Init(t.Context())
	require.NoError(t, err)
	r, err = remote.New(replica, store, nil)
	require.NoError(t, err)
	_, err = r.Pull(t.Context())
	require.NoError(t, err)
	// back out of the bucket
	again := storage.NewMemory()
	r, err = remote.New(replica, again, nil)
	require.NoError(t, err)
	remote.SetMaxListed(r, 3)
	_, err = r.Push(t.Context())
	require.NoError(t, err)
	dir := restored(t, again)
	requireVersion(t, p, dir, 4)
	full := restored(t, store)
	requireVersion(t, p, full, 4)
	requireClean(t, full, again, false, "")
}

func TestRevLag(t *testing.T) {
	var all []remote.Lag
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.append("0")
		r := replicator(t, p.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err := r.Push(t.Context())
		require.NoError(t, err)
		behind := restored(t, store)
		p.many(5)
		p.append("2")
		l, err := r.Lag(t.Context())
		require.NoError(t, err)
		l.Age = 0
		all = append(all, l)
		rep, err := r.Push(t.Context())
		require.NoError(t, err)
		t.Log(most, l.Versions, l.Bytes, "report", rep.Bytes, rep.Files)
		q := replicator(t, behind, store, nil)
		remote.SetMaxListed(q, most)
		st, err := q.Status(t.Context())
		require.NoError(t, err)
		t.Logf("replica lag %+v", st.Lag)
		rep, err = q.Pull(t.Context())
		require.NoError(t, err)
		t.Log("pull", rep.Bytes, rep.Files, rep.Versions)
		for v, err := range q.Versions(t.Context()) {
			require.NoError(t, err)
			t.Logf("%+v", v)
		}
	}
	require.Equal(t, all[0], all[1])
}

func TestRevReaderElsewhere(t *testing.T) {
	p, store := newPond(t), storage.NewMemory()
	p.append("0")
	p.append("1")
	p.many(5)
	p.append("3")
	p.pushListing3(store, nil)
	dir, said, err := readElsewhere(t, store)
	require.NoError(t, err, said)
	t.Log(said)
	require.FileExists(t, filepath.Join(dir, "many-2/1.parquet"))
}
