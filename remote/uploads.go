package remote

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// uploads runs the uploads of consecutive bundles under two limits, their number
// and the memory they take, and tells which are through: those without a gap
// below them.
type uploads struct {
	all     context.Context // of the caller
	ctx     context.Context // ends when one upload fails: no more are started
	cancel  context.CancelFunc
	places  *semaphore.Weighted
	memory  *semaphore.Weighted // bytes
	through func(*plan)         // called in order of versions, by start and wait
	err     error               // of the lowest bundle that failed

	mu    sync.Mutex // guards queue, which only start and wait change
	queue []*uploading
}

// runAhead bounds how many bundles uploads run ahead of the lowest one that is
// not through. Whoever looks for a bundle around a place, or beyond the end, relies
// on it: it is part of how pushers get along, and must never grow.
const runAhead = 64

type uploading struct {
	plan   *plan
	cancel context.CancelFunc
	done   chan error // buffered, so that an upload never waits for its reader
}

// loan is the memory that an upload has of that of all.
type loan struct {
	of    *semaphore.Weighted
	bytes atomic.Int64
}

// keep gives back all but so many bytes. A nil loan has none.
func (l *loan) keep(bytes int64) {
	if l == nil {
		return
	}
	for had := l.bytes.Load(); had > bytes; had = l.bytes.Load() {
		if l.bytes.CompareAndSwap(had, bytes) {
			l.of.Release(had - bytes)
		}
	}
}

func (u *uploading) ended() bool { return len(u.done) > 0 }

func newUploads(ctx context.Context, places int, memory int64, through func(*plan)) *uploads {
	u := &uploads{all: ctx, places: semaphore.NewWeighted(int64(places)), memory: semaphore.NewWeighted(memory), through: through}
	u.ctx, u.cancel = context.WithCancel(ctx)
	return u
}

// start runs f for the next bundle, which takes so many bytes of memory, as soon
// as there is a place. What f does not need any more of p.memory it may give back early.
func (u *uploads) start(p *plan, memory int64, f func(context.Context) error) error {
	for len(u.queue) >= runAhead || len(u.queue) > 0 && u.queue[0].ended() {
		u.settleFirst() // early, since what it was planned from takes memory
	}
	if err := u.places.Acquire(u.ctx, 1); err != nil {
		return err
	}
	if err := u.memory.Acquire(u.ctx, memory); err != nil {
		u.places.Release(1)
		return err
	}
	p.memory = &loan{of: u.memory}
	p.memory.bytes.Store(memory)
	ctx, up := u.add(p)
	lent := p.memory
	go func() {
		err := f(ctx)
		if err != nil {
			u.failed(up, err)
		}
		up.cancel()
		lent.keep(0)
		u.places.Release(1)
		up.done <- err
	}()
	return nil
}

// add puts an upload behind the others, with a context of its own.
func (u *uploads) add(p *plan) (context.Context, *uploading) {
	ctx, cancel := context.WithCancel(u.all)
	up := &uploading{plan: p, cancel: cancel, done: make(chan error, 1)}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queue = append(u.queue, up)
	if u.ctx.Err() != nil { // one below failed meanwhile
		cancel()
	}
	return ctx, up
}

// failed ends what lies above an upload that failed and would not count. What lies below
// goes on: were it given up, a bundle that always fails would keep a large one from ever
// getting there. But where another history was met nothing does: it would come below that.
func (u *uploads) failed(up *uploading, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cancel()
	ends := u.queue[slices.Index(u.queue, up)+1:]
	if errors.Is(err, ErrDiverged) {
		ends = u.queue
	}
	for _, other := range ends {
		other.cancel()
	}
}

// settleFirst waits for the lowest bundle under way.
func (u *uploads) settleFirst() {
	up := u.queue[0]
	err := <-up.done
	u.mu.Lock()
	u.queue = u.queue[1:]
	u.mu.Unlock()
	if err == nil && u.err == nil {
		u.through(up.plan)
	} else {
		u.err = moreTelling(u.err, err)
	}
}

// wait ends when every upload has: what was begun is finished. err is why no more
// were started, nil if there are no more.
func (u *uploads) wait(err error) error {
	for len(u.queue) > 0 {
		u.settleFirst()
	}
	u.cancel()
	return moreTelling(u.err, err)
}

// moreTelling prefers the first error, unless it is only the echo of another
// one that cancelled the rest.
func moreTelling(first, second error) error {
	if first == nil || (second != nil && errors.Is(first, context.Canceled)) {
		return second
	}
	return first
}
