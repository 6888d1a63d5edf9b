package remote_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/internal/disktest"
)

// TestPowerCut cuts the power after each step of every operation and loses what was
// not made durable, in many ways: nothing wrong is visible, and the next run gets to
// where it would have come. When an operation has returned, all of it is durable.
// Without SLUICE_DISK=all it takes every 61st step only.
func TestPowerCut(t *testing.T) {
	for name, begin := range diskTrials {
		t.Run(name, func(t *testing.T) {
			trial := begin(t)
			disk := filepath.Dir(trial.folder)
			record := disktest.Record(t, disk)
			err := trial.run(t)
			record.Stop()
			require.NoError(t, err)
			record.RequireComplete(t)
			trial.requireDurable(t, record, "when all is done")

			seen := map[string]bool{}
			for n := 0; n <= record.Steps(); n += int(stride(61)) {
				for lost, loss := range disktest.Losses(n) {
					trial.restart(t, record, n, loss)
					if state := digestOf(t, disk); seen[state] {
						continue
					} else {
						seen[state] = true
					}
					what := fmt.Sprintf("after step %d of %d, without %s", n, record.Steps(), lost)
					trial.check(t, what)
					require.NoError(t, trial.run(t), what)
					trial.done(t, what)
				}
			}
			t.Logf("%d steps, %d different states", record.Steps(), len(seen))
		})
	}
}

// TestPowerCutAfterResume stops every operation after each of its steps without losing
// anything, as the end of a process does, lets another run finish it, and cuts the
// power then: that run has also made durable what the first one left. Without
// SLUICE_DISK=all it takes every 23rd step only.
func TestPowerCutAfterResume(t *testing.T) {
	for name, begin := range diskTrials {
		t.Run(name, func(t *testing.T) {
			trial := begin(t)
			record := disktest.Record(t, filepath.Dir(trial.folder))
			err := trial.run(t)
			record.Stop()
			require.NoError(t, err)
			for n := 0; n <= record.Steps(); n += int(stride(23)) {
				what := fmt.Sprintf("resumed after step %d", n)
				trial.restart(t, record, n, disktest.None)
				both := record.Resume(n)
				err := trial.run(t)
				both.Stop()
				require.NoError(t, err, what)
				trial.requireDurable(t, both, what)
			}
		})
	}
}

// restart puts the disk into the state that a power cut after n steps leaves.
func (d *diskTrial) restart(t *testing.T, record *disktest.Recording, n int, loss disktest.Loss) {
	t.Helper()
	disk := filepath.Dir(d.folder)
	require.NoError(t, os.RemoveAll(disk))
	record.After(t, n).WriteTo(t, disk, loss)
}

// requireDurable asserts that all that an operation has done survives a power cut.
func (d *diskTrial) requireDurable(t *testing.T, record *disktest.Recording, what string) {
	t.Helper()
	d.restart(t, record, record.Steps(), disktest.Unsynced)
	d.done(t, what+", after a power cut")
}

// digestOf tells states of a disk apart.
func digestOf(t *testing.T, dir string) string {
	t.Helper()
	files := tree(t, dir)
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %q\n", name, files[name])
	}
	return string(h.Sum(nil))
}
