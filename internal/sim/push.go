package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func replicator(dir string, store storage.Store, opts remote.Options) (*remote.Replicator, error) {
	table, err := deltalog.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return remote.New(table, store, &opts)
}

// end is the newest version in the store, -1 if there is none.
func (s *stock) end() int {
	if len(s.runs) == 0 {
		return -1
	}
	return s.runs[len(s.runs)-1].last
}

// runOf is the run that has version v, -1 if none has.
func (w *World) runOf(v int) int {
	for i, r := range w.runs {
		if r.first <= v && v <= r.last {
			return i
		}
	}
	return -1
}

func (w *World) pushStep(ctx context.Context) (string, error) {
	i := w.rng.IntN(len(w.pushers) + 1)
	if i < len(w.pushers) {
		return w.push(w.troubleFor(ctx), w.pushers[i:i+1])
	}
	return w.push(w.troubleFor(ctx), w.pushers[:2]) // at the same time
}

// push lets the pushers push at once. Only the first of them meets the trouble.
func (w *World) push(t *trouble, pushers []*pusher) (string, error) {
	defer t.end()
	w.Counts["pushes"]++
	reports, errs := make([]remote.Report, len(pushers)), make([]error, len(pushers))
	var running sync.WaitGroup
	for i, p := range pushers {
		ctx := t.ctx
		p.gate.set(t.store)
		if i > 0 {
			ctx = context.WithoutCancel(ctx)
			p.gate.set(w.store)
		}
		running.Go(func() { reports[i], errs[i] = p.Push(ctx) })
	}
	running.Wait()
	what := "push"
	for i, p := range pushers {
		p.gate.set(w.store)
		what += fmt.Sprintf(" %s%s", p.name, outcome(reports[i], errs[i]))
	}
	what += note(t.name)
	if err := w.observe(context.WithoutCancel(t.ctx)); err != nil {
		return what, err
	}
	what += fmt.Sprintf("; the store has %v", w.runs)
	for i, p := range pushers {
		if err := w.pushed(p, reports[i], errs[i], i == 0 && t.excuses(errs[i])); err != nil {
			return what, err
		}
	}
	return what, nil
}

// pushed judges one push.
func (w *World) pushed(p *pusher, report remote.Report, err error, excused bool) error {
	switch {
	case err != nil && excused:
		w.Counts["pushes broken off"]++
		return nil
	case err != nil:
		return err
	case report.Remaining == 0 && w.end() != w.source.tip():
		return fmt.Errorf("the store is at version %d, the source at %d", w.end(), w.source.tip())
	case report.Remaining > 0 && p.max == 0:
		return fmt.Errorf("%d versions remain", report.Remaining)
	}
	return nil
}

// first is where the history in the store begins, by what its creator noted.
func (w *World) first(ctx context.Context) (v int, begun bool, err error) {
	b, err := read(context.WithoutCancel(ctx), w.store, "sluice.json")
	if errors.Is(err, storage.ErrNotFound) {
		return 0, false, nil
	}
	var id struct {
		First int `json:"first_version"`
	}
	if err == nil {
		err = json.Unmarshal(b, &id)
	}
	return id.First, true, err
}

