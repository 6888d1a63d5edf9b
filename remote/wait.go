package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/pondworks/sluice/deltalog"
)

// WaitFor returns nil once version v is durable in the store, or with a mode
// that restores: applied to the replica. A version that only the table has does not count. While a Follow runs it wakes that one and
// waits for it; a Follow that fails tries again, and so WaitFor returns only when
// ctx ends, with what went wrong last. Without a Follow it runs passes of the
// mode itself until the version is there, and returns the error of the first that
// fails; for a version that nobody has committed yet it goes on, a pass every SyncInterval, until ctx
// ends, so give it a deadline; without any commit it wraps ErrNoTable. That the versions that are
// there are those of this table is checked: a table made anew at its path does not hear that its
// versions are in the store. That the store still has what was pushed once is not: before anything
// is deleted here ask SafeVersion.
func (r *Replicator) WaitFor(ctx context.Context, v deltalog.Version) error {
	notified := false
	for {
		now := r.sync.now()
		there, err := r.holds(ctx, now.at, v)
		switch {
		case err != nil || there:
			return opError("wait", err)
		case now.following && !notified:
			r.Notify()
			notified = true // once: else two that wait for each other would spin
			fallthrough
		case now.following:
			err = now.wait(ctx)
		default:
			err = r.pass(ctx, now, v)
		}
		if err != nil {
			return err
		}
	}
}

// pass runs one pass of the mode and, if version v is not there after it, waits
// until another makes sense.
func (r *Replicator) pass(ctx context.Context, before syncState, v deltalog.Version) error {
	report, err := r.Run(ctx)
	if err != nil {
		return err
	}
	if now := r.sync.now(); now.following || now.at != nil && now.at.version >= v {
		return nil
	}
	timer := time.NewTimer(r.untilNext(report, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.sync.now().changed:
	case <-ctx.Done():
	}
	return opError("wait", ctx.Err())
}

// holds reports whether v is on both sides, given the newest version that was
// seen to be. Its commit is looked at again, since the table may have been made
// anew meanwhile.
func (r *Replicator) holds(ctx context.Context, at *tipState, v deltalog.Version) (bool, error) {
	if at == nil || at.version < v {
		return false, nil
	}
	here, err := hashLocal(ctx, r.table, at.version)
	if errors.Is(err, fs.ErrNotExist) || err == nil && here != at.commit {
		r.sync.forget(at)
		return false, nil
	}
	return err == nil, err
}

// syncing is what the calls of a Replicator know together about how far it is.
type syncing struct {
	wake chan struct{} // holds one token if Notify was called

	mu    sync.Mutex // guards what follows
	state syncState
}

// syncState is a moment of it.
type syncState struct {
	following bool
	at        *tipState     // newest version seen to be the same on both sides; nil: none yet
	failed    error         // of the last pass of a Follow
	changed   chan struct{} // closed when this is no longer so
}

func newSyncing() *syncing {
	return &syncing{wake: make(chan struct{}, 1), state: syncState{changed: make(chan struct{})}}
}

func (y *syncing) now() syncState {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.state
}

// change changes the state and tells whoever waits.
func (y *syncing) change(f func(*syncState)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	f(&y.state)
	close(y.state.changed)
	y.state.changed = make(chan struct{})
}

// begin reports whether a Follow may begin.
func (y *syncing) begin() bool {
	may := false
	y.change(func(s *syncState) { may, s.following = !s.following, true })
	return may
}

func (y *syncing) end() { y.change(func(s *syncState) { s.following = false }) }

func (y *syncing) passed(err error) { y.change(func(s *syncState) { s.failed = err }) }

func (y *syncing) forget(at *tipState) {
	y.change(func(s *syncState) {
		if s.at == at {
			s.at = nil
		}
	})
}

// drain takes what Notify left.
func (y *syncing) drain() {
	select {
	case <-y.wake:
	default:
	}
}

// wait ends when the state has changed. If ctx ends first, the error tells why
// the last pass failed as well.
func (s syncState) wait(ctx context.Context) error {
	select {
	case <-s.changed:
		return nil
	case <-ctx.Done():
	}
	err := ctx.Err()
	if s.failed != nil {
		err = fmt.Errorf("%w; the last pass failed: %w", err, s.failed)
	}
	return &Error{Op: "wait", Err: err}
}

// came notes that a version is on both sides.
func (s *session) came(at tipState) {
	s.sync.change(func(state *syncState) { state.at = &at })
}
