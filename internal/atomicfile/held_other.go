//go:build !linux

package atomicfile

import (
	"errors"
	"os"
)

func openBeneath(*os.File, string, int) (*os.File, error) { return nil, errors.ErrUnsupported }

func openSmallBeneath(*os.File, string, int) (*os.File, *Small, error) {
	return nil, nil, errors.ErrUnsupported
}

func sizeBeneath(*os.File, string) (size int64, ok bool) { return 0, false }