func read(ctx context.Context, store storage.Reader, key string) ([]byte, error) {
	r, err := store.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// observe looks into the store for the runs of versions that it has: from its
// first version, and on from each bundle that records a gap before it, in which
// nothing need be missing but the proof that the versions belong together.
func (w *World) observe(ctx context.Context) error {
	there, ends, err := w.bundles(ctx)
	if err != nil {
		return err
	}
	w.ends = ends
	first, begun, err := w.first(ctx)
	if err != nil || !begun {
		return err
	}
	if err := w.readFloor(ctx); err != nil {
		return err
	}
	runs := above(w.runs, w.floor)
	w.runs = nil
	first = max(first, w.floor)
	for v := first; v <= w.source.tip(); v++ {
		gap, known := there[v]
		switch end := w.end(); {
		case v == w.floor && v > 0: // its base is what counts
			w.runs = append(w.runs, span{v, v})
		case !known: // maybe a gap that a bundle above records
		case v == first && len(w.runs) == 0, gap != nil && gap.From <= int64(max(first-1, end))+1:
			w.runs = append(w.runs, span{v, v})
		case len(w.runs) > 0 && v == end+1:
			w.runs[len(w.runs)-1].last = v
		}
	}
	w.noteTimes()
	for i, r := range runs {
		if i >= len(w.runs) || w.runs[i].first != r.first || w.runs[i].last < r.last {
			return fmt.Errorf("the store had %v and has %v", runs, w.runs)
		}
	}
	if len(w.runs) > len(runs) && len(w.runs) > 1 {
		w.Counts["gaps"]++
	}
	return nil
}

// known is how far who stands at version v finds out by the keys of bundles
// alone. That may be short of the end where a pusher settled, version by version,
// a part of a run that another one had stored: the next push mends it.
func (w *World) known(v int) int {
	for {
		end, there := w.ends[v+1]
		if !there {
			return v
		}
		v = end
	}
}

// seen is the version at which a call that only looks finds the store: at its
// end, unless the head says less and the keys do not say more.
func (w *World) seen(ctx context.Context) (int, error) {
	head, err := w.head(ctx)
	if err != nil || head < 0 || w.known(head) > head {
		return w.end(), err
	}
	return head, nil
}

// bundles are the versions that are in bundles, with the gap that is recorded
// before them, and the last version of each bundle by the first.
func (w *World) bundles(ctx context.Context) (there map[int]*bundle.Gap, ends map[int]int, err error) {
	there, ends = map[int]*bundle.Gap{}, map[int]int{}
	for info, err := range w.store.List(ctx, "backups/", "") {
		if err != nil {
			return nil, nil, err
		}
		alone := strings.HasSuffix(info.Key, "/bundle.tar.zst")
		if !alone && !strings.HasPrefix(info.Key, "backups/index-") {
			continue
		}
		b, err := read(ctx, w.store, info.Key)
		if err != nil {
			return nil, nil, err
		}
		parts := [][]byte{b}
		if !alone {
			if parts, err = w.packed(ctx, b); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", info.Key, err)
			}
		}
		for _, part := range parts {
			m, err := w.manifest(ctx, part)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", info.Key, err)
			}
			for _, v := range m.Versions {
				there[int(v.Version)] = v.Gap
				if alone {
					ends[int(m.Versions[0].Version)] = int(v.Version)
				}
			}
		}
	}
	return there, ends, nil
}

// packed are the bundles of a pack with this index.
func (w *World) packed(ctx context.Context, index []byte) ([][]byte, error) {
	var x struct {
		Pack    string
		Bundles [][4]int64
	}
	if err := json.Unmarshal(index, &x); err != nil {
		return nil, err
	}
	pack, err := read(ctx, w.store, x.Pack)
	if err != nil {
		return nil, err
	}
	var parts [][]byte
	for _, b := range x.Bundles {
		parts = append(parts, pack[b[2]:b[2]+b[3]])
	}
	return parts, nil
}

func (w *World) manifest(ctx context.Context, b []byte) (bundle.Manifest, error) {
	return w.codec.ReadManifest(ctx, int64(len(b)), func(_ context.Context, off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(b[off : off+n]))), nil
	})
}

// outcome is a call's result in a few words.
func outcome(r remote.Report, err error) string {
	moved := " nothing"
	if r.Versions > 0 {
		moved = fmt.Sprintf(" %d to %d", r.First, r.Last)
	}
	if r.Base != nil {
		moved += fmt.Sprintf(" with base %d", *r.Base)
	}
	if err != nil {
		moved += ", then: " + err.Error()
	}
	return moved
}

func note(trouble string) string {
	if trouble == "" {
		return ""
	}
	return " [" + trouble + "]"
}
