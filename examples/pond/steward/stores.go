package steward

import (
	"context"

	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/all"
)

// OpenStore opens the store that a configuration names.
func OpenStore(ctx context.Context, c *remote.Config) (storage.Store, error) {
	place, err := c.Storage()
	if err != nil {
		return nil, err
	}
	return storage.OpenConfig(ctx, place, all.Drivers()...)
}

// Store is one of the stores of a node: that of its configuration, or one of the
// replicas there.
type Store struct {
	Node string
	Name string // its place where the node has several stores, else ""

	place storage.Config
	*remote.Replicator
}

// Label names a store for people: by its node, and by its place where that has
// several.
func Label(node, name string) string {
	if name == "" {
		return node
	}
	return node + " " + name
}

// Stores returns the replicator of this pond for each store of a node. set, if not
// nil, changes their options.
func (p *Pond) Stores(ctx context.Context, n Node, set func(*remote.Options)) ([]Store, error) {
	c, err := n.Config()
	if err != nil {
		return nil, err
	}
	if c.Mode == remote.ModePush {
		_, stores, err := p.multi(ctx, n, c, set)
		return stores, err
	}
	place, err := c.Storage()
	if err != nil {
		return nil, err
	}
	r, err := p.Replicator(ctx, n, set)
	return []Store{{Node: n.Path, place: place, Replicator: r}}, err
}

// multi returns what pushes to all stores of a node at once, and each of them.
func (p *Pond) multi(ctx context.Context, n Node, c *remote.Config, set func(*remote.Options)) (*remote.Multi, []Store, error) {
	if err := p.checkSource(ctx, c); err != nil {
		return nil, nil, err
	}
	var stores []Store
	var targets []remote.Target
	for _, c := range append([]*remote.Config{c}, c.Replicas...) {
		place, err := c.Storage()
		if err != nil {
			return nil, nil, err
		}
		store, err := OpenStore(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		stores = append(stores, Store{Node: n.Path, Name: place.String(), place: place})
		targets = append(targets, remote.Target{Name: place.String(), Store: store})
	}
	m, err := remote.NewMulti(p.FS.Table(), targets, p.replicatorOptions(c, set))
	if err != nil {
		return nil, nil, err
	}
	i := 0
	for _, r := range m.Replicators() {
		stores[i].Replicator = r
		i++
	}
	if len(stores) == 1 {
		stores[0].Name = ""
	}
	return m, stores, nil
}
