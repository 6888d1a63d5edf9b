package remote_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// A base is taken, and a replica begun with it, within Options.Memory and half as much, or
// what it takes to pack one object, however large the state of the table is.
func TestMemoryOfABase(t *testing.T) {
	for name, c := range map[string]struct {
		files, stats  int
		memory, bound int64
	}{
		"much is said of each file": {6000, 8000, 16 << 20, 24 << 20},
		"many files":                {21_000, 10, 8 << 20, 40 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			source := manyFiles(t, c.files, c.stats)
			var store storage.Store
			peak := leastPeak(t, c.bound, func() {
				var err error
				store, err = storage.OpenDir(t.TempDir())
				require.NoError(t, err)
				_, err = replicator(t, source.dir, store, &remote.Options{Memory: c.memory}).Push(t.Context())
				require.NoError(t, err)
			})
			assert.Less(t, peak, c.bound, "push: %d MiB", peak>>20)
			var dir string
			peak = leastPeak(t, c.memory*3/2, func() {
				dir = filepath.Join(t.TempDir(), "replica")
				_, err := replicator(t, dir, store, &remote.Options{Memory: c.memory, Durability: remote.DurabilityRelaxed}).Init(t.Context())
				require.NoError(t, err)
			})
			assert.Less(t, peak, c.memory*3/2, "init: %d MiB", peak>>20)
			require.Equal(t, liveFiles(t, source.dir, 1), liveFiles(t, dir, 1))
		})
	}
}

// manyFiles is a table whose log begins at version 1, at which n files are live, with so
// many bytes of statistics each.
func manyFiles(t *testing.T, n, stats int) *pond {
	source := newPond(t)
	actions := begin("many")
	for i := range n {
		name := fmt.Sprintf("part-%d/%05d-%s.parquet", i/1000, i, strings.Repeat("x", 100))
		source.write(name, "x")
		a := add(name, "x")
		a["add"].(map[string]any)["stats"] = fmt.Sprintf(`{"numRecords":1,"nullCount":{"%x":0}}`, noise(uint64(i), stats/2))
		actions = append(actions, a)
	}
	source.commit(actions...)
	source.append("x")
	source.cleanUp(1)
	return source
}

// leastPeak is peakOf, the least of three tries until one is below the bound: what dies while the
// collector runs counts, too, which on a busy machine is some MiB.
func leastPeak(t *testing.T, bound int64, f func()) int64 {
	t.Helper()
	least := peakOf(t, f)
	for try := 1; try < 3 && least >= bound; try++ {
		least = min(least, peakOf(t, f))
	}
	return least
}

// peakOf returns how many bytes f has in memory at most that are in use, about, beside
// what was before.
func peakOf(t *testing.T, f func()) int64 {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(30))
	for range 2 { // what pools hold goes with the second
		runtime.GC()
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	now := func() int64 {
		metrics.Read(live)
		return int64(live[0].Value.Uint64())
	}
	before, peak := now(), int64(0)
	ended, sampled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-ended:
				tick.Stop()
				return
			case <-tick.C:
				peak = max(peak, now()-before)
			}
		}
	}()
	f()
	close(ended)
	<-sampled
	t.Logf("peak %d MiB", peak>>20)
	return peak
}
