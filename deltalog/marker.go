package deltalog

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
)

// SetMarker durably keeps a small note beside the table; nil removes it.
func (d *Dir) SetMarker(ctx context.Context, note []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if note == nil {
		return d.removeMarker(ctx)
	}
	return d.putAside(ctx, bytes.NewReader(note), func(s *stage, f *stagedFile) error {
		if err := s.top.Rename(s.path+"/"+f.name, markerPath); err != nil {
			return err
		}
		// privateDir may be new as well.
		return errors.Join(s.top.SyncDir(privateDir), s.top.SyncDir("."))
	})
}

func (d *Dir) removeMarker(ctx context.Context) (err error) {
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
	err = root.SyncDir(privateDir)
	if errors.Is(err, fs.ErrNotExist) { // somebody else had nothing there any more, and removed it
		err = root.SyncDir(".")
	}
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, root)
	if err != nil {
		return err
	}
	return errors.Join(tidy(root), unlock.Close())
}
