package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("any"), 1}, {cli.ErrUsage, 2}, {errBehind, 10}, {fmt.Errorf("%w: %w", errBehind, remote.ErrDiverged), 3},
	} {
		require.Equal(t, c.want, exitCode(c.err), "%v", c.err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"frobnicate"}, {"push"}, {"push", "a"}, {"push", "--nope", "a", "b"}, {"push", "a", "ftp://x/y"}, {"init", "--version", "-3", "a", "mem://"}} {
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), args, &out, &errOut), "%v: %s", args, errOut.String())
		require.Contains(t, errOut.String(), "sluice: ")
		require.Empty(t, out.String())
	}
}
