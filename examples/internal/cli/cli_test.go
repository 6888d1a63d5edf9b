package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("any"), 1}, {ErrUsage, 2}, {remote.ErrInvalidConfig, 2}, {remote.ErrDiverged, 3}, {remote.ErrGap, 4},
		{remote.ErrCorrupt, 5}, {remote.ErrUnavailable, 6}, {remote.ErrNotEmpty, 7}, {remote.ErrUnsupported, 8}, {remote.ErrDenied, 9},
		{fmt.Errorf("%w: %w", remote.ErrNotEmpty, remote.ErrCorrupt), 7}, {remote.ErrEmptyStore, 1},
	} {
		require.Equal(t, c.want, ExitCode(c.err), "%v", c.err)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 40: "1.0 TiB", 1<<63 - 1: "8.0 EiB"} {
		require.Equal(t, want, Bytes(n))
	}
}

func TestCount(t *testing.T) {
	require.Equal(t, "0 files, 1 file, 2 files", Count(0, "file")+", "+Count(int64(1), "file")+", "+Count(2, "file"))
}
