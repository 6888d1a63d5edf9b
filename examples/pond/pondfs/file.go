package pondfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// createNew puts a durable file of these bytes in place, whole or not at all.
// Of several callers exactly one wins; the others get an error wrapping
// fs.ErrExist. A link does that, a rename would replace. An error wraps errInPlace
// if the file is there all the same, and only may not survive a power cut.
func createNew(name string, b []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(name), ".pond-*.tmp")
	if err != nil {
		return err
	}
	_, err = temp.Write(b)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Link(temp.Name(), name)
	}
	gone := os.Remove(temp.Name())
	if err != nil {
		return errors.Join(err, gone)
	}
	if err := errors.Join(gone, syncDir(filepath.Dir(name))); err != nil {
		return fmt.Errorf("%s: %w: %w", name, errInPlace, err)
	}
	return nil
}

var errInPlace = errors.New("it is there, but may not survive a power cut")

// syncDir makes the names in a folder durable. Windows needs no such thing.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
