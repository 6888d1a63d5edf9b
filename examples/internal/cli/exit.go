// Package cli is what the commands among the examples have in common: exit
// codes, progress bars, colours.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Exit codes. Scripts rely on them.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitDiverged    = 3
	ExitGap         = 4
	ExitCorrupt     = 5
	ExitUnavailable = 6
	ExitNotEmpty    = 7
	ExitUnsupported = 8
	ExitDenied      = 9
)

// ErrUsage marks a command line that makes no sense.
var ErrUsage = errors.New("usage")

// ExitCode tells a script what to do next. ErrNotEmpty comes first: it may wrap
// why the table there cannot be carried on.
func ExitCode(err error) int {
	for _, c := range []struct {
		class error
		code  int
	}{
		{ErrUsage, ExitUsage},
		{storage.ErrInvalidConfig, ExitUsage},
		{remote.ErrInvalidConfig, ExitUsage},
		{remote.ErrNotEmpty, ExitNotEmpty},
		{remote.ErrDiverged, ExitDiverged},
		{remote.ErrConflict, ExitDiverged},
		{remote.ErrUnsupported, ExitUnsupported},
		{remote.ErrCorrupt, ExitCorrupt},
		{remote.ErrGap, ExitGap},
		{remote.ErrUnavailable, ExitUnavailable},
		{remote.ErrDenied, ExitDenied},
	} {
		if errors.Is(err, c.class) {
			return c.code
		}
	}
	if err != nil {
		return ExitFailed
	}
	return ExitDone
}

// TellError says what went wrong, in red or as JSON. Who cannot be told has the exit
// code.
func TellError(w io.Writer, program string, err error, code int, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": err.Error(), "exit_code": code})
		return
	}
	_, _ = fmt.Fprintln(w, NewPaint(w).Bad(program+":"), err)
}
