package remote_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// addRemoveOne: large commit which adds four files and removes one of them again in the same commit.
func addRemoveOne(t *testing.T) *pond {
	p := newPond(t)
	p.append("zero")
	p.append("one")
	var as []action
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		p.write(n+".parquet", "content "+n)
		as = append(as, add(n+".parquet", "content "+n))
	}
	as = append(as, remove("c.parquet"))
	p.commit(as...)
	p.append("three")
	return p
}

// TestRevAddRemove: M11 says the index lists every file that the commit names with add.
func TestRevAddRemove(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := addRemoveOne(t), storage.NewMemory()
		r := replicator(t, p.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err := r.Push(t.Context())
		require.NoError(t, err)
		dir := restored(t, store)
		require.FileExists(t, filepath.Join(dir, "c.parquet"), most)
	}
}

func TestRevAddRemoveCut(t *testing.T) {
	p, store := addRemoveOne(t), storage.NewMemory()
	_, err := listing3(t, p.dir, withoutKey{store, bundleOf(2)}, nil).Push(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = listing3(t, p.dir, store, nil).Push(t.Context())
	require.NoError(t, err)
}

// live init after a cut-off push between base and bundle
func TestRevLiveInitAfterCut(t *testing.T) {
	source, store := largeInTheMiddle(t, false), storage.NewMemory()
	_, err := listing3(t, source.dir, withoutKey{store, bundleOf(3)}, nil).Push(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Contains(t, objects(t, store), baseOf(3))

	for _, h := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
		dir := filepath.Join(t.TempDir(), "r")
		rep, err := replicator(t, dir, store, &remote.Options{History: h}).Init(t.Context())
		require.NoError(t, err)
		t.Log(rep.Last)
		tip, err := openTable(t, dir).Tip(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, tip)
	}
	found, err := replicator(t, source.dir, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: true})
	require.NoError(t, err)
	t.Log(found.Findings)
	// time moves on, history goes its own way below
}

var _ = deltalog.Version(0)
