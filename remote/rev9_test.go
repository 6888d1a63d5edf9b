package remote_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// As on main: a name used again across a gap.
func TestRevMainStaleOverGap(t *testing.T) {
	for _, most := range []int{1000, 3} {
		p, store := newPond(t), storage.NewMemory()
		p.append("0")
		p.write("reused", "old content")
		p.commit(add("reused", "old content"))
		p.pushListing3(store, nil)
		p.commit(remove("reused"))
		p.write("reused", "new content")
		acts := []action{add("reused", "new content")}
		for _, n := range []string{"a", "b", "c", "d"} {
			p.write(n, n)
			acts = append(acts, add(n, n))
		}
		p.cleanUp(p.commit(acts...))
		r := replicator(t, p.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err := r.Push(t.Context())
		require.NoError(t, err)
		dir := filepath.Join(t.TempDir(), "r")
		err = initIn(t, dir, store, remote.Options{History: remote.HistoryLive})
		b, _ := os.ReadFile(filepath.Join(dir, "reused"))
		t.Log(most, err, string(b))
	}
}
