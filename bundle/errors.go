package bundle

import (
	"errors"
	"fmt"

	"github.com/pondworks/sluice/internal/errdef"
)

// Errors by what the caller should do next; errors.Is finds them in whatever
// this package returns. Errors of the caller's own reader, writer, [OpenFunc],
// [PutFunc] and context pass through and are found as well; they are never
// taken for corruption.
var (
	// ErrCorrupt: the bytes break a rule of FORMAT.md or fail a digest. Nothing
	// that came out of them may be used.
	ErrCorrupt = errdef.ErrCorrupt
	// ErrTooLarge: a limit of [Limits] or FORMAT.md is exceeded. From Decode it
	// comes together with ErrCorrupt.
	ErrTooLarge = errdef.ErrTooLarge
	// ErrUnsupported: a newer format number or an unknown kind of file.
	ErrUnsupported = errdef.ErrUnsupported
	// ErrSize: while a bundle was written, a file turned out shorter or longer
	// than its OpenFunc had announced. The file changed meanwhile: look again.
	ErrSize = errors.New("file is not as long as announced")
)

// corruptf makes an error that wraps ErrCorrupt.
func corruptf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrCorrupt)
}

// inMember says which member err is about.
func inMember(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("member %q: %w", path, err)
}
