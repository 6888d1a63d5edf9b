package remote_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func change(p *pond, path, content string) action {
	p.write(path, content)
	return action{"cdc": map[string]any{"path": path, "size": len(content), "partitionValues": map[string]any{}, "dataChange": false}}
}

// many commits n files, and change data.
func (p *pond) many(n int) deltalog.Version {
	var as []action
	v := p.next
	for i := range n {
		name := fmt.Sprintf("many-%d/%d.parquet", v, i)
		c := noise(uint64(v)*100+uint64(i), 400)
		p.write(name, c)
		as = append(as, add(name, c))
	}
	as = append(as, change(p, fmt.Sprintf("_change_data/c-%d.parquet", v), fmt.Sprint("changes of ", int64(v))))
	return p.commit(as...)
}

func requireClean(t *testing.T, table string, store storage.Reader, gaps bool, what string) {
	t.Helper()
	for _, data := range []bool{false, true} {
		found, err := listing3(t, table, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: data})
		require.NoError(t, err)
		for _, f := range found.Findings {
			if gaps && f.Kind == remote.FindingGap {
				continue
			}
			t.Errorf("%s data %v: %+v", what, data, f)
		}
	}
}

// The first version after a gap is omitted.
func TestRevGapOmitted(t *testing.T) {
	for _, begun := range []bool{false, true} {
		for _, most := range []int{3, 1000} {
			for _, cutAt := range []bool{false, true} {
				t.Run(fmt.Sprint("begun ", begun, " most ", most, " cut ", cutAt), func(t *testing.T) {
					p, store := newPond(t), storage.NewMemory()
					p.append("0")
					p.append("1")
					behind := filepath.Join(t.TempDir(), "behind")
					if begun {
						p.pushListing3(store, nil)
						require.NoError(t, initIn(t, behind, store, remote.Options{}))
					}
					p.append("2")
					p.append("3")
					v := p.many(5)
					p.append("5")
					p.many(6)
					p.cleanUp(v)
					if cutAt {
						_, err := listing3(t, p.dir, withoutKey{store, bundleOf(v)}, nil).Push(t.Context())
						require.ErrorIs(t, err, storage.ErrUnavailable)
						require.Contains(t, objects(t, store), baseOf(v))
					}
					r := replicator(t, p.dir, store, nil)
					remote.SetMaxListed(r, most)
					_, err := r.Push(t.Context())
					require.NoError(t, err)
					tip := p.next - 1
					dir := restored(t, store)
					requireVersion(t, p, dir, tip)
					requireSpan(t, dir, v, tip)
					require.Equal(t, "changes of 6", readString(t, filepath.Join(dir, "_change_data/c-6.parquet")))
					if most == 3 {
						require.Equal(t, "changes of 4", readString(t, filepath.Join(dir, "_change_data/c-4.parquet")))
					}
					live, _ := initLive(t, store, remote.Options{})
					requireVersion(t, p, live, tip)
					if begun {
						require.ErrorIs(t, pullIn(t, behind, store, remote.Options{}), remote.ErrGap)
						require.NoError(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}))
						requireVersion(t, p, behind, tip)
					}
					requireClean(t, dir, store, true, "")
					requireClean(t, p.dir, store, true, "")
				})
			}
		}
	}
}

// cut off by another pusher of a larger limit after its base over a gap, then the default limit.
func TestRevGapCutByLargerLimit(t *testing.T) {
	p, store := newPond(t), storage.NewMemory()
	p.append("0")
	p.append("1")
	v := p.many(5)
	p.append("5")
	p.cleanUp(v)
	_, err := replicator(t, p.dir, withoutKey{store, bundleOf(v)}, nil).Push(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Contains(t, objects(t, store), baseOf(v))
	p.pushListing3(store, nil)
}

func TestRevRetention(t *testing.T) {
	for _, pack := range []bool{false, true} {
		for floorAt := deltalog.Version(2); floorAt <= 9; floorAt++ {
			t.Run(fmt.Sprint("pack ", pack, " floor ", floorAt), func(t *testing.T) {
				p, store := newPond(t), storage.NewMemory()
				push := func() {
					r := listing3(t, p.dir, store, &remote.Options{MaxVersions: 1})
					remote.SetPartSize(r, 900)
					for {
						rep, err := r.Push(t.Context())
						require.NoError(t, err)
						if rep.Remaining == 0 {
							return
						}
					}
				}
				var largest []deltalog.Version
				for i := range 12 {
					if i == 4 || i == 7 {
						largest = append(largest, p.many(5))
					} else if i == 0 {
						p.append("0")
					} else {
						p.append(fmt.Sprint(i))
					}
					push()
					if deltalog.Version(i) == floorAt {
						p.base(store)
					}
				}
				_ = largest
				// pins at each
				pins := []deltalog.Version{1, 3, 4, 5, 7, 8}
				for i, pin := range pins {
					err := storeOnly(t, store, nil).Pin(t.Context(), fmt.Sprint("p", i), pin)
					if err != nil {
						t.Fatal(err)
					}
				}
				if pack {
					consolidate(t, store)
				}
				keep := int64(12 - floorAt)
				for range 2 {
					prune(t, store, remote.PruneOptions{KeepVersions: keep, Delete: true, Grace: -1})
				}
				if pack {
					consolidate(t, store)
				}
				for range 2 {
					prune(t, store, remote.PruneOptions{KeepVersions: keep, Delete: true, Grace: -1})
				}
				check := func(v deltalog.Version) {
					for _, h := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
						dir := filepath.Join(t.TempDir(), "r")
						require.NoError(t, initIn(t, dir, store, remote.Options{Target: &v, History: h}), "%d %v", v, h)
						requireVersion(t, p, dir, v)
						require.NoError(t, os.RemoveAll(dir))
					}
				}
				for _, v := range pins {
					check(v)
				}
				for v := floorAt; v < 12; v++ {
					check(v)
				}
				requireClean(t, p.dir, store, false, "")
				// a replica begun at each pin is pulled
				for _, v := range pins {
					if v < floorAt {
						continue
					}
					dir := filepath.Join(t.TempDir(), "r")
					require.NoError(t, initIn(t, dir, store, remote.Options{Target: &v}))
					require.NoError(t, pullIn(t, dir, store, remote.Options{}), v)
					requireVersion(t, p, dir, 11)
				}
				// now unpin all
				for i := range pins {
					err := storeOnly(t, store, nil).Unpin(t.Context(), fmt.Sprint("p", i))
					require.NoError(t, err)
				}
				for range 2 {
					prune(t, store, remote.PruneOptions{KeepVersions: keep, Delete: true, Grace: -1})
				}
				for v := floorAt; v < 12; v++ {
					check(v)
				}
				requireClean(t, p.dir, store, false, "unpinned")
			})
		}
	}
}

var _ = time.Now
