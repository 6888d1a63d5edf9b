package main

import (
	"errors"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Exit codes. Scripts rely on them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDiverged    = 3
	exitGap         = 4
	exitCorrupt     = 5
	exitUnavailable = 6
	exitNotEmpty    = 7
	exitUnsupported = 8
	exitDenied      = 9
	exitBehind      = 10
)

// errUsage marks a command line that makes no sense.
var errUsage = errors.New("usage")

// exitCode tells a script what to do next. ErrNotEmpty comes first: it may wrap
// why the table there cannot be carried on.
func exitCode(err error) int {
	for _, c := range []struct {
		class error
		code  int
	}{
		{errUsage, exitUsage},
		{storage.ErrInvalidConfig, exitUsage},
		{remote.ErrNotEmpty, exitNotEmpty},
		{remote.ErrDiverged, exitDiverged},
		{remote.ErrConflict, exitDiverged},
		{remote.ErrGap, exitGap},
		{remote.ErrUnsupported, exitUnsupported},
		{remote.ErrCorrupt, exitCorrupt},
		{remote.ErrUnavailable, exitUnavailable},
		{remote.ErrDenied, exitDenied},
		{errBehind, exitBehind},
	} {
		if errors.Is(err, c.class) {
			return c.code
		}
	}
	if err != nil {
		return exitFailed
	}
	return exitDone
}
