package steward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// hookVersions bounds how many versions the hook of one commit pushes, so that a
// backlog never makes a commit wait for long.
const hookVersions = 100

// Run is one run of a factory.
type Run struct {
	Node   string        `json:"node"`
	Store  string        `json:"store,omitempty"`   // its place, where the node has several stores
	TxnSeq int64         `json:"txn_seq,omitempty"` // the transaction it followed; 0: a command asked for it
	Time   time.Time     `json:"time"`
	Error  string        `json:"error,omitempty"`
	Report remote.Report `json:"report"`
	// Failure is what Error tells, nil in a record that was read back.
	Failure error `json:"-"`
}

// postCommit runs the factories that push, in the order of their names. What
// goes wrong is recorded and told, and keeps neither the commit nor the other
// factories from being.
func (p *Pond) postCommit(ctx context.Context, seq int64) []Run {
	nodes, err := p.Nodes()
	if err != nil {
		return []Run{{Node: SystemDir, TxnSeq: seq, Time: time.Now().UTC(), Error: err.Error(), Failure: err}}
	}
	var runs []Run
	for _, n := range nodes {
		if c, err := n.Config(); err == nil && c.Mode != remote.ModePush {
			continue // a replica makes no commits, and an init comes before them
		}
		all, _ := p.push(ctx, n, seq, func(o *remote.Options) { o.MaxVersions = hookVersions }) // the errors are in all
		runs = append(runs, all...)
	}
	return runs
}

// PostCommit runs the factories after a transaction that made no commit.
func (p *Pond) PostCommit(ctx context.Context, txn *Txn) { txn.Runs = p.postCommit(ctx, txn.Seq) }

// RunNode does one pass of whatever a factory's mode says: a run for each store.
func (p *Pond) RunNode(ctx context.Context, n Node) ([]Run, error) {
	c, err := n.Config()
	if err != nil {
		return nil, err
	}
	if c.Mode == remote.ModePush {
		return p.Push(ctx, n)
	}
	run, err := p.run(ctx, n, (*remote.Replicator).Run)
	if err == nil && c.Mode == remote.ModeInit && c.SwitchToPull {
		err = p.switchToPull(n.Path, c)
	}
	return []Run{run}, err
}

// switchToPull rewrites a node so that it pulls from now on.
func (p *Pond) switchToPull(name string, c *remote.Config) error {
	text, err := c.WithMode(remote.ModePull)
	if err != nil {
		return err
	}
	file, err := p.nodeFile(name)
	if err != nil {
		return err
	}
	return replace(file, text)
}

// Push pushes everything that is new to each store of the node.
func (p *Pond) Push(ctx context.Context, n Node) ([]Run, error) { return p.push(ctx, n, 0, nil) }

// push pushes to all stores of a node at once and records what came of each. A
// record has its error too.
func (p *Pond) push(ctx context.Context, n Node, seq int64, set func(*remote.Options)) ([]Run, error) {
	begun := time.Now().UTC()
	c, err := n.Config()
	var m *remote.Multi
	var stores []Store
	if err == nil {
		m, stores, err = p.multi(ctx, n, c, set)
	}
	if err != nil {
		run := Run{Node: n.Path, TxnSeq: seq, Time: begun, Error: err.Error(), Failure: err}
		return []Run{run}, errors.Join(err, p.appendRun(run))
	}
	reports, _ := m.Push(ctx) // the errors are in reports
	var runs []Run
	for i, r := range reports {
		run := Run{Node: n.Path, Store: stores[i].Name, TxnSeq: seq, Time: begun, Report: r.Report, Failure: r.Err}
		if r.Err != nil {
			run.Error = r.Err.Error()
			if run.Store != "" {
				r.Err = fmt.Errorf("%s: %w", run.Store, r.Err)
			}
		}
		runs, err = append(runs, run), errors.Join(err, r.Err, p.appendRun(run))
	}
	return runs, err
}

// Pull applies everything that is new in the node's store, each version as a
// transaction of this pond.
func (p *Pond) Pull(ctx context.Context, n Node) (Run, error) {
	return p.run(ctx, n, (*remote.Replicator).Pull)
}

// run does what move says, which is no push, and records it. The record has the
// error too.
func (p *Pond) run(ctx context.Context, n Node, move func(*remote.Replicator, context.Context) (remote.Report, error)) (Run, error) {
	run := Run{Node: n.Path, Time: time.Now().UTC()}
	r, err := p.Replicator(ctx, n, nil)
	if err == nil {
		run.Report, err = move(r, ctx)
	}
	if err != nil {
		run.Error, run.Failure = err.Error(), err
	}
	if run.Report.Versions > 0 {
		err = errors.Join(err, p.reconcile(ctx))
	}
	return run, errors.Join(err, p.appendRun(run))
}

func (p *Pond) appendRun(r Run) error { return appendLine(p.runsFile(r.Node), r) }

func (p *Pond) runsFile(node string) string { return p.control("runs", path.Base(node)+".jsonl") }

// Replicator returns the replicator of this pond and the one store of a node that
// does not push. set, if not nil, changes its options.
func (p *Pond) Replicator(ctx context.Context, n Node, set func(*remote.Options)) (*remote.Replicator, error) {
	c, err := n.Config()
	if err != nil {
		return nil, err
	}
	if err := p.checkSource(ctx, c); err != nil {
		return nil, err
	}
	store, err := OpenStore(ctx, c)
	if err != nil {
		return nil, err
	}
	return p.replicator(c, store, set)
}

func (p *Pond) replicator(c *remote.Config, store storage.Store, set func(*remote.Options)) (*remote.Replicator, error) {
	return remote.New(p.FS.Table(), store, p.replicatorOptions(c, set))
}

// replicatorOptions are those of a configuration and of this pond; set, if not nil,
// changes them.
func (p *Pond) replicatorOptions(c *remote.Config, set func(*remote.Options)) *remote.Options {
	o := c.Options()
	p.fill(o)
	if set != nil {
		set(o)
	}
	return o
}

// fill sets the options that do not come from a configuration.
func (p *Pond) fill(o *remote.Options) {
	o.Extra, o.Metadata = p.FS.LargeFiles, p.metadata
	o.Logger, o.Progress = p.opts.Logger, p.opts.Progress
	host, _ := os.Hostname() // only for people to read; a nameless host is fine
	o.Writer = bundle.Writer{Program: "pond", Host: host}
}

// metadata tells each bundle which transaction made its version.
func (p *Pond) metadata(ctx context.Context, v deltalog.Version) (map[string]string, error) {
	info, _, err := p.FS.Info(ctx, v)
	if err != nil {
		return nil, err
	}
	return map[string]string{"pond": info.Pond, "txn_seq": strconv.FormatInt(info.TxnSeq, 10), "what": info.What}, nil
}

// Runs returns the recorded runs of a node, the oldest first.
func (p *Pond) Runs(n Node) ([]Run, error) {
	var runs []Run
	var bad error
	err := readLines(p.runsFile(n.Path), func(line []byte) {
		var r Run
		if err := json.Unmarshal(line, &r); err != nil {
			bad = fmt.Errorf("runs of %s: %w", n.Path, err)
		}
		runs = append(runs, r)
	})
	return runs, errors.Join(err, bad)
}

func (p *Pond) runsByTxn() (map[int64][]Run, error) {
	nodes, err := p.Nodes()
	if err != nil {
		return nil, err
	}
	all := map[int64][]Run{}
	for _, n := range nodes {
		runs, err := p.Runs(n)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			if r.TxnSeq > 0 {
				all[r.TxnSeq] = append(all[r.TxnSeq], r)
			}
		}
	}
	return all, nil
}
