package remote_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// A table that enabled in-commit timestamps midway was copied without the times of its files: those
// of the first versions are newer than what the later ones state. What engines answer for a later
// one an init does, too.
func TestInitByTimeWhereTimesDescendOnce(t *testing.T) {
	for _, singly := range []bool{true, false} {
		source, store := newPond(t), storage.NewMemory()
		for v := range deltalog.Version(7) {
			source.append(fmt.Sprint(v))
			source.touch(v, time.Date(2026, 11, 1, 0, 0, int(v), 0, time.UTC)) // when it was copied
		}
		stated := func(v deltalog.Version) time.Time { return time.Date(2026, 3, int(v), 0, 0, 0, 0, time.UTC) }
		for v := deltalog.Version(7); v < 12; v++ {
			name := fmt.Sprintf("stated-%d", v)
			source.write(name, name)
			source.commit(action{"commitInfo": map[string]any{"inCommitTimestamp": stated(v).UnixMilli()}}, add(name, name))
		}
		if singly {
			source.pushSingly(store)
		} else {
			source.mustPush(store)
		}
		for v := deltalog.Version(7); v < 12; v++ {
			for _, later := range []time.Duration{0, time.Hour} {
				dir := filepath.Join(t.TempDir(), "replica")
				require.NoError(t, initIn(t, dir, store, remote.Options{TargetTime: stated(v).Add(later)}), "version %d", v)
				requireVersion(t, source, dir, v)
			}
		}
		dir := filepath.Join(t.TempDir(), "replica") // of a time among those of the copy, which all that is stated precedes
		require.NoError(t, initIn(t, dir, store, remote.Options{TargetTime: time.Date(2026, 11, 1, 0, 0, 3, 0, time.UTC)}))
		requireVersion(t, source, dir, 11)
		err := initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{TargetTime: stated(7).Add(-time.Millisecond)})
		require.ErrorIs(t, err, remote.ErrGap)
	}
}
