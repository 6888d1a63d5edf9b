package steward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// Restore makes a pond from the backup in a store, as it was at a version, a
// time, or the newest, which set says. Each version is a transaction of the new
// pond. The pond has no factories: it may become a primary of its own. An
// interrupted Restore is carried on by the same call.
func Restore(ctx context.Context, path string, store storage.Store, opts *Options, set func(*remote.Options)) (*Pond, remote.Report, error) {
	return initFrom(ctx, path, opts, func(p *Pond) (*remote.Replicator, error) {
		o := new(remote.Options)
		p.fill(o)
		set(o)
		return remote.New(p.FS.Table(), store, o)
	})
}

// InitFromBackup makes a pond from the backup that a configuration names. With
// auto_switch_to_pull the configuration is kept in the new pond, at config_path,
// with its mode changed to pull: the pond is then a replica. Without it, it is
// kept as it is if config_path says where.
func InitFromBackup(ctx context.Context, path string, c *remote.Config, opts *Options) (*Pond, remote.Report, error) {
	if c.Mode != remote.ModeInit {
		return nil, remote.Report{}, fmt.Errorf("%w: mode: %s: an init from a backup wants mode: init", remote.ErrInvalidConfig, c.Mode)
	}
	text, err := c.WithMode(remote.ModeInit)
	if err != nil {
		return nil, remote.Report{}, err
	}
	if c.SwitchToPull {
		if text, err = c.WithMode(remote.ModePull); err != nil {
			return nil, remote.Report{}, err
		}
	}
	store, err := OpenStore(ctx, c)
	if err != nil {
		return nil, remote.Report{}, err
	}
	node := Node{Path: DefaultNode, Text: text}
	if c.ConfigPath != "" {
		node.Path = c.ConfigPath
	}
	if _, err := (&Pond{path: path}).nodeFile(node.Path); err != nil {
		return nil, remote.Report{}, fmt.Errorf("config_path: %w", err)
	}
	if err := errors.Join(checkPlace(c), (&Pond{path: path}).checkPlaces(c)); err != nil {
		return nil, remote.Report{}, err
	}
	begun := time.Now().UTC()
	p, report, err := initFrom(ctx, path, opts, func(p *Pond) (*remote.Replicator, error) { return p.replicator(c, store, nil) })
	if err == nil && (c.SwitchToPull || c.ConfigPath != "") {
		if _, err = p.Mknod(ctx, node); err == nil {
			err = p.appendRun(Run{Node: node.Path, Time: begun, Report: report})
		}
	}
	return p, report, err
}

// initFrom fills the data of a new pond before it makes its control: a pond that
// was interrupted half-way has none, and is told from a whole one by the marker
// that sluice leaves.
func initFrom(ctx context.Context, path string, opts *Options, replicator func(*Pond) (*remote.Replicator, error)) (*Pond, remote.Report, error) {
	if _, err := Open(ctx, path, nil); err == nil {
		return nil, remote.Report{}, fmt.Errorf("%s: %w: there is a pond already", path, remote.ErrNotEmpty)
	} else if errors.Is(err, ErrNoPond) {
		if err := requireEmpty(path, "data"); err != nil {
			return nil, remote.Report{}, err
		}
	} else if !errors.Is(err, ErrUnfinished) {
		return nil, remote.Report{}, err
	}
	p, err := newPond(path, opts)
	if err != nil {
		return nil, remote.Report{}, err
	}
	r, err := replicator(p)
	if err != nil {
		return nil, remote.Report{}, err
	}
	report, err := r.Init(ctx)
	if err != nil {
		return nil, report, err
	}
	if err := p.makeControl(); err != nil {
		return nil, report, err
	}
	return p, report, p.reconcile(ctx)
}
