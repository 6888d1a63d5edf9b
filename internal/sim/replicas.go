package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// maxReplicas is how many there are at most at a time.
const maxReplicas = 4

// initStep makes a new replica, or lets one that was broken off go on.
func (w *World) initStep(ctx context.Context) (string, error) {
	for _, r := range w.replicas {
		if r.unfinished {
			return w.resume(ctx, r)
		}
	}
	w.made++
	r := &replica{name: fmt.Sprint(w.made), dir: filepath.Join(w.dir, fmt.Sprint("replica-", w.made)), vacuumed: map[string]bool{}}
	r.opts = w.options()
	if w.rng.IntN(2) == 0 {
		r.opts.History = remote.HistoryLive
	}
	newest := w.source.tip()
	switch w.rng.IntN(4) {
	case 0:
		v := deltalog.Version(w.rng.IntN(newest + 2))
		r.opts.Target = &v
	case 1:
		at := w.source.versions[w.rng.IntN(newest+1)].modified
		r.opts.TargetTime = at.Add(time.Duration(w.rng.IntN(3)-1) * time.Millisecond)
	}
	if len(w.replicas) == maxReplicas {
		i := w.rng.IntN(len(w.replicas))
		if err := os.RemoveAll(w.replicas[i].dir); err != nil {
			return "", err
		}
		w.replicas = append(w.replicas[:i], w.replicas[i+1:]...)
	}
	w.replicas = append(w.replicas, r)
	return w.init(r, w.troubleForReader(ctx))
}

// resume goes on with an init, at times to the newest version instead.
func (w *World) resume(ctx context.Context, r *replica) (string, error) {
	w.Counts["inits resumed"]++
	if w.rng.IntN(4) == 0 {
		r.opts.Target, r.opts.TargetTime = nil, time.Time{}
	}
	return w.init(r, w.troubleForReader(ctx))
}

// init runs one, which fails as the runs in the store say it must.
func (w *World) init(r *replica, t *trouble) (string, error) {
	defer t.end()
	w.Counts["inits"]++
	ctx := context.WithoutCancel(t.ctx)
	rep, err := replicator(r.dir, t.store, r.opts)
	if err != nil {
		return "init", err
	}
	report, err := rep.Init(t.ctx)
	what := fmt.Sprintf("init %s, %s:%s%s", r.name, goal(r.opts), outcome(report, err), note(t.name))
	if t.lies {
		return what, w.initLiedTo(ctx, r, err)
	}
	if err != nil && t.excuses(err) {
		w.Counts["inits broken off"]++
		r.unfinished = true
		return what, w.checkUnfinished(ctx, r)
	}
	if r.unfinished && r.tip < w.floor && errors.Is(err, remote.ErrGap) { // what it had is not promised any more
		w.forget(r)
		return what, os.RemoveAll(r.dir)
	}
	target, class := w.initGoal(r.opts)
	if class != nil {
		w.forget(r)
		if !errors.Is(err, class) {
			return what, fmt.Errorf("want %w, got %v", class, err)
		}
		return what, w.checkUntouched(r)
	}
	if err != nil {
		return what, err
	}
	resumed := r.unfinished
	r.unfinished = false
	if err := w.check(ctx, r); err != nil {
		return what, err
	}
	return what, w.checkGoal(r, target, resumed)
}

// initLiedTo: what came is right, or nothing did. Where the init wanted to go it
// may have been told wrongly, so it does not go on from there.
func (w *World) initLiedTo(ctx context.Context, r *replica, err error) error {
	if err == nil {
		err = w.check(ctx, r)
	} else {
		err = w.checkUnfinished(ctx, r)
	}
	w.forget(r)
	return errors.Join(err, os.RemoveAll(r.dir))
}

func goal(opts remote.Options) string {
	s := "full"
	if opts.History == remote.HistoryLive {
		s = "live"
	}
	switch {
	case opts.Target != nil:
		s += fmt.Sprintf(" to version %d", *opts.Target)
	case !opts.TargetTime.IsZero():
		s += fmt.Sprintf(" to %s", opts.TargetTime.Format("15:04:05.000"))
	}
	return s
}

