package remote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Target is one of the stores that a Multi pushes to.
type Target struct {
	// Name is for reports, errors and logs; none is empty and no two are the same, nor are
	// their stores.
	Name  string
	Store storage.Reader
	// Observe, if set, takes the place of Options.Observe for this store.
	Observe ObserveFunc
}

// Multi pushes one table to several stores. Each store has its own Replicator, with
// its own position, gaps and bases; one that is down delays no other, and catches up
// when it is back. What several lack is read and packed once for all of them. Stores
// that are new get the same lineage, that of those which exist if there are any: to find
// out, the first store that is made waits for the others to answer, 5 seconds at most.
type Multi struct {
	names   []string
	members []*Replicator
	group   *group // nil where there is but one
}

// TargetReport is what one store came to.
type TargetReport struct {
	Name   string `json:"name"`
	Report Report `json:"report"`
	Err    error  `json:"-"`
}

// spoolBytes bounds the temporary files in which large bundles are kept for stores
// that are slower than others.
const spoolBytes = 1 << 30

// NewMulti returns a Multi of a table and its stores, at least one. opts are as for
// New, and Mode must be ModePush; its hooks are called for several stores at once, but
// Progress, which gets the sums over all stores, never twice at the same time.
// Options.Memory is that of all stores together; larger bundles that are kept for other stores lie in temporary files, 1
// GiB at most, and are packed again where that does not suffice.
func NewMulti(table LogReader, targets []Target, opts *Options) (*Multi, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Mode != nil && o.Mode != ModePush {
		return nil, fmt.Errorf("remote: several stores can only be pushed to, not %s", o.Mode)
	}
	if table == nil || len(targets) == 0 {
		return nil, errors.New("remote: a table and at least one store are required")
	}
	if err := o.fill(); err != nil { // once, so that all have the same Codec and Writer
		return nil, fmt.Errorf("remote: %w", err)
	}
	m, sum := &Multi{}, &progressSum{of: make([]Progress, len(targets)), show: o.Progress}
	var g *group
	if len(targets) > 1 {
		o.Memory = max(1, o.Memory/int64(len(targets)+1))
		g = &group{lineage: newLineage(), memory: o.Memory, disk: spoolBytes}
	}
	for i, target := range targets {
		if err := checkTarget(target, targets[:i]); err != nil {
			return nil, err
		}
		own := o
		own.Logger = o.Logger.With(logStore, target.Name)
		if target.Observe != nil {
			own.Observe = target.Observe
		}
		if sum.show != nil {
			own.Progress = func(p Progress) { sum.set(i, p) }
		}
		r, err := New(table, target.Store, &own)
		if err != nil {
			return nil, err
		}
		r.group = g
		m.names, m.members = append(m.names, target.Name), append(m.members, r)
	}
	if g != nil {
		g.members, m.group = m.members, g
	}
	return m, nil
}

// checkTarget makes sure that a target is another one than those before it: two copies in one
// place are one.
func checkTarget(target Target, before []Target) error {
	if target.Name == "" {
		return errors.New("remote: a store has no name")
	}
	for _, other := range before {
		if other.Name == target.Name {
			return fmt.Errorf("remote: two stores are named %q", target.Name)
		}
		if isSameStore(target.Store, other.Store) {
			return fmt.Errorf("remote: %q and %q are one store", other.Name, target.Name)
		}
	}
	return nil
}

// isSameStore reports whether two stores are known to be one: the same value, or folders of one path.
func isSameStore(a, b storage.Reader) bool {
	in, isFolder := a.(*storage.Dir)
	other, isOther := b.(*storage.Dir)
	if isFolder && isOther {
		return in.Folder() == other.Folder()
	}
	return a != nil && reflect.ValueOf(a).Comparable() && a == b
}

// Replicators yields the Replicator of each store by its name, for Status, Lag, Base
// and the like. A Push of one of them leaves the others alone.
func (m *Multi) Replicators() iter.Seq2[string, *Replicator] {
	return func(yield func(string, *Replicator) bool) {
		for i, r := range m.members {
			if !yield(m.names[i], r) {
				return
			}
		}
	}
}

