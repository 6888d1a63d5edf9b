package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// How much is fetched again.
func TestRevReceived(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.append("0")
		for i := range 10 {
			p.many(5)
			for j := range 6 {
				p.append(noise(uint64(i*10+j), 300_000))
			}
		}
		r := replicator(t, p.dir, store, &remote.Options{MaxVersions: 1, NoBases: true})
		remote.SetMaxListed(r, most)
		for {
			rep, err := r.Push(t.Context())
			require.NoError(t, err)
			if rep.Remaining == 0 {
				break
			}
		}
		size := int64(0)
		for _, n := range objects(t, store) {
			size += n
		}
		dir := filepath.Join(t.TempDir(), "r")
		rep, err := replicator(t, dir, store, nil).Init(t.Context())
		require.NoError(t, err)
		requireVersion(t, p, dir, p.next-1)
		t.Log(most, "stored", size, "received", rep.Requests.Received, "gets", rep.Requests.Get)
	}
}

// A kept file that the replica lost, whose bundle was also ... and one of the same size with other bytes.
func TestRevOlderOtherBytes(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.append("zero")
		p.append("one")
		p.many(5)
		r := replicator(t, p.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err := r.Push(t.Context())
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "r")
		require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(1)}))
		require.NoError(t, os.Remove(filepath.Join(dir, "part-00000.parquet")))
		require.NoError(t, pullIn(t, dir, store, remote.Options{}))
		_, err = os.Stat(filepath.Join(dir, "part-00000.parquet"))
		t.Log(most, err)
	}
}

func TestRevReal(t *testing.T) {
	p, store := newPond(t), storage.NewMemory()
	p.append("0")
	var as []action
	for i := range 70_000 {
		name := fmt.Sprintf("d%d/%d.parquet", i/1000, i)
		c := fmt.Sprint(i)
		p.write(name, c)
		as = append(as, add(name, c))
	}
	as = append(as, change(p, "_change_data/x", "x"))
	v := p.commit(as...)
	p.append("2")
	as = nil
	for i := range 60_000 {
		as = append(as, remove(fmt.Sprintf("d%d/%d.parquet", i/1000, i)))
	}
	p.commit(as...)
	as = nil
	runtime.GC()
	begin := time.Now()
	_, err := replicator(t, p.dir, store, nil).Push(t.Context())
	require.NoError(t, err)
	t.Log("push", time.Since(begin), len(objects(t, store)))
	begin = time.Now()
	dir := restored(t, store)
	t.Log("init", time.Since(begin))
	requireVersion(t, p, dir, v+2)
	begin = time.Now()
	found, err := replicator(t, dir, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	require.Empty(t, found.Findings)
	t.Log("verify", time.Since(begin))
}

var _ = deltalog.Version(0)
