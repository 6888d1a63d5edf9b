//go:build !linux

package atomicfile

import (
	"errors"
	"os"
)

func openUnnamed(*os.Root, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkUnnamed(*os.File, *os.Root, string) error { return errors.ErrUnsupported }
