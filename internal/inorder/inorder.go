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
		var under sync.WaitGroup
		defer under.Wait()
		defer stop()
		next, end := iter.Pull(in)
		defer end()
		var begun []chan R
		for {
			for len(begun) < limit {
				x, more := next()
				if !more {
					break
				}
				result := make(chan R, 1)
				begun = append(begun, result)
				under.Go(func() { result <- do(ctx, x) })
			}
			if len(begun) == 0 || !yield(<-begun[0]) {
				return
			}
			begun = begun[1:]
		}
	}
}
