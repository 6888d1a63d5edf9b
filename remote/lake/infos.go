package lake

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// infos remembers what listings said of objects: opening one tells neither its
// size nor its time. Tip and TipFrom begin anew, so that nothing is older than
// the push or pull that asks.
type infos struct {
	mu    sync.Mutex // guards what follows
	byKey map[string]storage.Info
	hint  *deltalog.Version // what _last_checkpoint says; nil: ask
}

// maxInfos bounds how many are remembered. Beyond that it begins anew, which
// costs a listing.
const maxInfos = 10_000

func (i *infos) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.byKey, i.hint = nil, nil
}

func (i *infos) note(info storage.Info) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.byKey == nil || len(i.byKey) >= maxInfos {
		i.byKey = map[string]storage.Info{}
	}
	i.byKey[info.Key] = info
}

func (i *infos) get(key string) (storage.Info, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	info, ok := i.byKey[key]
	return info, ok
}

func (i *infos) lastCheckpoint() *deltalog.Version {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hint
}

func (i *infos) setLastCheckpoint(v *deltalog.Version) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hint = v
}

// info returns size and time of an object, by a listing of all that begins with
// its key, where it comes first.
func (t *Table) info(ctx context.Context, key string) (storage.Info, error) {
	if info, ok := t.seen.get(key); ok {
		return info, nil
	}
	if err := storage.CheckKey(key); err != nil {
		return storage.Info{}, asTable(err)
	}
	for info, err := range t.store.List(ctx, key, "") {
		if err != nil {
			return storage.Info{}, err
		}
		if info.Key != key {
			break
		}
		t.seen.note(info)
		return info, nil
	}
	return storage.Info{}, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
}

// listPage is how many keys the services return per request.
const listPage = 1000

// commitInfo is info for a commit. One request brings those of the commits that
// follow as well, which a push reads next.
func (t *Table) commitInfo(ctx context.Context, v deltalog.Version) (storage.Info, error) {
	key := v.CommitPath()
	if info, ok := t.seen.get(key); ok {
		return info, nil
	}
	var found storage.Info
	n := 0
	for info, err := range t.store.List(ctx, logPrefix, before(v)) {
		if err != nil {
			return storage.Info{}, err
		}
		t.seen.note(info)
		if info.Key == key {
			found = info
		}
		if n++; n == listPage {
			break
		}
	}
	if found.Key == "" {
		return storage.Info{}, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return found, nil
}

// logPrefix begins the keys of all commits and checkpoints, and of nothing
// else: a version has at most 19 digits, and names have 20.
const logPrefix = deltalog.LogDir + "/0"

// before returns where to begin a listing of the log so that it has version v
// and nothing below: "/" sorts after the "." with which the names of the version
// below go on.
func before(v deltalog.Version) string {
	if v <= 0 {
		return ""
	}
	return strings.TrimSuffix((v-1).CommitPath(), ".json") + "/"
}