// initGoal says how an init must end: at a version, -1 if the target is a time, or
// with an error of a class.
func (w *World) initGoal(opts remote.Options) (target int, class error) {
	switch {
	case len(w.runs) == 0:
		return 0, errNothing
	case opts.Target != nil:
		if w.runOf(int(*opts.Target)) < 0 {
			return 0, remote.ErrGap
		}
		return int(*opts.Target), nil
	case !opts.TargetTime.IsZero():
		if w.timeOf(w.runs[0].first) > opts.TargetTime.UnixMilli() {
			return 0, remote.ErrGap
		}
		return -1, nil
	}
	return w.end(), nil
}

// checkGoal makes sure that an init came to where it should, and has the
// history that it should have.
func (w *World) checkGoal(r *replica, target int, resumed bool) error {
	if target >= 0 && r.tip != target {
		return fmt.Errorf("it is at version %d, want %d", r.tip, target)
	}
	if target < 0 {
		at := r.opts.TargetTime.UnixMilli()
		next := r.tip + 1
		if i := w.runOf(r.tip); r.tip == w.runs[i].last && i+1 < len(w.runs) {
			next = w.runs[i+1].first
		}
		if w.timeOf(r.tip) > at || next <= w.end() && w.timeOf(next) <= at {
			return fmt.Errorf("it is at version %d of %d, the next is of %d, wanted is %d", r.tip, w.timeOf(r.tip), w.timeOf(min(next, w.end())), at)
		}
	}
	first := w.runs[w.runOf(r.tip)].first
	if resumed && first == w.floor {
		first = min(first, r.start) // it keeps what it got before that was given up
	}
	if r.opts.History == remote.HistoryFull && r.start != first {
		return fmt.Errorf("it begins at version %d, want %d", r.start, first)
	}
	if r.start < first {
		return fmt.Errorf("it begins at version %d, below the gap before %d", r.start, first)
	}
	if r.start > 0 {
		w.Counts["replicas that begin at a base"]++
	}
	return nil
}

// timeOf is the time of a version in the store as Delta counts it.
func (w *World) timeOf(v int) int64 { return w.times[v] }

// checkUnfinished: what a broken-off init leaves is no table yet, or a whole one.
func (w *World) checkUnfinished(ctx context.Context, r *replica) error {
	table, err := deltalog.OpenDir(r.dir)
	if err != nil {
		return err
	}
	if _, err := table.Tip(ctx); errors.Is(err, deltalog.ErrNoTable) {
		return nil
	}
	return w.check(ctx, r)
}

// checkUntouched: an init that cannot begin makes no table.
func (w *World) checkUntouched(r *replica) error {
	if _, err := os.Stat(filepath.Join(r.dir, deltalog.LogDir)); !errors.Is(err, os.ErrNotExist) && !r.unfinished {
		return fmt.Errorf("it left a log: %v", err)
	}
	return os.RemoveAll(r.dir)
}

func (w *World) forget(r *replica) {
	for i := range w.replicas {
		if w.replicas[i] == r {
			w.replicas = append(w.replicas[:i], w.replicas[i+1:]...)
			return
		}
	}
}

// pullStep pulls into a replica.
func (w *World) pullStep(ctx context.Context) (string, error) {
	var ready []*replica
	for _, r := range w.replicas {
		if !r.unfinished {
			ready = append(ready, r)
		}
	}
	if len(ready) == 0 {
		return w.initStep(ctx)
	}
	opts := w.options()
	opts.AcrossGap = w.rng.IntN(3) == 0
	return w.pull(ready[w.rng.IntN(len(ready))], opts, w.troubleForReader(ctx))
}

func (w *World) pull(r *replica, opts remote.Options, t *trouble) (string, error) {
	defer t.end()
	w.Counts["pulls"]++
	ctx := context.WithoutCancel(t.ctx)
	head, err := w.head(ctx)
	if err != nil {
		return "pull", err
	}
	rep, err := replicator(r.dir, t.store, opts)
	if err != nil {
		return "pull", err
	}
	was := *r
	report, err := rep.Pull(t.ctx)
	what := fmt.Sprintf("pull %s from %d, across gaps %t:%s%s", r.name, was.tip, opts.AcrossGap, outcome(report, err), note(t.name))
	if cerr := w.check(ctx, r); cerr != nil {
		return what, cerr
	}
	if t.lies || err != nil && t.excuses(err) {
		w.Counts["pulls broken off"]++
		return what, nil
	}
	if was.tip < w.floor || head >= 0 && head < w.floor {
		w.Counts["pulls from below the floor"]++
		if err != nil && !errors.Is(err, remote.ErrGap) {
			return what, err
		}
		return what, nil
	}
	return what, w.pulled(&was, r, opts, head, err)
}

