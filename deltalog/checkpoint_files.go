package deltalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// sidecarDir is where V2 checkpoints keep most of their actions.
const sidecarDir = LogDir + "/_sidecars"

// sidecar is a file of actions that a V2 checkpoint names.
type sidecar struct {
	path string // relative to the table's root
	size int64  // bytes
}

// parseSidecar reads a sidecar action. All sidecars lie in one folder, so that
// the name is what counts of the path (Delta protocol, "Sidecar File
// Information").
func parseSidecar(value []byte) (s sidecar, err error) {
	f := [...]field{{name: "path"}, {name: "sizeInBytes"}}
	if err := pick(value, f[:]); err != nil {
		return s, err
	}
	raw, err := pathText(f[0].value)
	if err != nil {
		return s, fmt.Errorf("path: %w", err)
	}
	if isAbsolute(raw) {
		return s, fmt.Errorf("%w: absolute path %q of a sidecar", ErrUnsupported, raw)
	}
	name := path.Base(unescape(raw))
	if err := checkElements(name); err != nil {
		return s, err
	}
	s.path = sidecarDir + "/" + name
	if s.size, err = strconv.ParseInt(string(f[1].value), 10, 64); err != nil {
		return s, fmt.Errorf("%w: sizeInBytes: %w", ErrCorrupt, err)
	}
	return s, nil
}

// eachCheckpointAction calls f with each action of one file of a checkpoint, as
// far as columns say. Errors are those of eachParquetAction and eachValue.
func eachCheckpointAction(ctx context.Context, log LogFiles, path string, columns []column, f func(kind string, value []byte) error) error {
	if strings.HasSuffix(path, ".json") {
		kinds := []string{"checkpoint", "contentRoot"}
		for _, c := range columns {
			kinds = append(kinds, c.name)
		}
		return walkLog(ctx, log, path, f, kinds...)
	}
	file, size, err := log.OpenAt(ctx, path)
	if err != nil {
		return err
	}
	err = eachParquetAction(ctx, file, size, columns, f)
	return errors.Join(err, file.Close())
}

// Checkpoints returns the complete checkpoints from version from on, ascending
// by version, several of one version among them: all their files are there,
// sidecars included. What is in them is not judged; one whose list of sidecars
// cannot be read is left out. Empty if there is no log.
func (d *Dir) Checkpoints(ctx context.Context, from Version) ([]Checkpoint, error) {
	return FindCheckpoints(ctx, dirLog{d}, from)
}

// FindCheckpoints is Dir.Checkpoints for a table that lies elsewhere.
func FindCheckpoints(ctx context.Context, log LogFiles, from Version) ([]Checkpoint, error) {
	names, err := log.Names(ctx, from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	named, _ := namedCheckpoints(names)
	named = slices.DeleteFunc(named, func(c Checkpoint) bool { return c.Version < from })
	var complete []Checkpoint
	for _, c := range named {
		sidecars, err := sidecarsOf(ctx, log, c)
		if err == nil {
			err = checkSidecars(ctx, log, sidecars)
		}
		if err != nil && !isUnreadable(err) {
			return nil, fmt.Errorf("%s: %w", c.Files[0], err)
		}
		if err != nil {
			continue
		}
		for _, s := range sidecars {
			c.Files = append(c.Files, s.path)
		}
		complete = append(complete, c)
	}
	return complete, nil
}

// sidecarsOf returns the sidecars that a checkpoint names, each once, by path.
func sidecarsOf(ctx context.Context, log LogFiles, c Checkpoint) ([]sidecar, error) {
	columns := slices.DeleteFunc(readColumns(), func(c column) bool { return c.name != "sidecar" })
	var found []sidecar
	for _, file := range c.Files {
		err := eachCheckpointAction(ctx, log, file, columns, func(_ string, value []byte) error {
			s, err := parseSidecar(value)
			found = append(found, s)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b sidecar) int { return strings.Compare(a.path, b.path) })
	return slices.Compact(found), nil
}

// checkSidecars wraps ErrCorrupt if one is of another size than its checkpoint
// says, such as one that is not wholly there yet.
func checkSidecars(ctx context.Context, log LogFiles, sidecars []sidecar) error {
	for _, s := range sidecars {
		file, size, err := log.OpenAt(ctx, s.path)
		if err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		if size != s.size {
			return fmt.Errorf("%w: %s has %d bytes, its checkpoint says %d", ErrCorrupt, s.path, size, s.size)
		}
	}
	return nil
}
