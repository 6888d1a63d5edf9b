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
	for _, c := range []struct {
		says string
		args []string
	}{
		{`unknown command "frobnicate"`, []string{"frobnicate"}},
		{"too few arguments", []string{"push"}},
		{"too few arguments", []string{"push", "a"}},
		{"unknown flag: --nope", []string{"push", "--nope", "a", "b"}},
		{"ftp", []string{"push", "a", "ftp://x/y"}},
		{"--version -3: versions begin at 0", []string{"init", "--version", "-3", "a", "mem://"}},
		{"URL: invalid storage configuration: this is no URL: want scheme://bucket/prefix, file:///folder, mem:// or a folder that begins with /, ./ or ../", []string{"push", "t1", "st1"}},
		{"URL: ", []string{"pull", "t1", "st1"}},
		{"URL: ", []string{"drill", "st1"}},
		{"TABLE: ", []string{"push", "s3:/b://t", "file:///tmp/s"}},
		{"argument 2 is empty", []string{"push", "t", ""}},
		{"argument 1 is empty", []string{"push", "", "mem://"}},
		{"argument 1 is empty", []string{"verify", "", "mem://"}},
		{"--version and --timestamp exclude each other", []string{"init", "a", "mem://", "--version", "1", "--timestamp", "2026-11-23T08:00:00Z"}},
		{"--grace -1h0m0s must not be negative", []string{"prune", "mem://", "--grace", "-1h"}},
	} {
		args := c.args
		var out, errOut bytes.Buffer
		require.Equal(t, cli.ExitUsage, run(t.Context(), args, &out, &errOut), "%v: %s", args, errOut.String())
		require.Contains(t, errOut.String(), "sluice: ")
		require.Contains(t, errOut.String(), c.says, args)
		require.Empty(t, out.String())
	}
}