// pulled judges a pull by what the store has, and by its head: a gap above that
// is not known yet.
func (w *World) pulled(was, r *replica, opts remote.Options, head int, err error) error {
	at, seen := w.runOf(was.tip), w.runOf(max(head, was.tip))
	want := min(w.known(max(head, was.tip)), w.runs[seen].last)
	if head < 0 { // found by listing
		seen, want = len(w.runs)-1, w.end()
	}
	if at < seen && !opts.AcrossGap {
		if !errors.Is(err, remote.ErrGap) {
			return fmt.Errorf("want %w, got %v", remote.ErrGap, err)
		}
		seen, want = at, w.runs[at].last
	} else if err != nil {
		return err
	}
	if opts.AcrossGap && r.tip > w.runs[seen].last { // nothing is missing in a gap beyond the head: its bundle was found
		seen = w.runOf(r.tip)
	}
	if end := w.runs[seen].last; r.tip < want || r.tip > end {
		return fmt.Errorf("it is at version %d, want %d, or up to %d if it was listed", r.tip, want, end)
	}
	if at == seen && r.start != was.start {
		return fmt.Errorf("it began at version %d, now at %d", was.start, r.start)
	}
	if at < seen {
		w.Counts["pulls across a gap"]++
	}
	return nil
}

// head is the version in the head, -1 if there is none.
func (w *World) head(ctx context.Context) (int, error) {
	b, err := read(ctx, w.store, "backups/head.json")
	if errors.Is(err, storage.ErrNotFound) {
		return -1, nil
	}
	var h struct{ Version int }
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	return h.Version, err
}

// vacuumReplica removes dead files of a replica, as an engine would that was let
// loose on it.
func (w *World) vacuumReplica() (string, error) {
	if len(w.replicas) == 0 {
		return "no replica to vacuum", nil
	}
	r := w.replicas[w.rng.IntN(len(w.replicas))]
	what := fmt.Sprintf("vacuum replica %s", r.name)
	if r.unfinished {
		return what + ": not while its init goes on", nil
	}
	needed := w.source.versions[r.tip].files()
	for _, path := range sorted(w.source.bytes) {
		if needed[path] || isExtra(path) || w.rng.IntN(3) == 0 {
			continue
		}
		err := os.Remove(filepath.Join(r.dir, filepath.FromSlash(path)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return what, err
		}
		r.vacuumed[path] = true
		w.Counts["files vacuumed on replicas"]++
	}
	return what, nil
}

// checkAllHistories restores every version that the store has, with full
// history run by run, and a few of them with the live files alone.
func (w *World) checkAllHistories(ctx context.Context) error {
	for _, run := range w.runs {
		for _, history := range []remote.History{remote.HistoryFull, remote.HistoryLive} {
			target := deltalog.Version(run.last)
			if history == remote.HistoryLive {
				target = deltalog.Version(run.first + w.rng.IntN(run.last-run.first+1))
			}
			opts := w.options()
			opts.History, opts.Target = history, &target
			w.made++
			r := &replica{name: fmt.Sprint(w.made), dir: filepath.Join(w.dir, fmt.Sprint("last-", w.made)), opts: opts, vacuumed: map[string]bool{}}
			what, err := w.init(r, &trouble{ctx: ctx, store: w.store, end: func() {}, excuses: never})
			if err == nil && history == remote.HistoryFull {
				err = w.checkEveryVersion(ctx, r)
			}
			if err != nil {
				return fmt.Errorf("at the end: %s: %w", what, err)
			}
		}
	}
	return nil
}

func (w *World) checkEveryVersion(ctx context.Context, r *replica) error {
	table, err := deltalog.OpenDir(r.dir)
	if err != nil {
		return err
	}
	for v := r.start; v <= r.tip; v++ {
		if err := w.checkVersion(ctx, table, r, v); err != nil {
			return fmt.Errorf("version %d: %w", v, err)
		}
	}
	return nil
}
