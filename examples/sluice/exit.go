package main

import (
	"errors"

	"github.com/pondworks/sluice/examples/internal/cli"
)

// exitBehind is an exit code that only status has.
const exitBehind = 10

// exitCode tells a script what to do next.
func exitCode(err error) int {
	if code := cli.ExitCode(err); code != cli.ExitFailed || !errors.Is(err, errBehind) {
		return code
	}
	return exitBehind
}
