package storage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// lookup describes the object of a key. Everything on the way to it must be a
// real folder and it must be a regular file, else there is no such object: the
// error then wraps fs.ErrNotExist.
func lookup(root *atomicfile.Root, key string) (fs.FileInfo, error) {
	if err := checkParents(root, key); err != nil {
		if errors.Is(err, ErrInvalidKey) {
			return nil, fs.ErrNotExist
		}
		return nil, err
	}
	info, err := root.Lstat(key)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return info, err
}

// checkParents returns an error wrapping ErrInvalidKey if something that is no
// folder stands on the way to key, one wrapping fs.ErrNotExist if nothing does.
// os.Root keeps symbolic links from leading out
// of the store, but one that leads elsewhere within it would give an object two
// keys, one of which no listing shows.
func checkParents(root *atomicfile.Root, key string) error {
	for i, c := range key {
		if c != '/' {
			continue
		}
		info, err := root.Lstat(key[:i])
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%w %q: %q is no folder, and a folder store cannot hold keys below it", ErrInvalidKey, key, key[:i])
		}
	}
	return nil
}

// checkFree returns nil if key can be created in the folder store, an error
// wrapping fs.ErrExist if it is taken, one wrapping ErrInvalidKey if it is in
// the way of other keys or they of it.
func checkFree(root *atomicfile.Root, key string) error {
	err := checkParents(root, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := root.Lstat(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular():
		return fs.ErrExist
	case info.IsDir():
		return fmt.Errorf("%w %q: it is a folder, and a folder store cannot hold an object of that name", ErrInvalidKey, key)
	}
	return fmt.Errorf("%w %q: something that is no regular file has this name (%s)", ErrInvalidKey, key, info.Mode().Type())
}
