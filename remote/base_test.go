package remote_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// noise is n bytes that do not compress, different for every seed.
func noise(seed uint64, n int) string {
	key := sha256.Sum256(fmt.Append(nil, seed))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return string(b)
}

// churn commits n versions of one file each, of which the last live stay live.
func (p *pond) churn(n, live, size int) {
	p.t.Helper()
	for range n {
		v := int(p.next)
		var actions []action
		if v == 0 {
			actions = begin("churn")
		}
		if v >= live {
			actions = append(actions, remove(churnFile(v-live)))
		}
		content := noise(uint64(v), size)
		p.write(churnFile(v), content)
		p.commit(append(actions, add(churnFile(v), content))...)
	}
}

func churnFile(v int) string { return fmt.Sprintf("x=%d/file-%05d.parquet", v%3, v) }

// liveFiles is the content of all files that a table needs at version v.
func liveFiles(t *testing.T, dir string, v deltalog.Version) map[string]string {
	t.Helper()
	state, err := openTable(t, dir).Snapshot(t.Context(), v, nil)
	require.NoError(t, err)
	files := map[string]string{}
	for path, err := range state.LiveFiles() {
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		require.NoError(t, err)
		files[path] = string(b)
	}
	require.NoError(t, state.Close())
	return files
}

func initLive(t *testing.T, store storage.Reader, opts remote.Options) (string, remote.Report) {
	t.Helper()
	opts.History = remote.HistoryLive
	dir := filepath.Join(t.TempDir(), "replica")
	report, err := replicator(t, dir, store, &opts).Init(t.Context())
	require.NoError(t, err)
	return dir, report
}

// scatter commits n versions of one file each, of which every keep-th stays live,
// and the newest.
func (p *pond) scatter(n, keep, size int) {
	p.t.Helper()
	for range n {
		v := int(p.next)
		var actions []action
		switch {
		case v == 0:
			actions = begin("scattered")
		case (v-1)%keep != 0:
			actions = append(actions, remove(churnFile(v-1)))
		}
		content := noise(uint64(v), size)
		p.write(churnFile(v), content)
		p.commit(append(actions, add(churnFile(v), content))...)
	}
}

// vacuum removes the dead files of the last n versions.
func (p *pond) vacuum(n, keep int) {
	p.t.Helper()
	for v := max(0, int(p.next)-1-n); v < int(p.next)-1; v++ {
		if v%keep != 0 {
			require.NoError(p.t, os.RemoveAll(filepath.Join(p.dir, churnFile(v))))
		}
	}
}

// SLUICE_LIVE_VERSIONS makes the history of this test long: with 20000, of 256 KiB
// each, it takes 6 GB of memory.
func TestLiveInitMovesWhatIsLive(t *testing.T) {
	versions, keep, size := 400, 10, 64<<10
	if n := os.Getenv("SLUICE_LIVE_VERSIONS"); n != "" {
		var err error
		versions, err = strconv.Atoi(n)
		require.NoError(t, err)
		keep, size = 100, 256<<10
	}
	source, store := newPond(t), storage.NewMemory()
	pusher := replicator(t, source.dir, store, nil)
	for range versions / 10 { // a hook that pushes a few versions at a time
		source.scatter(10, keep, size)
		_, err := pusher.Push(t.Context())
		require.NoError(t, err)
		source.vacuum(20, keep)
	}
	require.Greater(t, countBases(t, store), 3)

	tip := source.next - 1
	var replica string
	for back := deltalog.Version(50); back >= 0; back -= 10 { // bases are not taken with every push
		target := tip - back
		dir, report := initLive(t, store, remote.Options{Target: &target})
		requireScattered(t, dir, target, keep, size)
		require.NotNil(t, report.Base)
		assert.NoFileExists(t, filepath.Join(dir, deltalog.Version(0).CommitPath()))
		live, touched, tail := int64(0), map[deltalog.Version]bool{}, map[deltalog.Version]bool{}
		for v, err := range pusher.Versions(t.Context()) {
			require.NoError(t, err)
			n := int(v.Version)
			if isLive := n%keep == 0 || v.Version == target; isLive && v.Version <= target {
				live += int64(size)
				touched[v.Bundle] = true
			}
			if *report.Base <= v.Version && v.Version <= target { // the base's own bundle is read for two ends of it
				tail[v.Bundle] = true
			}
		}
		received := report.Requests.Received
		t.Logf("version %d of %d KiB each: init of %d KiB that are live received %d KiB, %.2f times as much, in %d GET and %d LIST for %d bundles and a tail of %d",
			target, size>>10, live>>10, received>>10, float64(received)/float64(live), report.Requests.Get, report.Requests.List, len(touched), len(tail))
		assert.LessOrEqual(t, received, live*3/2)
		more := 3 // identity, head, base
		if *report.Base == target && target < tip {
			more += 2 // for the bundle of its version, where the head does not tell whose it is
		}
		assert.LessOrEqual(t, report.Requests.Get, int64(len(touched)+len(tail)+more))
		replica = dir
	}

	source.scatter(3, keep, size)
	_, err := pusher.Push(t.Context())
	require.NoError(t, err)
	_, err = replicator(t, replica, store, nil).Pull(t.Context())
	require.NoError(t, err)
	requireScattered(t, replica, tip+3, keep, size) // it goes on from there
}

