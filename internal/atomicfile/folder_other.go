//go:build !linux

package atomicfile

import (
	"errors"
	"os"
)

func renameNew(*Folder, string, *Folder, string) error { return errors.ErrUnsupported }

func syncAll(*os.File) error { return errors.ErrUnsupported }
