package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// What this package keeps beside the log.
const (
	privatePrefix = ".sluice/"
	probeKey      = privatePrefix + "probe"
	markerPrefix  = privatePrefix + "init-"
	markerSuffix  = ".json"
	doneSuffix    = ".done"
)

// markerKey names the n-th marker of a table, and doneKey what says that its
// work is finished. Both are created and never changed, so that a store that can
// neither overwrite nor delete keeps a marker just as well.
func markerKey(n int) string { return fmt.Sprintf("%s%06d%s", markerPrefix, n, markerSuffix) }
func doneKey(n int) string   { return fmt.Sprintf("%s%06d%s", markerPrefix, n, doneSuffix) }

// markers is what a listing says of them.
type markers struct {
	last int  // number of the newest, 0 if there never was one
	open bool // its work is not finished
	keys []string
}

func (t *Table) markers(ctx context.Context) (markers, error) {
	var m markers
	for info, err := range t.store.List(ctx, markerPrefix, "") {
		if err != nil {
			return markers{}, err
		}
		m.keys = append(m.keys, info.Key)
	}
	for {
		n := m.last + 1
		marked, done := slices.Contains(m.keys, markerKey(n)), slices.Contains(m.keys, doneKey(n))
		if !marked && !done {
			return m, nil
		}
		m.last, m.open = n, marked && !done
	}
}

// State says what stands at the table's place. Whatever is in the store makes
// it not empty, but for this package's own objects, and for markers that cloud
// consoles make of folders, which stores do not list.
func (t *Table) State(ctx context.Context) (deltalog.State, error) {
	m, err := t.markers(ctx)
	if err != nil {
		return deltalog.State{}, err
	}
	s := deltalog.State{Empty: true}
	if m.open {
		if s.Marker, err = t.readSmall(ctx, markerKey(m.last)); err != nil {
			return deltalog.State{}, err
		}
	}
	for info, err := range t.store.List(ctx, "", "") {
		if err != nil {
			return deltalog.State{}, err
		}
		if info.Key != probeKey && !strings.HasPrefix(info.Key, markerPrefix) {
			s.Empty, s.Other = false, info.Key
			break
		}
	}
	for info, err := range t.store.List(ctx, logPrefix, "") {
		if err != nil {
			return deltalog.State{}, err
		}
		if s.Table = deltalog.IsLogFile(info.Key); s.Table {
			s.Other = ""
			break
		}
	}
	return s, nil
}

// SetMarker keeps a small note beside the table; nil removes it. The first note
// proves that the service keeps its word on create-if-absent, on which a replica
// rests: else it wraps storage.ErrUnsafe.
//
// Notes are objects .sluice/init-<number>.json, and one is removed by creating
// .sluice/init-<number>.done, so that it takes no right but to create. Where the
// store and its credentials can delete, what is finished is tidied away.
func (t *Table) SetMarker(ctx context.Context, note []byte) error {
	m, err := t.markers(ctx)
	if err != nil {
		return err
	}
	if note == nil {
		return t.removeMarker(ctx, m)
	}
	if m.open {
		old, err := t.readSmall(ctx, markerKey(m.last))
		if err != nil || bytes.Equal(old, note) {
			return err
		}
	} else if err := storage.Probe(ctx, t.store, probeKey); err != nil {
		return err
	}
	err = t.createSmall(ctx, markerKey(m.last+1), note)
	if errors.Is(err, storage.ErrExists) {
		err = t.sameMarker(ctx, m.last+1, note)
	}
	return err
}

// sameMarker settles a marker that somebody else made at the same moment, or an
// attempt of ours whose reply was lost.
func (t *Table) sameMarker(ctx context.Context, n int, note []byte) error {
	there, err := t.readSmall(ctx, markerKey(n))
	if err == nil && !bytes.Equal(there, note) {
		err = fmt.Errorf("%w: %s, of another init", deltalog.ErrConflict, markerKey(n))
	}
	return err
}

func (t *Table) removeMarker(ctx context.Context, m markers) error {
	if m.open {
		err := t.createSmall(ctx, doneKey(m.last), []byte("{}"))
		if err != nil && !errors.Is(err, storage.ErrExists) {
			return err
		}
		m.keys = append(m.keys, doneKey(m.last))
	}
	if len(m.keys) == 0 || t.deleter == nil {
		return nil
	}
	// The newest first, since they are counted from the first on, and each before
	// what says that it is done, so that none is open again in between.
	slices.Sort(m.keys)
	slices.Reverse(m.keys)
	for _, key := range append(m.keys, probeKey) {
		err := t.deleter.Delete(ctx, key)
		if errors.Is(err, storage.ErrDenied) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) createSmall(ctx context.Context, key string, b []byte) error {
	return t.store.Create(ctx, key, bytes.NewReader(b), int64(len(b)))
}

// readSmall reads a whole object of ours.
func (t *Table) readSmall(ctx context.Context, key string) ([]byte, error) {
	r, err := t.open(ctx, key, 0, storage.MaxSmall)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return b, err
}
