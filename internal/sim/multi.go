package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// pushAll lets a fresh process push to both stores. The trouble, whose store is that
// of w.stock, is met at the store of that number.
func (w *World) pushAll(t *trouble, troubled int) (string, error) {
	defer t.end()
	w.Counts["pushes to several stores"]++
	ctx := context.WithoutCancel(t.ctx)
	stocks := []*stock{w.stock, w.mirror}
	var before []string // lineages
	for _, s := range stocks {
		lineage, err := lineageOf(ctx, s.store)
		if err != nil {
			return "push to both", err
		}
		before = append(before, lineage)
	}
	m, err := w.multi(t, stocks, troubled)
	if err != nil {
		return "push to both", err
	}
	reports, _ := m.Push(t.ctx) // each report has its own error
	what := fmt.Sprintf("push to both, trouble at %d:", troubled)
	for i, s := range stocks {
		what += fmt.Sprintf(" %s%s;", reports[i].Name, outcome(reports[i].Report, reports[i].Err))
		excused := (i == troubled || t.ctx.Err() != nil) && t.excuses(reports[i].Err)
		if jerr := w.with(s, func() error {
			if err := w.observe(ctx); err != nil {
				return err
			}
			return w.pushed(&pusher{}, reports[i].Report, reports[i].Err, excused)
		}); jerr != nil {
			return what + note(t.name), fmt.Errorf("%s: %w", reports[i].Name, jerr)
		}
	}
	what += fmt.Sprintf(" they have %v and %v%s", w.runs, w.mirror.runs, note(t.name))
	if t.meet == nil { // else the store in trouble may have had no chance to tell its lineage
		if err := w.checkLineage(ctx, before); err != nil {
			return what, err
		}
	}
	return what, nil
}

func (w *World) multi(t *trouble, stocks []*stock, troubled int) (*remote.Multi, error) {
	table, err := deltalog.OpenDir(w.source.dir)
	if err != nil {
		return nil, err
	}
	targets := []remote.Target{{Name: "main"}, {Name: "mirror"}}
	for i, s := range stocks {
		targets[i].Store = s.store
		if i == troubled && t.meet != nil {
			targets[i].Store = t.meet(s.store)
		}
	}
	opts := w.options()
	opts.NoBases = w.rng.IntN(4) == 0
	if w.extra {
		opts.Extra = w.source.extraAt
	}
	return remote.NewMulti(table, targets, &opts)
}

// checkLineage: stores that were new get the lineage of those which were there, or
// one for all.
func (w *World) checkLineage(ctx context.Context, before []string) error {
	main, err := lineageOf(ctx, w.store)
	if err != nil {
		return err
	}
	mirror, err := lineageOf(ctx, w.mirror.store)
	if err != nil || main == "" || mirror == "" {
		return err
	}
	if new := before[0] == "" || before[1] == ""; new && main != mirror {
		return fmt.Errorf("lineage %s in one store and %s in the other, before %q", main, mirror, before)
	}
	return nil
}

// lineageOf is the lineage of a store, "" if it is new.
func lineageOf(ctx context.Context, store storage.Store) (string, error) {
	b, err := read(ctx, store, "sluice.json")
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	var id struct{ Lineage string }
	if err == nil {
		err = json.Unmarshal(b, &id)
	}
	return id.Lineage, err
}
