package remote

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
)

// Keys of log attributes.
const (
	logError   = "error"
	logKey     = "key"
	logPath    = "path"
	logVersion = "version"
	logLast    = "last"
	logStore   = "store"

	logFailures = "failures" // in a row
)

// session is one call on a Replicator: its own view of the store, with
// requests counted, and its report.
type session struct {
	*Replicator
	store     *access
	transfers *transfers
	pace      pace // of the requests for files of a base
	log       *slog.Logger
	start     time.Time
	packs     map[deltalog.Version]object // bundles in packs, as far as a listing told
	fresh     bool                        // there is no file yet where init works
	many      *manyFiles                  // the last decision of settleMany
	endIsSure bool                        // where the store ends is what a listing says
	aboveEnd  bundlesAbove                // that end, once it was listed
	lenient   bool                        // a bundle that cannot be read leads nowhere; Verify tells of it

	looks       sync.Mutex        // guards what a push looks up in the table at most once:
	live        *extsort.Set      // paths live at liveVersion; nil until asked for
	liveVersion deltalog.Version  // the tip of the push or above
	checkpoint  *deltalog.Version // the table's newest; nil until asked for

	mu     sync.Mutex // guards what follows and serialises Options.Progress
	report Report
	done   int   // versions, for progress
	total  int   // versions, for progress
	moved  int64 // bytes, for progress

	bytesDone, bytesToDo int64 // for progress, as far as they are known
	foreseen             bool  // bytesToDo is all that there is
}

func (r *Replicator) newSession(op string) *session {
	return &session{
		Replicator: r,
		store:      newAccess(r.store),
		transfers:  newTransfers(r.opts, r.rangeSize),
		log:        r.opts.Logger.With("op", op),
		start:      r.opts.Clock(),
		report:     Report{Mode: op},
	}
}

// do runs one call that moves versions: one at a time, the others queue.
func (r *Replicator) do(ctx context.Context, op string, f func(*session, context.Context) error) (Report, error) {
	select {
	case <-r.turn:
	case <-ctx.Done():
		return Report{Mode: op}, opError(op, ctx.Err())
	}
	defer func() { r.turn <- struct{}{} }()
	s := r.newSession(op)
	ctx, end := r.observe(ctx, op)
	err := opError(op, s.sayTables(ctx, f(s, ctx)))
	if err := s.closeLive(); err != nil {
		s.log.Warn("temporary file not removed", logError, err)
	}
	report := s.finish()
	end(report, err)
	return report, err
}

// observe calls Options.Observe.
func (r *Replicator) observe(ctx context.Context, op string) (context.Context, func(Report, error)) {
	if r.opts.Observe == nil {
		return ctx, func(Report, error) {}
	}
	return r.opts.Observe(ctx, op)
}

func (s *session) finish() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Requests = s.store.meter.requests()
	s.report.Duration = s.opts.Clock().Sub(s.start)
	return s.report
}

// recordPlan counts the versions of a bundle that is through: above a hole they are not
// there for anybody.
func (s *session) recordPlan(done *plan) {
	for _, v := range done.moved {
		s.record(v)
	}
	s.mu.Lock()
	s.report.Present += done.present
	s.mu.Unlock()
}

// record counts a version that moved. Versions may be recorded out of order.
func (s *session) record(v bundle.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := deltalog.Version(v.Version)
	if s.report.Versions == 0 {
		s.report.First, s.report.Last = version, version
	}
	s.report.First = min(s.report.First, version)
	s.report.Last = max(s.report.Last, version)
	s.report.Versions++
	s.report.Files += len(v.Files) + 1
	s.report.Absent += len(v.Absent)
	s.report.Bytes += v.Commit.Size
	for _, f := range v.Files {
		s.report.Bytes += f.Size
	}
}

// recordBase counts a base that the replica began with.
func (s *session) recordBase(b bundle.Base) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := deltalog.Version(b.Version)
	s.report.Base = &version
	s.report.Files += int(b.Live.Files) + 1
	s.report.Bytes += b.Live.Bytes + b.Commit.Size
	if s.report.Versions == 0 {
		s.report.First, s.report.Last = version, version
	}
	s.report.Versions++
	s.report.Last = max(s.report.Last, version)
}

// recordPlaced counts files of a version that its base lists.
func (s *session) recordPlaced(files []deltalog.Staged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Files += len(files)
	for _, f := range files {
		s.report.Bytes += f.Size
	}
}

// relaxed reports whether replicas need not survive a power cut.
func (s *session) relaxed() bool { return s.opts.Durability == DurabilityRelaxed }

// applier returns the table's writing half.
func (s *session) applier() (LogApplier, error) {
	if a, ok := s.table.(LogApplier); ok {
		return a, nil
	}
	return nil, fmt.Errorf("%w: the table cannot be written", ErrReadOnly)
}
