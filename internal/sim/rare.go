package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
)

// cleanUpStep removes the old part of the source's log, at times before it was
// pushed.
func (w *World) cleanUpStep(ctx context.Context) (string, error) {
	tip := w.source.tip()
	upto := tip
	if w.rng.IntN(3) > 0 {
		upto = min(tip, w.end())
	}
	if upto <= w.source.start {
		return "nothing to clean up", nil
	}
	c := w.source.start + 1 + w.rng.IntN(upto-w.source.start)
	own := c < tip && w.rng.IntN(5) == 0
	w.Counts["log cleanups"]++
	return fmt.Sprintf("clean up the log below %d, its own commit too: %t", c, own), w.source.cleanUp(ctx, c, own)
}

// vacuumStep removes dead files of the source. Those that came, or came back,
// after what the store has may be missing from replicas.
func (w *World) vacuumStep() (string, error) {
	removed, err := w.source.vacuum()
	lost := 0
	for _, s := range []*stock{w.stock, w.mirror} {
		for _, path := range removed {
			if w.unpushed(s, path) {
				s.excused[path] = true
				lost++
			}
		}
	}
	w.Counts["files vacuumed"] += len(removed)
	w.Counts["files vacuumed before they were pushed"] += lost
	return fmt.Sprintf("vacuum %d files, %d of them not pushed yet", len(removed), lost), err
}

// unpushed reports whether a version that the store lacks brings the file, or brings
// it back.
func (w *World) unpushed(s *stock, path string) bool {
	if w.source.born[path] > s.end() {
		return true
	}
	live := w.source.versions[s.end()].files()[path]
	for _, v := range w.source.versions[s.end()+1:] {
		was := live
		if live = v.files()[path]; live && !was {
			return true
		}
	}
	return false
}

// baseStep asks for a base.
func (w *World) baseStep(ctx context.Context) (string, error) {
	t := w.troubleFor(ctx)
	defer t.end()
	p := w.pushers[w.rng.IntN(2)]
	p.gate.set(t.store)
	report, err := p.Base(t.ctx)
	p.gate.set(w.store)
	what := fmt.Sprintf("base by %s:%s%s", p.name, outcome(report, err), note(t.name))
	seen, herr := w.seen(context.WithoutCancel(t.ctx))
	if herr != nil {
		return what, herr
	}
	var class error
	switch {
	case len(w.runs) == 0:
		class = errNothing
	case seen < w.source.start:
		class = remote.ErrGap
	}
	switch {
	case t.excuses(err):
		return what, nil
	case !errors.Is(err, class):
		return what, fmt.Errorf("want %v, got %v", class, err)
	case class == nil && int(*report.Base) != seen:
		return what, fmt.Errorf("want base %d", seen)
	}
	w.Counts["bases asked for"]++
	return what, nil
}

// consolidateStep gathers small bundles in packs. Nothing that can be restored
// changes by it.
func (w *World) consolidateStep(ctx context.Context) (string, error) {
	t := w.troubleFor(ctx)
	defer t.end()
	p := w.pushers[w.rng.IntN(2)]
	p.gate.set(t.store)
	got, err := p.Consolidate(t.ctx)
	p.gate.set(w.store)
	what := fmt.Sprintf("consolidate by %s: %+v %v%s", p.name, got, err, note(t.name))
	switch {
	case t.excuses(err):
	case len(w.runs) == 0 && errors.Is(err, errNothing):
	case err != nil:
		return what, err
	}
	w.Counts["consolidations"]++
	return what, w.observe(context.WithoutCancel(t.ctx))
}

// statusStep compares what the library says of both sides with what is so.
func (w *World) statusStep(ctx context.Context) (string, error) {
	p := w.pushers[w.rng.IntN(len(w.pushers))]
	st, err := p.Status(ctx)
	safe, serr := p.SafeVersion(ctx)
	what := fmt.Sprintf("status: behind %d, ahead %d", st.Behind, st.Ahead)
	w.Counts["status"]++
	seen, herr := w.seen(ctx)
	if herr != nil {
		return what, herr
	}
	lost := 0
	switch {
	case len(w.runs) == 0:
		if err != nil || !errors.Is(serr, errNothing) {
			return what, fmt.Errorf("of an empty store: %w, safe version: %w", err, serr)
		}
		return what, nil
	case seen < w.source.start:
		lost = w.source.start - seen - 1
		if !errors.Is(serr, remote.ErrGap) || st.Safe != nil {
			return what, fmt.Errorf("safe version: want %w, got %v", remote.ErrGap, serr)
		}
	case serr != nil || int(safe) != seen:
		return what, fmt.Errorf("safe version: got %d, want %d: %w", safe, seen, serr)
	}
	if err != nil {
		return what, err
	}
	if int(*st.Store) != seen || int(*st.Local) != w.source.tip() || int(st.Ahead) != w.source.tip()-seen-lost || int(st.Lost) != lost || st.Behind != 0 || st.Diverged {
		return what, fmt.Errorf("got %+v", st)
	}
	return what, nil
}

// forkStep lets a restored copy go its own way: it must neither push nor pull.
func (w *World) forkStep(ctx context.Context) (string, error) {
	if len(w.runs) == 0 {
		return "nothing to fork", nil
	}
	run := w.runs[w.rng.IntN(len(w.runs))]
	if run.first == run.last {
		return "too little to fork", nil
	}
	at := run.first + w.rng.IntN(run.last-run.first)
	target := deltalog.Version(at)
	opts := w.options()
	opts.Target = &target
	if w.extra {
		opts.Extra = func(context.Context, deltalog.Version) ([]string, error) { return nil, nil }
	}
	w.Counts["forks"]++
	what := fmt.Sprintf("a copy of version %d goes its own way", at)
	dir := filepath.Join(w.dir, "fork")
	rep, err := replicator(dir, w.store, opts)
	if err != nil {
		return what, err
	}
	if _, err := rep.Init(ctx); err != nil {
		return what, err
	}
	own := filepath.Join(dir, (target + 1).CommitPath())
	if err := os.WriteFile(own, []byte(`{"commitInfo":{"operation":"FORK"}}`), 0o644); err != nil {
		return what, err
	}
	before, _, err := w.bundles(ctx)
	if err != nil {
		return what, err
	}
	_, pushed := rep.Push(ctx)
	_, pulled := rep.Pull(ctx)
	if !errors.Is(pushed, remote.ErrDiverged) || !errors.Is(pulled, remote.ErrDiverged) {
		return what, fmt.Errorf("push: %v, pull: %v", pushed, pulled)
	}
	after, _, err := w.bundles(ctx)
	if err != nil || len(after) != len(before) {
		return what, fmt.Errorf("the store had %d bundles and has %d: %w", len(before), len(after), err)
	}
	return what, os.RemoveAll(dir)
}

// errNothing is the class of calls on a store without a version.
var errNothing = remote.ErrEmptyStore
