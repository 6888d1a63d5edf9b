package lake

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/pondworks/sluice/deltalog"
)

// tableLog is the log of a Table.
type tableLog struct{ *Table }

var _ deltalog.LogFiles = tableLog{}

// Names leaves out what has no bytes: see Tip. Engines pass over empty
// checkpoints too.
func (l tableLog) Names(ctx context.Context, from deltalog.Version) ([]string, error) {
	var names []string
	for info, err := range l.store.List(ctx, logPrefix, before(from)) {
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(info.Key, deltalog.LogDir+"/")
		if info.Size == 0 || strings.Contains(name, "/") {
			continue
		}
		l.seen.note(info)
		names = append(names, name)
	}
	if len(names) == 0 && from == 0 {
		return nil, fmt.Errorf("%s: %w", deltalog.LogDir, fs.ErrNotExist)
	}
	return names, nil
}

func (l tableLog) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	return l.open(ctx, path, 0, -1)
}

func (l tableLog) OpenAt(ctx context.Context, path string) (deltalog.ReadAtCloser, int64, error) {
	info, err := l.info(ctx, path)
	if err != nil {
		return nil, 0, err
	}
	return &randomAccess{ctx: ctx, table: l.Table, key: path, size: info.Size, blocks: map[int64][]byte{}}, info.Size, nil
}
