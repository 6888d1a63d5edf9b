// Package errdef holds the error values that several packages of this module
// share, so that errors.Is answers the same for a host whichever package found
// the fault. The public packages re-export them.
package errdef

import "errors"

var (
	// ErrCorrupt: bytes fail their digest or their grammar.
	ErrCorrupt = errors.New("corrupt")
	// ErrTooLarge: input exceeds a limit. On untrusted input it comes with ErrCorrupt.
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported: written by a newer format, or needs a feature we lack.
	ErrUnsupported = errors.New("unsupported")
)
