// Package atomicfile puts files in place so that a crash at any instant leaves
// either the whole file or none: temporary file, fsync, publish, fsync of the
// folder. All names are slash-separated and relative to an os.Root, so neither
// ".." nor a planted symbolic link leads out of it.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pondworks/sluice/internal/errdef"
)

// tempPrefix begins every temporary name. It starts with a dot, never with a
// digit: Delta engines stop or stumble at foreign names that do.
const tempPrefix = ".sluice-tmp-"

// IsTemp reports whether name's last element is a temporary of this package,
// which a reader of the folder ignores.
func IsTemp(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }

// WriteNew writes all of r to the file final, which must not exist yet and whose folder
// must: exactly one of several callers wins, the others get an error wrapping fs.ErrExist.
// File and name are durable on return. On any error, an error of r among them, nothing is
// left behind, and where the file system can make a file without a name (on Linux most
// local ones can) also not by a process that was killed: such files may be large, and
// nobody would ever remove them.
func WriteNew(root *Root, final string, r io.Reader) error {
	f, err := root.createUnnamed(path.Dir(final))
	if errors.Is(err, errors.ErrUnsupported) {
		return writeNamed(root, final, r)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		if err = root.linkUnnamed(f, final); isRefused(err) {
			err = writeNamed(root, final, f.content())
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return root.SyncDir(path.Dir(final))
}

// writeNamed is WriteNew by way of a temporary name.
func writeNamed(root *Root, final string, r io.Reader) error {
	temp, _, err := WriteTemp(root, path.Dir(final), r)
	if err != nil {
		return err
	}
	return PublishNew(root, temp, final)
}

// isRefused says whether a file without a name was refused one for what it is: sandboxes
// that judge by the name of a file (AppArmor) do, and what a named one is told then is what
// counts.
func isRefused(err error) bool {
	for _, no := range []error{syscall.EPERM, syscall.EACCES, syscall.ENOENT, syscall.EXDEV, errors.ErrUnsupported} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// WriteTemp writes all of r to a new temporary file in folder dir, which must
// exist, and returns its name and size in bytes once the bytes are durable. On
// any error, an error of r among them, nothing is left behind.
func WriteTemp(root *Root, dir string, r io.Reader) (name string, size int64, err error) {
	name = path.Join(dir, tempPrefix+rand.Text())
	f, err := root.Create(name)
	if err != nil {
		return "", 0, err
	}
	size, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return "", 0, errors.Join(err, root.Remove(name))
	}
	return name, size, nil
}

// PublishNew gives the durable file temp the name final, which must not exist
// yet: exactly one of several callers wins, the others get an error wrapping
// fs.ErrExist. The new name is durable on return. temp is gone in every case.
//
// It links and never renames, because rename(2) replaces. A file system
// without hard links gets an error wrapping ErrUnsupported.
func PublishNew(root *Root, temp, final string) error {
	err := root.Link(temp, final)
	if rerr := root.Remove(temp); err == nil {
		err = rerr
	}
	if err != nil {
		return LinkError(err)
	}
	return root.SyncDir(path.Dir(final))
}

// LinkError explains an error of a hard link that the file system cannot make;
// other errors and nil pass through.
func LinkError(err error) error {
	for _, no := range []error{syscall.EPERM, syscall.ENOSYS, errors.ErrUnsupported} {
		if errors.Is(err, no) && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: the file system has no hard links, without which a file cannot be published exclusively: %w", errdef.ErrUnsupported, err)
		}
	}
	return err
}

// Replace gives the durable file temp the name final, replacing what is there.
// On error temp is removed and final is as it was.
func Replace(root *Root, temp, final string) error {
	if err := root.Rename(temp, final); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return root.SyncDir(path.Dir(final))
}

// WriteFile replaces the content of name, in a folder that exists, with b.
func WriteFile(root *Root, name string, b []byte) error {
	temp, _, err := WriteTemp(root, path.Dir(name), strings.NewReader(string(b)))
	if err != nil {
		return err
	}
	return Replace(root, temp, name)
}

// MkdirAll makes folder dir and its missing parents, each durable.
func MkdirAll(root *Root, dir string) error {
	if dir == "." || dir == "" {
		return nil
	}
	if info, err := root.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := MkdirAll(root, path.Dir(dir)); err != nil {
		return err
	}
	err := root.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) { // somebody else made it just now, or it is no folder
		info, serr := root.Stat(dir)
		if serr == nil && info.IsDir() {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return root.SyncDir(path.Dir(dir))
}

// MakeFolder makes the folder of an absolute path and its missing parents, each
// durable. Where it is there already its name becomes durable, too: somebody who
// made it may have been stopped before that.
func MakeFolder(folder string) error {
	above := folder
	for {
		_, err := os.Stat(above)
		if !errors.Is(err, fs.ErrNotExist) || above == filepath.Dir(above) {
			break // whatever is wrong with it, opening it will say
		}
		above = filepath.Dir(above)
	}
	if err := syncName(above); err != nil {
		return err
	}
	rel, err := filepath.Rel(above, folder)
	if err != nil {
		return err
	}
	root, err := OpenRoot(above)
	if err != nil {
		return err
	}
	return errors.Join(MkdirAll(root, filepath.ToSlash(rel)), root.Close())
}

// syncName makes the name of a folder durable. A parent that we may not read is
// none that this program could have made it in.
func syncName(folder string) error {
	parent, err := OpenRoot(filepath.Dir(folder))
	if err == nil {
		err = errors.Join(parent.SyncDir("."), parent.Close())
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
