package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// Get is Overwriter.Get. The tag is the sha256 of the content.
func (d *Dir) Get(ctx context.Context, key string) (b []byte, tag string, err error) {
	r, err := d.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, "", err
	}
	defer r.Close() // read-only: closing can lose nothing
	b, err = stream.ReadSmall(r, MaxSmall)
	if err != nil {
		return nil, "", d.fail(opGet, key, err)
	}
	return b, contentTag(b), nil
}

// Put is Overwriter.Put. Comparing and replacing are one step among the users
// of this Dir only: of two Dirs or processes that put at the same time with the
// same ifMatch, both may succeed and the later one stays. That suits a hint,
// which is what Put is for. The object itself is always one or the other, whole.
// What was read or listed through this Dir before is durable, too, when Put returns:
// a hint at what a power cut takes away would be wrong.
func (d *Dir) Put(ctx context.Context, key string, b []byte, ifMatch string) (tag string, err error) {
	if len(b) > MaxSmall {
		return "", d.fail(opPut, key, stream.ErrTooLong)
	}
	if err := d.begin(ctx, key); err != nil {
		return "", d.fail(opPut, key, err)
	}
	d.put.Lock()
	defer d.put.Unlock()
	if ifMatch != "" {
		if err := d.matches(ctx, key, ifMatch); err != nil {
			return "", err
		}
	}
	root, err := d.makeRoot()
	if err != nil {
		return "", d.fail(opPut, key, err)
	}
	defer root.Close()
	if err := d.shown.sync(root); err != nil {
		return "", d.fail(opPut, key, err)
	}
	return contentTag(b), d.fail(opPut, key, replace(root, key, stream.Bytes(b)))
}

func (d *Dir) matches(ctx context.Context, key, ifMatch string) error {
	_, tag, err := d.Get(ctx, key)
	if errors.Is(err, ErrNotFound) || err == nil && tag != ifMatch {
		return fmt.Errorf("put %s in %s: %w", key, d.folder, ErrChanged)
	}
	return err
}

func replace(root *atomicfile.Root, key string, src *stream.Source) error {
	if err := checkFree(root, key); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := makeParent(root, key); err != nil {
		return err
	}
	temp, _, err := atomicfile.WriteTemp(root, path.Dir(key), src)
	if err != nil {
		return err
	}
	return atomicfile.Replace(root, temp, key)
}

func contentTag(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
