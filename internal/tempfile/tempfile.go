// Package tempfile makes temporary files that go with the process, however that ends, where
// the system allows it: a host that is killed again and again for want of memory would fill
// its disk with what it was working on.
package tempfile

import (
	"errors"
	"os"
)

// File is a temporary file, open for reading and writing. Nobody can open it by its name.
type File struct {
	*os.File
	remains bool // there is something for Close to remove
}

// Create makes a file in dir, of the system's folder for temporary files if that is "".
// On unix it has no name any more when Create returns, elsewhere Close removes it.
func Create(dir, pattern string) (*File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return &File{f, os.Remove(f.Name()) != nil}, nil // an open file cannot be removed everywhere
}

// Close closes the file, which is gone then.
func (f *File) Close() error {
	err := f.File.Close()
	if f.remains {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
