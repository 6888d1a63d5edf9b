package sim

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// SLUICE_SEED and SLUICE_SIM_STEPS stand for the flags where only the
// environment reaches. SLUICE_SIM_KEEP names a folder that gets the schedule of each
// world that failed.
var (
	seedFlag  = flag.Uint64("sim.seed", fromEnv("SLUICE_SEED", 0), "seed of the first world, those after it have the next ones; 0: new ones")
	stepsFlag = flag.Int("sim.steps", int(fromEnv("SLUICE_SIM_STEPS", 200)), "steps in all")
)

func fromEnv(name string, otherwise uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// worldSteps is how many steps a world lives: long enough for all to happen,
// short enough for a history that can be read.
const worldSteps = 250

func TestRandom(t *testing.T) {
	counts := map[string]int{}
	run := func(seed uint64, steps int) {
		for what, n := range runWorld(t, seed, min(steps, worldSteps)) {
			counts[what] += n
		}
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for steps := *stepsFlag; steps > 0; steps -= worldSteps {
		run(seed, steps)
		seed++
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%7d %s", counts[what], what)
	}
}

// runWorld runs one world to its end; if it fails, it prints the seed and what
// happened.
func runWorld(t *testing.T, seed uint64, steps int) map[string]int {
	t.Helper()
	var trace bytes.Buffer
	var counts map[string]int
	t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
		w, err := New(t.TempDir(), seed, &trace)
		require.NoError(t, err)
		for range steps {
			if err = w.Step(t.Context()); err != nil {
				break
			}
		}
		if err == nil {
			err = w.Finish(t.Context())
		}
		if err != nil {
			keep(t, seed, fmt.Appendf(bytes.Clone(trace.Bytes()), "%v\n", err))
			t.Fatalf("seed %d (again: go test ./internal/sim -run Random -sim.seed %d -sim.steps %d):\n%s%v", seed, seed, steps, trace.Bytes(), err)
		}
		counts = w.Counts
	})
	return counts
}

// keep writes the schedule of a world that failed.
func keep(t *testing.T, seed uint64, schedule []byte) {
	t.Helper()
	dir := os.Getenv("SLUICE_SIM_KEEP")
	if dir == "" {
		return
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("seed-%d.txt", seed)), schedule, 0o644))
}
