package storage

import (
	"context"
	"math/rand/v2"
	"time"
)

// RetryOptions says how often and how fast to try again. nil and the zero value
// of each field stand for the defaults.
type RetryOptions struct {
	// Attempts bounds the tries of one operation, the first included; for reads
	// and listings the tries without any progress. Default 5; 1 never retries.
	Attempts int
	// Base and Max bound the wait: about Base before the second attempt, twice
	// that before the third and so on, never more than Max. Defaults 200 ms and 10 s.
	Base, Max time.Duration
	// Sleep waits for d or until ctx ends, and then returns its error. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Random returns a number in [0, 1) by which a wait is shortened to between
	// half of it and all, so that many clients do not come back at once. It may be
	// called by several goroutines. Default math/rand/v2.
	Random func() float64
}

func (o *RetryOptions) withDefaults() RetryOptions {
	var out RetryOptions
	if o != nil {
		out = *o
	}
	if out.Attempts <= 0 {
		out.Attempts = 5
	}
	if out.Base <= 0 {
		out.Base = 200 * time.Millisecond
	}
	if out.Max <= 0 {
		out.Max = 10 * time.Second
	}
	if out.Sleep == nil {
		out.Sleep = sleep
	}
	if out.Random == nil {
		out.Random = rand.Float64
	}
	return out
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
