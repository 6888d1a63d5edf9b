package remote_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// listing3 is a replicator that lists commits of more than 3 files in a base.
func listing3(t testing.TB, dir string, store storage.Reader, opts *remote.Options) *remote.Replicator {
	t.Helper()
	r := replicator(t, dir, store, opts)
	remote.SetMaxListed(r, 3)
	return r
}

func (p *pond) pushListing3(store storage.Reader, opts *remote.Options) remote.Report {
	p.t.Helper()
	report, err := listing3(p.t, p.dir, store, opts).Push(p.t.Context())
	require.NoError(p.t, err)
	return report
}

// largeInTheMiddle is a table with a large commit in the middle, which adds five files, two of them
// under names that were in use before with other bytes and of the same length, removes one, and
// names change data; and with one that comes first if zero says so.
func largeInTheMiddle(t *testing.T, zero bool) *pond {
	source := newPond(t)
	if zero {
		source.commitLarge(6, 400)
	}
	source.churn(3, 9, 400)
	var actions []action
	for i := range 5 {
		path := fmt.Sprintf("many/%d.parquet", i)
		if i < 2 {
			path = churnFile(int(source.next) - 1 - i)
			actions = append(actions, remove(path))
		}
		source.write(path, noise(uint64(100+i), 400))
		actions = append(actions, add(path, noise(uint64(100+i), 400)))
	}
	source.write("_change_data/c.parquet", "changes")
	actions = append(actions, action{"cdc": map[string]any{"path": "_change_data/c.parquet", "size": 7, "partitionValues": map[string]any{}, "dataChange": false}})
	source.commit(actions...)
	source.churn(3, 9, 400)
	return source
}

// A commit of more files than a manifest lists is in the store by way of its base, and replicas
// do not notice.
func TestFilesInBase(t *testing.T) {
	for _, zero := range []bool{false, true} {
		t.Run(fmt.Sprint("the first version too: ", zero), func(t *testing.T) {
			source, store := largeInTheMiddle(t, zero), storage.NewMemory()
			tip := source.next - 1
			many := tip - 3
			// A replica at the version before, whose log goes on.
			behind := filepath.Join(t.TempDir(), "behind")
			report := source.pushListing3(store, &remote.Options{MaxVersions: int(many)})
			require.Zero(t, report.Absent)
			require.NoError(t, initIn(t, behind, store, remote.Options{}))
			requireSpan(t, behind, 0, many-1)
			want := tree(t, behind)

			report = source.pushListing3(store, nil)
			require.Equal(t, []string{bundleOf(many), baseOf(many)}, []string{keysWith(t, store, fmt.Sprintf("version-%06d/bundle", many))[0], keysWith(t, store, fmt.Sprintf("version-%06d/base", many))[0]})
			require.Equal(t, &many, report.Base)
			require.EqualValues(t, 4, report.Versions)

			_, err := listing3(t, behind, store, nil).Pull(t.Context())
			require.NoError(t, err)
			requireSpan(t, behind, 0, tip)
			requireVersion(t, source, behind, tip)
			require.Equal(t, "changes", readString(t, filepath.Join(behind, "_change_data/c.parquet")))
			for path := range want {
				require.FileExists(t, filepath.Join(behind, path))
			}
			for _, limited := range []bool{false, true} {
				for v := range tip + 1 {
					for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
						dir := filepath.Join(t.TempDir(), "replica")
						r := replicator(t, dir, store, &remote.Options{Target: &v, History: history})
						if limited {
							remote.SetMaxListed(r, 3)
						}
						_, err := r.Init(t.Context())
						require.NoError(t, err)
						if v < many {
							continue // what it had is overwritten at the source
						}
						requireVersion(t, source, dir, v)
						if history == remote.HistoryFull {
							requireSpan(t, dir, 0, v)
						}
					}
				}
			}
			for _, data := range []bool{false, true} {
				found, err := listing3(t, behind, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: data})
				require.NoError(t, err)
				require.NoError(t, found.Err(), found.Findings)
			}
			require.Zero(t, source.pushListing3(store, nil).Versions)
			require.Zero(t, source.mustPush(store).Versions)
		})
	}
}

// many commits n files, and change data.
func (p *pond) many(n int) deltalog.Version {
	v := p.next
	var actions []action
	for i := range n {
		name, content := fmt.Sprintf("many-%d/%d.parquet", v, i), noise(uint64(v)*100+uint64(i), 400)
		p.write(name, content)
		actions = append(actions, add(name, content))
	}
	return p.commit(append(actions, p.changes(fmt.Sprintf("_change_data/c-%d.parquet", v)))...)
}

