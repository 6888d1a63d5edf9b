package storagetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// run does every operation many times and returns which failed, and what was read wrong.
func runMix(t *testing.T, mix storagetest.FaultMix) (failed []bool, wrong int, faults *storagetest.Faults) {
	t.Helper()
	s, faults := storagetest.RandomFaults(newMemory(t), mix)
	for range 2000 {
		for _, name := range []string{"open", "list", "get"} {
			read, err := operations[name](t.Context(), s.(memory))
			failed = append(failed, err != nil)
			if err != nil {
				require.ErrorIs(t, err, storage.ErrUnavailable)
			} else if read != oldText && name != "list" {
				wrong++
			}
		}
	}
	return failed, wrong, faults
}

// TestRandomFaults: every kind occurs, as often as was asked for, and the seed decides when.
func TestRandomFaults(t *testing.T) {
	mix := storagetest.FaultMix{Seed: 7, Share: 0.05}
	failed, wrong, faults := runMix(t, mix)
	fired := faults.FiredKinds()
	require.Equal(t, 6000, faults.Begun())
	require.Len(t, fired, 5)
	require.Equal(t, fired[storagetest.FaultFlip], wrong)
	for kind, n := range fired {
		if kind != storagetest.FaultThrottle {
			require.InDelta(t, 60, n, 40, kind)
		}
	}
	require.Greater(t, fired[storagetest.FaultThrottle], 100, "several in a row")
	require.Greater(t, faults.Fired(), 6000*5/100*9/10)

	again, _, _ := runMix(t, mix)
	require.Equal(t, failed, again)

	s, faults := storagetest.RandomFaults(newMemory(t), storagetest.FaultMix{Share: 1, Kinds: []storagetest.FaultKind{storagetest.FaultFlip}})
	_, err := operations["put"](t.Context(), s.(memory))
	require.NoError(t, err)
	require.Zero(t, faults.Fired(), "what goes up is not flipped")
	faults.End()
	read, err := operations["open"](t.Context(), s.(memory))
	require.NoError(t, err)
	require.Equal(t, oldText, read)
}
