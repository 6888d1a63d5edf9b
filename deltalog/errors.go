package deltalog

import (
	"errors"
	"fmt"

	"github.com/pondworks/sluice/internal/errdef"
)

// Errors by what the caller should do next.
var (
	// ErrNoTable: there is no log, or none of its commits is complete yet.
	ErrNoTable = errors.New("no table")
	// ErrConflict: a version or a file is there already with other content.
	// What was there was not touched.
	ErrConflict = errors.New("there already with other content")
	// ErrCorrupt: bytes fail their digest or their grammar, or a log has a hole.
	ErrCorrupt = errdef.ErrCorrupt
	// ErrTooLarge: input exceeds a limit; comes with ErrCorrupt.
	ErrTooLarge = errdef.ErrTooLarge
	// ErrUnsupported: the table needs what this package cannot replicate.
	ErrUnsupported = errdef.ErrUnsupported
	// ErrAbsolutePath: a file of the table lies outside its folder, so that it is another
	// table's. It wraps ErrUnsupported.
	ErrAbsolutePath = fmt.Errorf("%w: absolute path", ErrUnsupported)
	// ErrIncomplete: a commit is empty or ends in the middle of an action. The
	// newest commit of a table may only be on its way; anywhere else it is
	// damage, hence it wraps ErrCorrupt. Errors of this kind also wrap
	// io.ErrUnexpectedEOF.
	ErrIncomplete = fmt.Errorf("%w: incomplete commit", ErrCorrupt)
)
