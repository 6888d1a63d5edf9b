package remote

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"
)

// uploads runs the uploads of consecutive versions under one limit and tells
// which are through: those without a gap below them.
type uploads struct {
	ctx     context.Context // ends when one upload fails
	cancel  context.CancelFunc
	places  int
	limit   *semaphore.Weighted
	through func(*plan) // called in order of versions, by start and wait
	queue   []*uploading
	err     error // of the lowest version that failed
}

// runAhead bounds how far uploads run ahead of the lowest version that is not
// through. checkRun relies on it: it is part of how pushers get along, and must
// never grow.
const runAhead = 64

type uploading struct {
	plan *plan
	done chan error // buffered, so that an upload never waits for its reader
}

func newUploads(ctx context.Context, places int, through func(*plan)) *uploads {
	ctx, cancel := context.WithCancel(ctx)
	return &uploads{ctx: ctx, cancel: cancel, places: places, limit: semaphore.NewWeighted(int64(places)), through: through}
}

// start runs f for the next version as soon as there is a place.
func (u *uploads) start(p *plan, f func(context.Context) error) error {
	if len(u.queue) >= runAhead {
		u.settleFirst()
	}
	weight := p.weight(u.places)
	if err := u.limit.Acquire(u.ctx, weight); err != nil {
		return err
	}
	up := &uploading{plan: p, done: make(chan error, 1)}
	u.queue = append(u.queue, up)
	go func() {
		err := f(u.ctx)
		if err != nil {
			u.cancel()
		}
		u.limit.Release(weight)
		up.done <- err
	}()
	return nil
}

// settleFirst waits for the lowest version under way.
func (u *uploads) settleFirst() {
	up := u.queue[0]
	u.queue = u.queue[1:]
	err := <-up.done
	if err == nil && u.err == nil {
		u.through(up.plan)
	} else {
		u.err = moreTelling(u.err, err)
	}
}

// wait ends when every upload has. err is why no more were started, nil if
// there are no more.
func (u *uploads) wait(err error) error {
	if err != nil {
		u.cancel()
	}
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