// changes writes a file of change data.
func (p *pond) changes(path string) action {
	p.write(path, "changes in "+path)
	return action{"cdc": map[string]any{"path": path, "size": len("changes in " + path), "partitionValues": map[string]any{}, "dataChange": false}}
}

// requireClean asserts that Verify finds nothing wrong in a store, but gaps.
func requireClean(t *testing.T, table string, store storage.Reader) {
	t.Helper()
	for _, data := range []bool{false, true} {
		found, err := listing3(t, table, store, nil).Verify(t.Context(), remote.VerifyOptions{Data: data})
		require.NoError(t, err)
		for _, f := range found.Findings {
			require.Equal(t, remote.FindingGap, f.Kind, "%+v", f)
		}
	}
}

func bundleOf(v deltalog.Version) string {
	return fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v)
}
func baseOf(v deltalog.Version) string { return fmt.Sprintf("backups/version-%06d/base.tar.zst", v) }

// Two pushers of different limits meet at the version, whichever was first.
func TestFilesInBaseBesideAManifest(t *testing.T) {
	source := largeInTheMiddle(t, false)
	for _, first := range []int{3, 1000} {
		store := storage.NewMemory()
		one, other := replicator(t, source.dir, store, nil), replicator(t, source.dir, store, nil)
		remote.SetMaxListed(one, first)
		remote.SetMaxListed(other, 1003-first)
		_, err := one.Push(t.Context())
		require.NoError(t, err)
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		_, err = other.Push(t.Context())
		require.NoError(t, err)
		requireVersion(t, source, restored(t, store), 6)
	}
}

// Without the base the version cannot be had, and that is told.
func TestFilesInBaseThatIsLost(t *testing.T) {
	source, store := largeInTheMiddle(t, false), storage.NewMemory()
	source.pushListing3(store, nil)
	behind := filepath.Join(t.TempDir(), "behind")
	require.NoError(t, initIn(t, behind, store, remote.Options{Target: ptr(2)}))
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), baseOf(3)))
	require.ErrorIs(t, pullIn(t, behind, store, remote.Options{}), remote.ErrCorrupt)
	requireSpan(t, behind, 0, 2)
	found, err := replicator(t, behind, store, nil).Verify(t.Context(), remote.VerifyOptions{})
	require.NoError(t, err)
	require.ErrorIs(t, found.Err(), remote.ErrGap)
	// A base of a later version brings what the lost one had.
	source.base(store)
	live, _ := initLive(t, store, remote.Options{})
	requireVersion(t, source, live, 6)
}

// withoutKey is a store in which that object cannot be created.
type withoutKey struct {
	storage.Store
	key string
}

func (s withoutKey) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if key == s.key {
		return errStopped
	}
	return s.Store.Create(ctx, key, r, size)
}

// A push is cut off after the base; the next one goes on, also if it lists more.
func TestFilesInBaseCutOff(t *testing.T) {
	source := largeInTheMiddle(t, false)
	for _, most := range []int{3, 1000} {
		store := storage.NewMemory()
		_, err := listing3(t, source.dir, withoutKey{store, bundleOf(3)}, nil).Push(t.Context())
		require.ErrorIs(t, err, errStopped)
		require.Contains(t, objects(t, store), baseOf(3))
		require.NoError(t, initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{}))
		r := replicator(t, source.dir, store, nil)
		remote.SetMaxListed(r, most)
		_, err = r.Push(t.Context())
		require.NoError(t, err)
		requireVersion(t, source, restored(t, store), 6)
	}
}

// A replica below the floor whose next version was listed in a base that was pruned.
func TestFilesInBaseThatWasPruned(t *testing.T) {
	source, store := largeInTheMiddle(t, false), storage.NewMemory()
	source.pushListing3(store, nil)
	behind := filepath.Join(t.TempDir(), "behind")
	require.NoError(t, initIn(t, behind, store, remote.Options{Target: ptr(2)}))
	source.base(store)
	pruneAll(t, store)
	err := pullIn(t, behind, store, remote.Options{})
	require.ErrorIs(t, err, remote.ErrGap)
	require.NoError(t, pullIn(t, behind, store, remote.Options{AcrossGap: true}))
	requireVersion(t, source, behind, 6)
	require.NoError(t, os.RemoveAll(behind))
}
