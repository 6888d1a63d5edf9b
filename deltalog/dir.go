package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Dir is a table in a local folder. Symbolic links are followed only inside
// it. Its methods may be called by many goroutines at once, and several
// processes may work on one folder.
type Dir struct {
	folder string // absolute

	made   atomic.Bool // the folder's own name is known to be durable
	broken atomic.Bool // what was published may not be durable, since an Apply or Place failed

	mu        sync.Mutex
	stage     *stage          // nil until something is staged
	checksums map[string]bool // folders that were looked at since: whether there may be Hadoop's checksums
}

// OpenDir returns the table in folder. The folder need not exist: the first
// Stage or SetMarker makes it. No folder at all and a URL are errors: remote/lake opens
// tables in buckets.
func OpenDir(folder string) (*Dir, error) {
	if folder == "" || strings.Contains(folder, "://") || hasScheme(folder) {
		return nil, fmt.Errorf("%q is not a folder", folder)
	}
	abs, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", abs)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &Dir{folder: abs}, nil
}

// hasScheme reports whether text begins like a URL that lacks a slash, such as s3:/bucket; a single
// letter is a drive of Windows.
func hasScheme(text string) bool {
	scheme, _, found := strings.Cut(text, ":/")
	return found && len(scheme) > 1 && !strings.ContainsFunc(scheme, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// Folder returns the absolute path of the table's folder.
func (d *Dir) Folder() string { return d.folder }

// open returns the folder, which must exist: else the error wraps
// fs.ErrNotExist. It is opened anew for each operation, since a table may be
// dropped and made again at its path while a program runs; of what only reads Hold
// says when not. The caller closes it.
func (d *Dir) open() (*atomicfile.Root, error) { return atomicfile.OpenRoot(d.folder) }

// make returns the folder, making it if need be.
func (d *Dir) make() (*atomicfile.Root, error) {
	if d.made.Load() {
		if root, err := d.open(); !errors.Is(err, fs.ErrNotExist) {
			return root, err
		}
	}
	if err := atomicfile.MakeFolder(d.folder); err != nil {
		return nil, err
	}
	d.made.Store(true)
	return d.open()
}

// OpenCommit opens the commit file of a version, verbatim. What is read may be what was
// there when it was opened. Wraps fs.ErrNotExist if it is not there.
func (d *Dir) OpenCommit(ctx context.Context, v Version) (*CommitFile, error) {
	f, err := d.openReader(ctx, v.CommitPath())
	if err != nil {
		return nil, err
	}
	return &CommitFile{ReadCloser: f, Size: f.size, Modified: f.modified}, nil
}

// OpenFile opens a file of the table by its decoded path and tells its size in
// bytes. Wraps fs.ErrNotExist if it is not there, and the errors of DecodePath
// for a path that leaves the table or enters its log, where only the files of
// checkpoints are open to it. What is no regular file wraps ErrUnsupported. What is read
// of a small file may be what was there when it was opened.
func (d *Dir) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if err := CheckPath(path); err != nil {
		return nil, 0, err
	}
	f, err := d.openReader(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return f, f.size, nil
}

// FileSize tells the size of what OpenFile opens, in bytes, without opening it.
// Errors are those of OpenFile.
func (d *Dir) FileSize(ctx context.Context, path string) (int64, error) {
	if _, ok := checkpointOf(path); !ok {
		if err := checkPath(path); err != nil {
			return 0, err
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	folder, release, err := d.reading(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	if size, ok := folder.RegularSize(path); ok {
		return size, nil
	}
	info, err := folder.Stat(path)
	if err == nil {
		err = mustBeRegular(path, info)
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// contextReader ends a copy when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// State says what stands at the table's place.
func (d *Dir) State(ctx context.Context) (State, error) {
	if err := ctx.Err(); err != nil {
		return State{}, err
	}
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return State{Empty: true}, nil
	}
	if err != nil {
		return State{}, err
	}
	defer root.Close()
	var s State
	if s.Marker, err = readMarker(root); err != nil {
		return State{}, err
	}
	names, err := readNames(root, ".")
	if err != nil {
		return State{}, err
	}
	s.Empty = len(names) == 0 || len(names) == 1 && names[0] == privateDir
	if s.Empty {
		return s, onlyOurs(root, &s)
	}
	l, err := readLog(root)
	s.Table = err == nil && (len(l.commits) > 0 || l.partial)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if !s.Table {
		s.Other = foreign(names)
	}
	return s, err
}

// foreign returns the first of the names in a table's folder that is not our own: the log of a
// table, be it empty, if there is nothing else.
func foreign(names []string) string {
	slices.Sort(names)
	other := ""
	for _, name := range names {
		switch {
		case name == privateDir:
		case name != LogDir:
			return name
		default:
			other = name
		}
	}
	return other
}

// onlyOurs clears s.Empty if the private folder holds something foreign, such
// as the manifests of a table that was unpacked by hand.
func onlyOurs(root *atomicfile.Root, s *State) error {
	names, err := readNames(root, privateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if name != markerName && name != stageName {
			s.Empty, s.Other = false, privateDir+"/"+name
		}
	}
	return err
}

func readMarker(root *atomicfile.Root) ([]byte, error) {
	b, err := root.ReadFile(markerPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if b == nil && err == nil {
		b = []byte{}
	}
	return b, err
}

// readNames returns the names in a folder, in no order.
func readNames(root *atomicfile.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := f.Readdirnames(-1)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return names, err
}
