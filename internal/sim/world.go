package sim

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// World is one table, its store, its pushers and its replicas.
type World struct {
	// Counts says how often what happened, so that a run can be told from one
	// that did nothing.
	Counts map[string]int

	dir      string
	rng      *rand.Rand
	trace    io.Writer
	step     int
	passed   time.Duration // that the clocks of all processes are ahead of the true one
	source   *source
	extra    bool   // the host names files of its own
	*stock          // that everything but Multi works with
	mirror   *stock // that Multi alone pushes to, beside the other
	pushers  []*pusher
	replicas []*replica
	made     int // replicas so far
	codec    *bundle.Codec
}

// stock is a store and what the model knows of it.
type stock struct {
	store   storage.Store
	runs    []span          // of versions in the store, without gaps
	ends    map[int]int     // of the bundles in the store, last version by first
	excused map[string]bool // files that the source had lost before they were pushed here
	floor   int             // nothing below is promised
	times   map[int]int64   // of versions, as Delta counts them
}

// newStock is an empty store.
func (w *World) newStock() *stock {
	s := &stock{store: storage.NewMemory(), excused: map[string]bool{}, times: map[int]int64{}}
	for path := range w.source.gone {
		s.excused[path] = true
	}
	return s
}

// with makes a stock the one that everything works with while f runs.
func (w *World) with(s *stock, f func() error) error {
	was := w.stock
	w.stock = s
	defer func() { w.stock = was }()
	return f()
}

// span is a run of versions, both ends inclusive.
type span struct{ first, last int }

// pusher is a process that pushes, as long as it lives.
type pusher struct {
	name string
	gate *gate
	max  int // versions per push; 0: all
	*remote.Replicator
}

// replica is a table that is made from the store.
type replica struct {
	name       string
	dir        string
	opts       remote.Options // of its init
	unfinished bool           // its init was broken off
	start, tip int            // as last checked
	vacuumed   map[string]bool
}

// New makes a world in an empty folder. It writes what it does to trace, a line
// for each step.
func New(dir string, seed uint64, trace io.Writer) (*World, error) {
	rng := rand.New(rand.NewPCG(seed, 0x51_0171_ce))
	codec, err := bundle.NewCodec(nil)
	if err != nil {
		return nil, err
	}
	w := &World{
		Counts: map[string]int{}, dir: dir, rng: rng, trace: trace, codec: codec,
		source: newSource(filepath.Join(dir, "source"), rng), extra: rng.IntN(3) == 0,
	}
	w.stock, w.mirror = w.newStock(), w.newStock()
	return w, w.startPushers()
}

func (w *World) startPushers() error {
	for _, p := range []*pusher{{name: "A"}, {name: "B"}, {name: "bounded", max: 1 + w.rng.IntN(4)}} {
		if err := w.startPusher(p); err != nil {
			return err
		}
		w.pushers = append(w.pushers, p)
	}
	return nil
}

// startPusher makes a fresh process of it.
func (w *World) startPusher(p *pusher) (err error) {
	p.gate = &gate{to: w.store}
	opts := w.options()
	opts.MaxVersions = p.max
	opts.NoBases = w.rng.IntN(4) == 0
	if w.extra {
		opts.Extra = w.source.extraAt
	}
	p.Replicator, err = replicator(w.source.dir, p.gate, opts)
	return err
}

// options that a user may set as he likes.
func (w *World) options() remote.Options {
	opts := remote.Options{Concurrency: 1 + w.rng.IntN(4), Codec: w.codec, Clock: func() time.Time { return time.Now().Add(w.passed) }}
	if w.rng.IntN(2) == 0 {
		opts.Memory = 2000 // so that work on the live set goes to disk
	}
	return opts
}

// Step does one thing at random, and checks what it touched. An error is a
// fault that was found: the world is of no use after it.
func (w *World) Step(ctx context.Context) error {
	w.step++
	what, err := w.act(ctx)
	if _, werr := fmt.Fprintf(w.trace, "%5d %s\n", w.step, what); werr != nil {
		return werr
	}
	if err != nil {
		return fmt.Errorf("step %d: %s: %w", w.step, what, err)
	}
	return nil
}

// Finish lets everything come to rest and checks it all.
func (w *World) Finish(ctx context.Context) error {
	if w.source.pending != nil {
		if err := w.source.complete(); err != nil {
			return err
		}
	}
	if len(w.source.versions) == 0 {
		return nil
	}
	if err := w.startPusher(w.pushers[0]); err != nil {
		return err
	}
	if what, err := w.push(&trouble{ctx: ctx, store: w.store, end: func() {}, excuses: never}, w.pushers[:1]); err != nil {
		return fmt.Errorf("at the end: %s: %w", what, err)
	}
	if err := w.checkAllHistories(ctx); err != nil {
		return err
	}
	if what, err := w.pushAll(&trouble{ctx: ctx, store: w.store, end: func() {}, excuses: never}, 0); err != nil {
		return fmt.Errorf("at the end: %s: %w", what, err)
	}
	return w.with(w.mirror, func() error { return w.checkAllHistories(ctx) })
}

func never(error) bool { return false }

// act chooses what to do.
func (w *World) act(ctx context.Context) (string, error) {
	n := w.rng.IntN(100)
	if w.source.tip() < 1 {
		n = 0
	}
	switch {
	case n < 36:
		w.Counts["commits"]++
		what, err := w.source.commit(w.extra)
		return fmt.Sprintf("commit %d: %s", len(w.source.versions)-1, what), err
	case n < 54:
		return w.pushStep(ctx)
	case n < 70:
		return w.pullStep(ctx)
	case n < 80:
		return w.initStep(ctx)
	case n < 96:
		return w.rareStep(ctx)
	}
	return w.statusStep(ctx)
}

// rareStep is what happens beside commits, pushes and pulls.
func (w *World) rareStep(ctx context.Context) (string, error) {
	switch w.rng.IntN(13) {
	case 0, 1:
		v, err := w.source.checkpoint(ctx)
		return fmt.Sprintf("checkpoint of %d", v), err
	case 2:
		return w.cleanUpStep(ctx)
	case 3:
		return w.vacuumStep()
	case 4:
		return w.vacuumReplica()
	case 5:
		return w.baseStep(ctx)
	case 6:
		return w.forkStep(ctx)
	case 7:
		return w.consolidateStep(ctx)
	case 11:
		return w.pruneStep(ctx)
	case 8, 9, 10:
		return w.pushAll(w.troubleFor(ctx), w.rng.IntN(2))
	}
	i := w.rng.IntN(len(w.pushers))
	return fmt.Sprintf("pusher %s is started again", w.pushers[i].name), w.startPusher(w.pushers[i])
}