// Push pushes to all stores at once and returns when each has what it lacked or
// has failed: a report for each, in the order of NewMulti, and the errors of those that
// failed, joined. It says nothing about the commit, and the next Push goes on from
// there.
func (m *Multi) Push(ctx context.Context) ([]TargetReport, error) {
	reports := make([]TargetReport, len(m.members))
	errs := make([]error, len(m.members))
	m.each(func(i int, r *Replicator) {
		report, err := r.Push(ctx)
		reports[i], errs[i] = TargetReport{m.names[i], report, err}, m.named(i, err)
	})
	return reports, errors.Join(errs...)
}

// each calls f for all at once and waits for them.
func (m *Multi) each(f func(i int, r *Replicator)) {
	if m.group != nil {
		defer m.group.hold()()
	}
	var running sync.WaitGroup
	for i, r := range m.members {
		running.Go(func() { f(i, r) })
	}
	running.Wait()
}

func (m *Multi) named(i int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store %s: %w", m.names[i], err)
}

// SafeVersion returns the newest version that is safe in all stores, as Replicator.SafeVersion
// tells it of each: ask before a VACUUM or a cleanup of the log, for what a store has not got yet
// it will want from the table. Where one cannot tell, it returns the errors of those, joined, and
// nothing is safe.
func (m *Multi) SafeVersion(ctx context.Context) (deltalog.Version, error) {
	versions, errs := make([]deltalog.Version, len(m.members)), make([]error, len(m.members))
	m.each(func(i int, r *Replicator) {
		v, err := r.SafeVersion(ctx)
		versions[i], errs[i] = v, m.named(i, err)
	})
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return slices.Min(versions), nil
}

// Follow keeps every store in step with the table, each as Replicator.Follow does
// for one. A store whose error waiting cannot mend is given up, which is logged, and the
// others go on. It returns when ctx has ended or all were given up: the errors
// of all, joined.
func (m *Multi) Follow(ctx context.Context) error {
	errs := make([]error, len(m.members))
	m.each(func(i int, r *Replicator) {
		err := r.Follow(ctx)
		if ctx.Err() == nil {
			r.log.Error("given up, the other stores go on", logError, err)
		}
		errs[i] = m.named(i, err)
	})
	return errors.Join(errs...)
}

// Notify tells a running Follow that the host has committed. It never blocks.
func (m *Multi) Notify() {
	for _, r := range m.members {
		r.Notify()
	}
}

// WaitFor returns nil once version v is durable in k of the stores, as
// Replicator.WaitFor does for one: a running Follow is woken, without one passes are
// run here, and those that are then not needed any more are cut off, so with k below
// the number of stores a Follow should run, lest a slow store never gets on.
//
// A store that a Follow keeps trying may yet come back, so it is waited for until ctx
// ends: how long that pays only the caller knows. If no more than k-1 stores can get
// there, for the errors of the others are not tried again, it returns at once. The
// error says how many have the version, and of each store that lacks it what went wrong
// there last; errors.Is finds all of it.
func (m *Multi) WaitFor(ctx context.Context, v deltalog.Version, k int) error {
	n := len(m.members)
	if k < 1 || k > n {
		return opError("wait", fmt.Errorf("for %d stores, of which there are %d", k, n))
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex // guards what follows
	there, lost, errs := 0, 0, make([]error, n)
	m.each(func(i int, r *Replicator) {
		err := r.WaitFor(waiting, v)
		mu.Lock()
		defer mu.Unlock()
		switch cut := waiting.Err() != nil && ctx.Err() == nil; {
		case err == nil:
			there++
		case cut && errors.Is(err, context.Canceled): // by this call, so that says nothing
			errs[i] = m.named(i, r.sync.now().failed)
		default:
			lost++
			errs[i] = m.named(i, err)
		}
		if there >= k || lost > n-k {
			cancel()
		}
	})
	if there >= k {
		return nil
	}
	return fmt.Errorf("version %d is in %d of %d stores, %d were wanted: %w", int64(v), there, n, k, errors.Join(errs...))
}
