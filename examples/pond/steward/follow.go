package steward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pondworks/sluice/remote"
)

// Follow does what a node's mode says every sync_interval, until ctx ends or
// something needs a person. It calls each after every pass that moved versions
// or failed. What the passes in between asked of the store is counted in the next
// record.
func (p *Pond) Follow(ctx context.Context, n Node, each func(Run)) error {
	f := &follower{pond: p, node: n, each: each}
	r, err := p.Replicator(ctx, n, func(o *remote.Options) { o.Observe = f.observe })
	if err != nil {
		return err
	}
	return errors.Join(r.Follow(ctx), f.failed, f.flush())
}

// follower records the passes of a Follow.
type follower struct {
	pond   *Pond
	node   Node
	each   func(Run)
	quiet  remote.Requests // of passes that are not recorded
	failed error           // the record of a pass
}

func (f *follower) observe(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
	begun := time.Now().UTC()
	return ctx, func(report remote.Report, err error) {
		run := Run{Node: f.node.Path, Time: begun, Report: report}
		if err != nil && ctx.Err() == nil {
			run.Error = err.Error()
		}
		f.quiet = sum(f.quiet, report.Requests)
		if run.Error == "" && report.Versions == 0 {
			return
		}
		f.failed = errors.Join(f.failed, f.record(ctx, run))
		f.each(run)
	}
}

func (f *follower) record(ctx context.Context, run Run) error {
	run.Report.Requests, f.quiet = f.quiet, remote.Requests{}
	err := f.pond.appendRun(run)
	if run.Report.Versions > 0 {
		err = errors.Join(err, f.pond.reconcile(context.WithoutCancel(ctx)))
	}
	if err != nil {
		return fmt.Errorf("record a pass: %w", err)
	}
	return nil
}

// flush records what is not recorded yet.
func (f *follower) flush() error {
	if f.quiet == (remote.Requests{}) {
		return nil
	}
	run := Run{Node: f.node.Path, Time: time.Now().UTC()}
	return f.record(context.Background(), run)
}

// sum adds up requests.
func sum(a, b remote.Requests) remote.Requests {
	return remote.Requests{
		Put: a.Put + b.Put, Get: a.Get + b.Get, List: a.List + b.List,
		Sent: a.Sent + b.Sent, Received: a.Received + b.Received,
	}
}
