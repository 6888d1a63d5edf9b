package telemetry

import (
	"context"
	"errors"

	"github.com/pondworks/sluice/remote"
)

// errorTypes name the classes of errors; the first that matches is taken. Dashboards
// rely on the names.
var errorTypes = []struct {
	class error
	name  string
}{
	{remote.ErrNotEmpty, "not_empty"}, // it may wrap why the table there cannot be carried on
	{remote.ErrDiverged, "diverged"},
	{remote.ErrConflict, "conflict"},
	{remote.ErrGap, "gap"},
	{remote.ErrEmptyStore, "empty_store"},
	{remote.ErrTooLarge, "too_large"},
	{remote.ErrUnsupported, "unsupported"},
	{remote.ErrCorrupt, "corrupt"},
	{remote.ErrNoTable, "no_table"},
	{remote.ErrExtraHook, "extra_hook"},
	{remote.ErrReadOnly, "read_only"},
	{remote.ErrUnsafe, "unsafe"},
	{remote.ErrDenied, "denied"},
	{remote.ErrUnavailable, "unavailable"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "canceled"},
}

func errorType(err error) string {
	for _, t := range errorTypes {
		if errors.Is(err, t.class) {
			return t.name
		}
	}
	return "other"
}
