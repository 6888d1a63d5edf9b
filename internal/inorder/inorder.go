// Package inorder does many things at once and yields their results in order.
package inorder

import (
	"context"
	"iter"
	"sync"
)

// Seq yields what do returns for each of in, in the order of in, while do is at work on up
// to limit of them. When the loop over it ends, be it early, the context of do has ended and
// no call of it is under way any more.
func Seq[T, R any](ctx context.Context, limit int, in iter.Seq[T], do func(context.Context, T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		ctx, stop := context.WithCancel(ctx)
		tasks := make(chan task[T, R], limit)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer stop()
		defer close(tasks)
		next, end := iter.Pull(in)
		defer end()
		var begun []chan R
		for running := 0; ; {
			for len(begun) < limit {
				x, more := next()
				if !more {
					break
				}
				t := task[T, R]{x, make(chan R, 1)}
				begun = append(begun, t.result)
				tasks <- t // there is room: no more than limit are begun
				if running < len(begun) {
					running++
					// They stay, for their stacks have grown to what do needs.
					workers.Go(func() { work(ctx, tasks, do) })
				}
			}
			if len(begun) == 0 || !yield(<-begun[0]) {
				return
			}
			begun = begun[1:]
		}
	}
}

type task[T, R any] struct {
	x      T
	result chan R
}

func work[T, R any](ctx context.Context, tasks <-chan task[T, R], do func(context.Context, T) R) {
	for t := range tasks {
		t.result <- do(ctx, t.x)
	}
}
