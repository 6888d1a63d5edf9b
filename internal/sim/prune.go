package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pondworks/sluice/remote"
)

// pruneStep gives up old versions, and removes what nobody needs any more.
func (w *World) pruneStep(ctx context.Context) (string, error) {
	t := w.troubleFor(ctx)
	defer t.end()
	// No process believes for as long as a grace period what it saw before. One that lives on has
	// a memory, all the same.
	w.passed += 2 * time.Hour
	if w.rng.IntN(3) == 0 {
		for _, p := range w.pushers {
			if err := w.startPusher(p); err != nil {
				return "", err
			}
		}
	}
	p := w.pushers[w.rng.IntN(2)]
	opts := remote.PruneOptions{Delete: true, Grace: -1, KeepVersions: int64(w.rng.IntN(30))}
	p.gate.set(t.store)
	got, err := p.Prune(t.ctx, opts)
	p.gate.set(w.store)
	what := fmt.Sprintf("prune to %d versions by %s: new floor %t, %d keys, %v%s", opts.KeepVersions, p.name, got.NewFloor, len(got.Keys), err, note(t.name))
	switch {
	case t.excuses(err):
	case len(w.runs) == 0 && errors.Is(err, errNothing):
		return what, nil
	case err != nil:
		return what, err
	}
	w.Counts["objects pruned"] += len(got.Keys)
	if got.NewFloor {
		w.Counts["floors"]++
	}
	if err := w.observe(context.WithoutCancel(t.ctx)); err != nil {
		return what, err
	}
	return what + fmt.Sprintf("; the store has %v", w.runs), nil
}

// readFloor looks for the newest floor in the store.
func (w *World) readFloor(ctx context.Context) error {
	for info, err := range w.store.List(ctx, "backups/floor-", "") {
		if err != nil {
			return err
		}
		v := 0
		if _, err := fmt.Sscanf(info.Key, "backups/floor-%d.json", &v); err != nil {
			return err
		}
		w.floor = max(w.floor, v)
	}
	return nil
}

// above are the runs from a version on.
func above(runs []span, floor int) (kept []span) {
	for _, r := range runs {
		if r.last >= floor {
			kept = append(kept, span{max(r.first, floor), r.last})
		}
	}
	return kept
}

// noteTimes counts the times of versions that are new: each is later than the one
// before.
func (w *World) noteTimes() {
	for _, run := range w.runs {
		for v := run.first; v <= run.last; v++ {
			if _, known := w.times[v]; known {
				continue
			}
			of := w.source.versions[v]
			w.times[v] = of.time()
			if of.inCommit == 0 && v > run.first {
				w.times[v] = max(of.time(), w.times[v-1]+1)
			}
		}
	}
}
