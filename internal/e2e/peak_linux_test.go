package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runPeak runs cmd to its end and returns the most memory that it held, in bytes.
// Linux counts towards the peak that wait4 reports what the process that forked held
// before the new program was there, which is this test; so the peak of the program
// alone (VmHWM, which only grows) is read while it runs, the last time within some
// milliseconds of its end.
func runPeak(t *testing.T, cmd *exec.Cmd) int64 {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var peak int64
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			require.NoError(t, err, "%s", out.String())
			require.Positive(t, peak)
			return peak
		case <-tick.C:
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the peak memory of a process in bytes, 0 of one that has ended.
func highWater(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(b), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscanf(after, "%d kB", &kib); err != nil {
		return 0
	}
	return kib << 10
}

// TestPeakIsOfTheProgramAlone holds runPeak against a process that needs little,
// started by one that holds much.
func TestPeakIsOfTheProgramAlone(t *testing.T) {
	ballast := bytes.Repeat([]byte{1}, 200<<20)
	peak := runPeak(t, command(t, nil, "--help"))
	require.Less(t, peak, int64(len(ballast)/2))
}
