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

// commitTime is that of the commits of a pond.
func commitTime(v deltalog.Version) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 123_000_000, time.UTC).Add(time.Duration(v) * time.Minute)
}

// at is a clock that stands.
func at(now time.Time) *remote.Options {
	return &remote.Options{Clock: func() time.Time { return now }}
}

func commitBytes(t *testing.T, dir string, versions ...deltalog.Version) (n int64) {
	t.Helper()
	for _, v := range versions {
		info, err := os.Stat(filepath.Join(dir, v.CommitPath()))
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

func TestLagOfTheStore(t *testing.T) {
	source, store := newPond(t), &switchable{Store: storage.NewMemory()}
	now := commitTime(10)
	pusher := replicator(t, source.dir, store, at(now))
	source.append("0123456789")
	source.append("0123456789")
	st, err := pusher.Status(t.Context())
	require.NoError(t, err)
	first := commitTime(0)
	require.Equal(t, remote.Lag{Versions: 2, Bytes: 20 + commitBytes(t, source.dir, 0, 1), Oldest: &first, Age: 10 * time.Minute}, st.Lag)

	_, err = pusher.Push(t.Context())
	require.NoError(t, err)
	st, err = pusher.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, remote.Lag{}, st.Lag)
	source.append("x")
	source.append("yz")
	third := commitTime(2)
	want := remote.Lag{Versions: 2, Bytes: 3 + commitBytes(t, source.dir, 2, 3), Oldest: &third, Age: 8 * time.Minute}
	st, err = pusher.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, st.Lag)

	store.down.Store(true) // the lag is known without the store
	_, err = pusher.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrUnavailable)
	lag, err := pusher.Lag(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, lag)
}

func TestLagOfAReplica(t *testing.T) {
	for _, singly := range []bool{true, false} {
		t.Run(fmt.Sprint("pushed singly: ", singly), func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			push := func() {
				if singly {
					source.pushSingly(store)
				} else {
					source.mustPush(store)
				}
			}
			source.append("zero")
			push()
			replica := restored(t, store)
			for range 3 {
				source.append("more")
			}
			push()
			now := commitTime(5)
			st, err := replicator(t, replica, store, at(now)).Status(t.Context())
			require.NoError(t, err)
			first, want := commitTime(1), int64(0)
			for key, size := range objects(t, store) {
				if filepath.Base(key) == "bundle.tar.zst" && filepath.Dir(key) != "backups/version-000000" {
					want += size
				}
			}
			require.Equal(t, remote.Lag{Versions: 3, Bytes: want, Oldest: &first, Age: 4 * time.Minute}, st.Lag)

			st, err = replicator(t, filepath.Join(t.TempDir(), "none"), store, at(now)).Status(t.Context())
			require.NoError(t, err)
			require.Nil(t, st.Local)
			require.EqualValues(t, 4, st.Behind)
			require.EqualValues(t, 4, st.Lag.Versions)
			require.Equal(t, 5*time.Minute, st.Lag.Age)
		})
	}
}

// A run that begins below what the replica lacks is what is to be fetched.
func TestLagInsideARun(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 4 {
		source.append("x")
	}
	source.mustPush(store)
	target := deltalog.Version(1)
	dir := t.TempDir()
	_, err := replicator(t, dir, store, &remote.Options{Target: &target}).Init(t.Context())
	require.NoError(t, err)
	st, err := replicator(t, dir, store, at(commitTime(4))).Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, st.Lag.Versions)
	require.Equal(t, objects(t, store)["backups/version-000000/bundle.tar.zst"], st.Lag.Bytes)
	require.Equal(t, 2*time.Minute, st.Lag.Age)
}

// What the log no longer has is told apart from what can still be pushed.
func TestLagOverAHole(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(5, 3, 500)
	source.mustPush(store)
	source.churn(8, 3, 500)
	source.cleanUp(10)
	st, err := replicator(t, source.dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, st.Lost)
	require.EqualValues(t, 3, st.Ahead)
	require.EqualValues(t, 3, st.Lag.Versions)
	require.Equal(t, commitTime(10), *st.Lag.Oldest)
	source.mustPush(store)
	st, err = replicator(t, source.dir, store, nil).Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, st.Lost)
	require.Equal(t, remote.Lag{}, st.Lag)
}
