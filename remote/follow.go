package remote

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// Follow keeps table and store in step: it runs a pass of the mode now, and then
// another whenever Notify is called and every Options.SyncInterval. A push that
// nothing is new for asks the store for nothing, so for a pusher the interval is
// only a safety net under Notify. In ModeInit the replica is rebuilt first and
// then follows by pulling if Options.SwitchToPull says so; else Follow returns
// nil once it is complete.
//
// It returns the error of ctx when that ends, and an error that waiting cannot
// mend when it meets one: ErrDiverged, ErrNotEmpty, ErrConflict, ErrExtraHook,
// ErrReadOnly, ErrUnsupported, ErrUnsafe, ErrTooLarge of what is to be pushed, or ErrGap
// where the table ends below what was pruned. A table or a store that has no version yet is
// waited for like any other news. After any other error it tries again, at first after a second,
// then ever more rarely up to once a minute; Notify does not shorten that. Nothing runs on after it returns. Only one Follow of a
// Replicator runs at a time, a second returns an error at once.
func (r *Replicator) Follow(ctx context.Context) error {
	if !r.sync.begin() {
		return opError("follow", errors.New("this replicator follows already"))
	}
	defer r.sync.end()
	for failures := 0; ; {
		r.sync.drain() // what was announced so far, the pass will see
		report, err := r.Run(ctx)
		r.sync.passed(err)
		switch {
		case ctx.Err() != nil:
			return opError("follow", ctx.Err())
		case err != nil && isHopeless(err):
			return err
		case isNothingYet(err) && r.sync.now().at == nil:
			failures = 0
			r.log.Info("nothing to do yet", logError, err)
		case err != nil:
			failures++
			r.log.Warn("pass failed, trying again later", logError, err, logFailures, failures)
		case report.Mode == ModeInit.String() && !r.opts.SwitchToPull:
			return nil
		default:
			failures = 0
		}
		if err := r.pause(ctx, report, failures); err != nil {
			return opError("follow", err)
		}
	}
}

// Notify tells a running Follow that there is something new: the host has
// committed, or has heard that the source has pushed. It never blocks, and any
// number of calls during a pass lead to one more. Without a Follow it is kept
// for the next one.
func (r *Replicator) Notify() {
	select {
	case r.sync.wake <- struct{}{}:
	default: // the pass to come will see this too
	}
}

// hopeless are the errors that only a person or another program can mend.
var hopeless = []error{ErrDiverged, ErrNotEmpty, ErrConflict, ErrExtraHook, ErrReadOnly, ErrUnsupported, ErrUnsafe}

// isNothingYet: a table without a commit, or a store to which nobody has pushed.
func isNothingYet(err error) bool { return errors.Is(err, ErrNoTable) || errors.Is(err, ErrEmptyStore) }

func isHopeless(err error) bool {
	var gap *gapAt
	if errors.As(err, &gap) && gap.pruned {
		return true
	}
	if errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrCorrupt) { // with that it was read, and may be read otherwise
		return true
	}
	return slices.ContainsFunc(hopeless, func(class error) bool { return errors.Is(err, class) })
}

// pause waits until the next pass is due. After failures Notify does not count:
// a service that is down is not asked once per commit.
func (r *Replicator) pause(ctx context.Context, report Report, failures int) error {
	wake := r.sync.wake
	if failures > 0 {
		wake = nil
	}
	timer := time.NewTimer(r.untilNext(report, failures))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// The waits after failures: doubling from the first to the last.
const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
)

// untilNext is how long to wait after a pass with that report.
func (r *Replicator) untilNext(report Report, failures int) time.Duration {
	switch {
	case failures > 0:
		return jitter(min(firstBackoff<<min(failures-1, 10), lastBackoff))
	case report.Remaining > 0 && report.Versions+report.Present > 0: // Options.MaxVersions was reached
		return 0
	case report.Remaining > 0: // the newest commit is not still yet
		return min(r.opts.Settle, r.opts.SyncInterval)
	}
	return jitter(r.opts.SyncInterval)
}

// jitter takes up to a fifth off, so that many replicas do not ask in step.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/5+1) }
