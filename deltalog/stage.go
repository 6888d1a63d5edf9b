package deltalog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// What this package keeps beside the log.
const (
	stageName  = "stage"
	markerName = "init.json"
	stageDir   = privateDir + "/" + stageName
	markerPath = privateDir + "/" + markerName
)

// stagePath is where the bytes with this digest lie that were staged for path.
// The digest is part of the name, so that what is applied is what was asked
// for, whoever staged other bytes for the same path meanwhile. The path is, so
// that two equal files of a table do not become one file with two names.
func stagePath(v Version, path string, digest [sha256.Size]byte) string {
	h := sha256.New()
	h.Write(digest[:])
	h.Write([]byte(path))
	return stageDir + "/" + v.String() + "-" + hex.EncodeToString(h.Sum(nil))
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

// Stage keeps the bytes of one file of version v aside, invisible to readers
// of the table. path is decoded; the commit's is v.CommitPath(), a checkpoint's
// files have their names in the log, and for every other the errors are those of
// DecodePath. The bytes are durable on return;
// their name becomes so when Apply publishes it. Staging a path again with
// other bytes keeps both, and Apply takes those whose digest it is given. If r
// fails, its error is returned and nothing is staged.
func (d *Dir) Stage(ctx context.Context, v Version, path string, r io.Reader) error {
	if _, ok := checkpointOf(path); !ok && path != v.CommitPath() {
		if err := checkPath(path); err != nil {
			return err
		}
	}
	root, err := d.make()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := atomicfile.MkdirAll(root, stageDir); err != nil {
		return err
	}
	hash := sha256.New()
	temp, _, err := atomicfile.WriteTemp(root, stageDir, io.TeeReader(contextReader{ctx, r}, hash))
	if err != nil {
		return fmt.Errorf("stage %s: %w", path, err)
	}
	staged := stagePath(v, path, [sha256.Size]byte(hash.Sum(nil)))
	// Not by renaming: what has this name already has these bytes, and another
	// Apply may be about to link it.
	err = root.Link(temp, staged)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err := errors.Join(atomicfile.LinkError(err), root.Remove(temp)); err != nil {
		return fmt.Errorf("stage %s: %w", path, err)
	}
	return nil
}

// Discard removes whatever is staged, and what processes that were killed left
// of files they were writing. Nothing may be staged and no checkpoint written at
// the same time.
func (d *Dir) Discard(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if err := errors.Join(root.RemoveAll(stageDir), removeTemps(root, privateDir), removeTemps(root, LogDir)); err != nil {
		return err
	}
	return tidy(root)
}

// removeTemps removes what a process that was killed left half-written in dir.
func removeTemps(root *os.Root, dir string) error {
	names, err := readNames(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if atomicfile.IsTemp(name) {
			err = errors.Join(err, root.Remove(dir+"/"+name))
		}
	}
	return err
}

// SetMarker durably keeps a small note beside the table; nil removes it.
// Nothing may be staged while it is removed.
func (d *Dir) SetMarker(ctx context.Context, note []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if note == nil {
		return d.removeMarker()
	}
	root, err := d.make()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := atomicfile.MkdirAll(root, privateDir); err != nil {
		return err
	}
	return atomicfile.WriteFile(root, markerPath, note)
}

func (d *Dir) removeMarker() error {
	root, err := d.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	err = root.Remove(markerPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := atomicfile.SyncDir(root, privateDir); err != nil {
		return err
	}
	return tidy(root)
}

// tidy removes the private folder if nothing is in it.
func tidy(root *os.Root) error {
	err := root.Remove(privateDir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) { // the latter: it is not empty
		return nil
	}
	return err
}
