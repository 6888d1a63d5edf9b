package sim

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// SLUICE_SEED and SLUICE_SIM_STEPS stand for the flags where only the
// environment reaches.
var (
	seedFlag  = flag.Uint64("sim.seed", fromEnv("SLUICE_SEED", 0), "seed of the only world to run; 0: new ones")
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
	if *seedFlag != 0 {
		run(*seedFlag, *stepsFlag)
	} else {
		seed := uint64(time.Now().UnixNano())
		for steps := *stepsFlag; steps > 0; steps -= worldSteps {
			run(seed, steps)
			seed++
		}
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
			t.Fatalf("seed %d (again: go test ./internal/sim -run Random -sim.seed %d):\n%s%v", seed, seed, trace.Bytes(), err)
		}
		counts = w.Counts
	})
	if t.Failed() {
		t.FailNow()
	}
	return counts
}
