package storage

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// List is Reader.List. It shows the objects that are there when it begins.
func (m *memory) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for _, info := range m.infos(prefix, after) {
			if ctx.Err() != nil {
				break
			}
			if !yield(info, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Info{}, fmt.Errorf("%s %q: %w", opList, prefix, err))
		}
	}
}

func (m *memory) infos(prefix, after string) []Info {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []Info
	for key, o := range m.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			found = append(found, Info{Key: key, Size: int64(len(o.content)), ModTime: o.created})
		}
	}
	slices.SortFunc(found, func(a, b Info) int { return cmp.Compare(a.Key, b.Key) })
	return found
}
