package main

import (
	"bytes"
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
		{nil, 0}, {errors.New("any"), 1}, {errUsage, 2}, {remote.ErrDiverged, 3}, {remote.ErrGap, 4},
		{remote.ErrCorrupt, 5}, {remote.ErrUnavailable, 6}, {remote.ErrNotEmpty, 7}, {remote.ErrUnsupported, 8}, {remote.ErrDenied, 9}, {errBehind, 10},
		{fmt.Errorf("%w: %w", remote.ErrNotEmpty, remote.ErrCorrupt), 7}, {remote.ErrEmptyStore, 1},
	} {
		require.Equal(t, c.want, exitCode(c.err), "%v", c.err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"frobnicate"}, {"push"}, {"push", "a"}, {"push", "--nope", "a", "b"}, {"push", "a", "ftp://x/y"}, {"init", "--version", "-3", "a", "mem://"}} {
		var out, errOut bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, &out, &errOut), "%v: %s", args, errOut.String())
		require.Contains(t, errOut.String(), "sluice: ")
		require.Empty(t, out.String())
	}
}