func requireScattered(t *testing.T, dir string, v deltalog.Version, keep, size int) {
	t.Helper()
	want := map[string]string{}
	for n := range int(v) + 1 {
		if n%keep == 0 || n == int(v) {
			want[churnFile(n)] = noise(uint64(n), size)
		}
	}
	require.Equal(t, want, liveFiles(t, dir, v))
}

func countBases(t *testing.T, store storage.Reader) (n int) {
	t.Helper()
	for key := range objects(t, store) {
		if strings.HasSuffix(key, "/base.tar.zst") {
			n++
		}
	}
	return n
}

// What bases add to a store stays a small share, whatever the history.
func TestBasesAreASmallShare(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	pusher := replicator(t, source.dir, store, nil)
	for range 40 {
		source.churn(5, 50, 48<<10)
		_, err := pusher.Push(t.Context())
		require.NoError(t, err)
	}
	var bases, all int64
	for key, size := range objects(t, store) {
		if strings.HasSuffix(key, "/base.tar.zst") {
			bases += size
		}
		all += size
	}
	require.NotZero(t, bases)
	assert.Less(t, bases*15, all)
}

func TestBaseOnRequest(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 2, 1000)
	source.mustPush(store)
	require.Zero(t, countBases(t, store), "too little for the policy")
	report, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	require.Equal(t, deltalog.Version(4), *report.Base)

	source.churn(5, 2, 1000)
	source.mustPush(store)
	_, err = replicator(t, source.dir, store, nil).Base(t.Context()) // on top of the first, by a fresh process
	require.NoError(t, err)
	require.Equal(t, 2, countBases(t, store))
	_, err = replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err, "again")

	for target, base := range map[deltalog.Version]deltalog.Version{4: 4, 6: 4, 8: 4, 9: 9} {
		replica, report := initLive(t, store, remote.Options{Target: &target})
		require.Equal(t, base, *report.Base)
		require.Equal(t, liveFiles(t, source.dir, target), liveFiles(t, replica, target))
	}
	full := restored(t, store)
	requireSame(t, source.dir, full)
	target := deltalog.Version(3)
	replica, report := initLive(t, store, remote.Options{Target: &target})
	require.Nil(t, report.Base, "no base is that old")
	require.Equal(t, liveFiles(t, source.dir, target), liveFiles(t, replica, target))
}

func TestInitToATime(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 2, 100)
	source.mustPush(store)
	at := func(v deltalog.Version) time.Time {
		info, err := os.Stat(filepath.Join(source.dir, v.CommitPath()))
		require.NoError(t, err)
		return info.ModTime().Truncate(time.Millisecond) // Delta counts milliseconds
	}
	for name, tc := range map[string]struct {
		time time.Time
		want deltalog.Version
	}{
		"the time of a version": {at(3), 3},
		"just before it":        {at(3).Add(-time.Millisecond), 2},
		"the first":             {at(0), 0},
		"after all":             {at(5).Add(time.Hour), 5},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "replica")
			_, err := replicator(t, dir, store, &remote.Options{TargetTime: tc.time}).Init(t.Context())
			require.NoError(t, err)
			tip, err := openTable(t, dir).Tip(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tc.want, tip)
		})
	}
	_, err := replicator(t, t.TempDir(), store, &remote.Options{TargetTime: at(0).Add(-time.Millisecond)}).Init(t.Context())
	assert.ErrorIs(t, err, remote.ErrGap)
}
