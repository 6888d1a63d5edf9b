package storage

import (
	"errors"
	"io/fs"
	"path"
	"sync"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// shown are the folders of the objects that a Dir has shown its user. Whoever made
// them may have been stopped before their names were durable, and the user may go on
// to say that they are there: Put makes them durable first.
type shown struct {
	mu      sync.Mutex // guards the others
	folders map[string]bool
	many    bool // too many to remember
}

// maxShown is up to how many folders are synced each for itself.
const maxShown = 8

// note takes note of an object and of the folders on the way to it.
func (s *shown) note(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for dir := path.Dir(key); !s.many && !s.folders[dir]; dir = path.Dir(dir) {
		if len(s.folders) == maxShown {
			s.folders, s.many = nil, true
			return
		}
		if s.folders == nil {
			s.folders = map[string]bool{}
		}
		s.folders[dir] = true // ends at ".", whose folder is "."
	}
}

// take returns what was noted and begins anew.
func (s *shown) take() (folders map[string]bool, many bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	folders, many = s.folders, s.many
	s.folders, s.many = nil, false
	return folders, many
}

// sync makes the names of all that was shown durable. After an error that is still
// to be done.
func (s *shown) sync(root *atomicfile.Root) error {
	folders, many := s.take()
	var err error
	if many {
		err = syncFolders(root)
	}
	for dir := range folders {
		if serr := root.SyncDir(dir); !errors.Is(serr, fs.ErrNotExist) { // removed meanwhile
			err = errors.Join(err, serr)
		}
	}
	if err != nil {
		s.mu.Lock()
		s.folders, s.many = nil, true
		s.mu.Unlock()
	}
	return err
}

// syncFolders makes all names in the store durable.
func syncFolders(root *atomicfile.Root) error {
	top, err := atomicfile.OpenFolder(root, ".")
	if err != nil {
		return err
	}
	err = errors.Join(top.SyncAll(), top.Close())
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return root.SyncDir(name)
	})
}
