package atomicfile

import (
	"errors"
	"os"
	"path"
	"runtime"
	"time"
)

// Folder is an open folder in a tree that is never left: opening one follows
// symbolic links only inside the tree, and its methods take names of what lies
// right in it and follow none. Whoever works on many files of a folder opens it
// once, instead of walking to it from the top for each. The methods may be
// called by many goroutines at once.
type Folder struct {
	top  *Root    // of the tree
	path string   // from top, slash-separated
	root *Root    // the folder
	dir  *os.File // the folder as well, for what os.Root has no call for
}

// OpenFolder opens folder dir of the tree top, which must stay open as long.
func OpenFolder(top *Root, dir string) (*Folder, error) {
	root, err := top.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Folder{top: top, path: dir, root: root, dir: f}, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return errors.Join(f.root.Close(), f.dir.Close()) }

// Create makes a new file to be written.
func (f *Folder) Create(name string) (*File, error) { return f.root.Create(name) }

// Remove removes a file.
func (f *Folder) Remove(name string) error { return f.root.Remove(name) }

// SetTime sets the modification time of a file.
func (f *Folder) SetTime(name string, t time.Time) error { return f.root.SetTime(name, t) }

// MoveNew gives a file the name final in folder to, which must not exist yet:
// exactly one of several callers wins, the others get an error wrapping
// fs.ErrExist and their file stays where it is. Neither name is durable.
//
// Where the system can, it is one rename that refuses to replace. Elsewhere it
// is a link and a removal, so that a crash may leave both names. A file system
// with neither gets an error wrapping ErrUnsupported.
func (f *Folder) MoveNew(name string, to *Folder, final string) error {
	err := take(Step{Do: StepMove, Folder: f.root.folder, Name: name, ToFolder: to.root.folder, ToName: final}, func(*Step) error {
		return renameNew(f, name, to, final)
	})
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := f.top.Link(path.Join(f.path, name), path.Join(to.path, final)); err != nil {
		return LinkError(err)
	}
	return f.root.Remove(name)
}

// SyncFile makes a file's bytes and time durable.
func (f *Folder) SyncFile(name string) error { return f.root.SyncFile(name) }

// Sync makes the names in the folder durable, as Root.SyncDir.
func (f *Folder) Sync() error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return syncedDir(f.root.take(StepSyncDir, ".", func(*Step) error { return f.dir.Sync() }))
}

// SyncAll makes everything durable that was written before to the file system
// the folder is on, names and bytes, by whomever. An error wraps
// errors.ErrUnsupported where the system has no such call.
//
// On Linux it is syncfs(2), which waits for all data and metadata and, since
// Linux 5.8, reports whether any of it failed to be written since the folder was
// opened. For many files it is far cheaper than an fsync each, which all wait
// for the disk in turn. Its price is paid when other programs have much unwritten
// data on the same file system: it waits for theirs as well.
func (f *Folder) SyncAll() error {
	return f.root.take(StepSyncAll, ".", func(*Step) error { return syncAll(f.dir) })
}
