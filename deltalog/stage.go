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
	io.WriteString(h, path)
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
// of the table. path is decoded; the commit's is v.CommitPath(), and for every
// other the errors are those of DecodePath. The bytes are durable on return;
// their name becomes so when Apply publishes it. Staging a path again with
// other bytes keeps both, and Apply takes those whose digest it is given. If r
// fails, its error is returned and nothing is staged.
func (d *Dir) Stage(ctx context.Context, v Version, path string, r io.Reader) error {
	if path != v.CommitPath() {
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
	if err := root.Rename(temp, staged); err != nil {
		return errors.Join(fmt.Errorf("stage %s: %w", path, err), root.Remove(temp))
	}
	return nil
}

// Discard removes whatever is staged. Nothing may be staged at the same time.
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
	if err := root.RemoveAll(stageDir); err != nil {
		return err
	}
	return tidy(root)
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
	names, err := readNames(root, privateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(names) > 0 {
		return err
	}
	return root.Remove(privateDir)
}
