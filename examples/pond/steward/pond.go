// Package steward runs a pond: it numbers the transactions, keeps what belongs
// to this pond alone in control/, and after each commit runs the factories that
// are configured in /etc/system.d, which is where replication hangs.
//
//	POND/data/      the Delta table, see package pondfs; what replicas mirror
//	POND/control/   pond.json       this pond's own id
//	                txn/N.json      transaction N, from 1, by exclusive create
//	                system.d/NAME   the configuration of a factory
//	                runs/NAME.jsonl what came of each of its runs
//
// control/ is never replicated. If it is lost, Open makes it again from the
// table: the transactions are there, but the factories must be configured anew.
package steward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/pond/pondfs"
	"github.com/pondworks/sluice/remote"
)

var (
	// ErrNoPond: there is no pond at this path.
	ErrNoPond = errors.New("no pond")
	// ErrReplica: the pond mirrors another one and takes no commits of its own.
	ErrReplica = errors.New("this pond is a replica")
	// ErrUnfinished: an init from a backup was interrupted.
	ErrUnfinished = errors.New("unfinished init")
)

// Options of a Pond. The zero value is the default.
type Options struct {
	Logger   *slog.Logger          // default: silent
	Progress func(remote.Progress) // of pushes, inits and pulls
}

// Pond is one pond. Any number of processes may have it open.
type Pond struct {
	FS *pondfs.FS
	ID string // of this pond; replicas have their own

	path string
	opts Options
}

// identity is control/pond.json.
type identity struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// Create makes a new, empty pond: transaction 1, version 0. It wraps
// remote.ErrNotEmpty if there is something at path already.
func Create(ctx context.Context, path string, opts *Options) (*Pond, error) {
	if err := requireEmpty(path); err != nil {
		return nil, err
	}
	p, err := newPond(path, opts)
	if err != nil {
		return nil, err
	}
	if err := p.makeControl(); err != nil {
		return nil, err
	}
	txn, err := p.begin("init")
	if err != nil {
		return nil, err
	}
	err = p.FS.Create(ctx, txn.info(p.ID))
	return p, p.finish(txn, 0, err)
}

// Open opens a pond and records the versions that came into its table in other
// ways than by a transaction of its own. It wraps ErrNoPond or ErrUnfinished.
func Open(ctx context.Context, path string, opts *Options) (*Pond, error) {
	p, err := newPond(path, opts)
	if err != nil {
		return nil, err
	}
	state, err := p.FS.Table().State(ctx)
	if err != nil {
		return nil, err
	}
	if state.Marker != nil {
		return nil, fmt.Errorf("%s: %w: run the same init or restore again, it goes on where it was", path, ErrUnfinished)
	}
	if !state.Table {
		return nil, fmt.Errorf("%w at %s: pond init makes one", ErrNoPond, path)
	}
	if err := p.makeControl(); err != nil {
		return nil, err
	}
	return p, p.reconcile(ctx)
}

func newPond(path string, opts *Options) (*Pond, error) {
	data, err := pondfs.Open(filepath.Join(path, "data"))
	if err != nil {
		return nil, err
	}
	p := &Pond{FS: data, path: path}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Logger == nil {
		p.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return p, nil
}

// Path is the pond's folder.
func (p *Pond) Path() string { return p.path }

// requireEmpty refuses a folder that holds anything but what is allowed.
func requireEmpty(path string, allowed ...string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Name() == "control" {
			return fmt.Errorf("%s: %w: there is a pond already", path, remote.ErrNotEmpty)
		}
		if !slices.Contains(allowed, e.Name()) {
			return fmt.Errorf("%s: %w: it holds %s", path, remote.ErrNotEmpty, e.Name())
		}
	}
	return err
}

// makeControl makes what is missing of control/ and reads the pond's id.
func (p *Pond) makeControl() error {
	for _, dir := range []string{"txn", "system.d", "runs"} {
		if err := os.MkdirAll(p.control(dir), 0o700); err != nil {
			return err
		}
	}
	b, err := p.identity()
	if err != nil {
		return err
	}
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return fmt.Errorf("%s is damaged: %w; remove it: this pond gets another id, and loses nothing", p.control("pond.json"), err)
	}
	p.ID = id.ID
	return nil
}

// identity reads control/pond.json, or makes it.
func (p *Pond) identity() ([]byte, error) {
	name := p.control("pond.json")
	b, err := os.ReadFile(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	fresh, err := json.Marshal(identity{uuid.NewString(), time.Now().UTC()})
	if err != nil {
		return nil, err
	}
	if err := createNew(name, fresh); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(name) // another process may have been first
}

func (p *Pond) control(elements ...string) string {
	return filepath.Join(append([]string{p.path, "control"}, elements...)...)
}

// Transact makes one commit of the changes that build asks for, and then runs
// the factories. An error means that nothing was committed; what comes after the
// commit never undoes it and is told in the Txn.
func (p *Pond) Transact(ctx context.Context, what string, build func(*pondfs.Tx) error) (Txn, error) {
	return p.commit(ctx, what, func(info pondfs.Info) (deltalog.Version, error) { return p.FS.Commit(ctx, info, build) })
}

// commit numbers a transaction, makes its commit, and runs what follows.
func (p *Pond) commit(ctx context.Context, what string, make func(pondfs.Info) (deltalog.Version, error)) (Txn, error) {
	if err := p.refuseReplica(); err != nil {
		return Txn{}, err
	}
	txn, err := p.begin(what)
	if err != nil {
		return Txn{}, err
	}
	version, err := make(txn.info(p.ID))
	if err = p.finish(txn, version, err); err != nil {
		return *txn, err
	}
	if err := p.FS.CheckpointIfDue(ctx, version); err != nil {
		p.opts.Logger.Warn("no checkpoint was written; the commit is not affected", "version", int64(version), "err", err)
	}
	txn.Runs = p.postCommit(ctx, txn.Seq)
	return *txn, nil
}

// refuseReplica keeps commits off a pond that pulls: they would make it a
// history of its own, which no pull can join again.
func (p *Pond) refuseReplica() error {
	nodes, err := p.Nodes()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if c, err := n.Config(); err == nil && c.Mode == remote.ModePull {
			return fmt.Errorf("%w: %s pulls from another pond; write there, or make this one a primary: pond rm %s", ErrReplica, n.Path, n.Path)
		}
	}
	return nil
}
