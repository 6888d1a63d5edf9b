package steward

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/pond/pondfs"
	"github.com/pondworks/sluice/remote"
)

// Maintained is what Maintain did.
type Maintained struct {
	Compacted  *Txn             `json:"compacted,omitempty"` // nil: there was nothing to compact
	Checkpoint deltalog.Version `json:"checkpoint"`          // the newest version has one
	Safe       deltalog.Version `json:"safe"`                // no backup needs what only older versions have
	Vacuumed   pondfs.Vacuumed  `json:"vacuumed"`
	Kept       string           `json:"kept,omitempty"` // why nothing was vacuumed
}

// Maintain compacts small data files (not in a replica, whose source does
// that), writes a checkpoint, and removes the files that were needed last longer
// than retention ago, as far as every backup has the versions that need them.
func (p *Pond) Maintain(ctx context.Context, retention time.Duration) (Maintained, error) {
	var m Maintained
	err := p.compact(ctx, &m)
	if err != nil {
		return m, err
	}
	if m.Checkpoint, err = p.FS.Checkpoint(ctx); err != nil {
		return m, err
	}
	if err := p.tidy(); err != nil {
		return m, err
	}
	safe, err := p.safe(ctx)
	if err != nil {
		m.Kept = err.Error() // a backup that cannot be asked may need everything
		return m, nil
	}
	m.Safe = safe
	m.Vacuumed, err = p.FS.Vacuum(ctx, safe, retention)
	return m, err
}

func (p *Pond) compact(ctx context.Context, m *Maintained) error {
	txn, err := p.commit(ctx, "maintain: compact", func(info pondfs.Info) (deltalog.Version, error) { return p.FS.Compact(ctx, info) })
	if errors.Is(err, pondfs.ErrNoChange) || errors.Is(err, ErrReplica) {
		return nil
	}
	m.Compacted = &txn
	return err
}

// tidy removes the temporary files that killed processes left in control/.
func (p *Pond) tidy() error {
	for _, pattern := range []string{".pond-*.tmp", "*/.pond-*.tmp"} {
		names, err := fs.Glob(os.DirFS(p.control()), pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			info, err := os.Stat(p.control(name))
			if err == nil && time.Since(info.ModTime()) > time.Hour { // nobody needs one for longer than a moment
				err = os.Remove(p.control(name))
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// safe is the guard of the vacuum: the newest version that all backups have.
func (p *Pond) safe(ctx context.Context) (deltalog.Version, error) {
	safe, err := p.FS.Table().Tip(ctx)
	if err != nil {
		return 0, err
	}
	nodes, err := p.Nodes()
	if err != nil {
		return 0, err
	}
	for _, n := range nodes {
		c, err := n.Config()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", n.Path, err)
		}
		if c.Mode != remote.ModePush {
			continue
		}
		stores, err := p.Stores(ctx, n, nil)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", n.Path, err)
		}
		for _, s := range stores {
			v, err := s.SafeVersion(ctx)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", Label(s.Node, s.Name), err)
			}
			safe = min(safe, v)
		}
	}
	return safe, nil
}
