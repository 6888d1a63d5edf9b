package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/storagetest"
)

// gate is a store whose inside can be changed between two calls, for pushers
// that live long.
type gate struct {
	mu sync.Mutex
	to storage.Store // has all abilities
}

func (g *gate) set(to storage.Store) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = to
}

func (g *gate) get() storage.Store {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.to
}

func (g *gate) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	return g.get().Open(ctx, key, off, n)
}

func (g *gate) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return g.get().List(ctx, prefix, after)
}

func (g *gate) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	return g.get().Create(ctx, key, r, size)
}

func (g *gate) Get(ctx context.Context, key string) ([]byte, string, error) {
	return g.get().(storage.Overwriter).Get(ctx, key)
}

func (g *gate) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	return g.get().(storage.Overwriter).Put(ctx, key, b, ifMatch)
}

func (g *gate) Delete(ctx context.Context, key string) error {
	return g.get().(storage.Deleter).Delete(ctx, key)
}

// trouble is what goes wrong during one call.
type trouble struct {
	name    string
	ctx     context.Context
	store   storage.Store
	meet    func(storage.Store) storage.Store // makes another store meet it; nil: there is none
	end     func()
	excuses func(error) bool // whether the call may fail with this
	lies    bool             // what it reads has a wrong bit
}

var errInjected = errors.New("injected")

// troubleFor makes one call in three meet trouble.
func (w *World) troubleFor(ctx context.Context) *trouble {
	t := &trouble{ctx: ctx, store: w.store, end: func() {}, excuses: func(error) bool { return false }}
	n := 1 + w.rng.IntN([]int{3, 10, 40}[w.rng.IntN(3)])
	switch kind := w.rng.IntN(9); kind {
	case 0, 1:
		ctx, cancel := context.WithCancel(ctx)
		t.name = fmt.Sprintf("killed %s operation %d", []string{"before", "after"}[kind], n)
		t.ctx, t.end = ctx, cancel
		t.meet = func(s storage.Store) storage.Store {
			return &cutting{Store: s, left: int64(n), after: kind == 1, cancel: cancel}
		}
		t.excuses = func(err error) bool { return errors.Is(err, context.Canceled) }
	case 2:
		kind := []storagetest.FaultKind{storagetest.FaultBefore, storagetest.FaultAfter, storagetest.FaultMiddle}[w.rng.IntN(3)]
		plan := storagetest.FaultPlan{Kind: kind, N: n, Times: 1 + w.rng.IntN(2), Err: errInjected}
		if w.rng.IntN(20) == 0 { // costs the pause before the next attempt
			plan.Times, plan.Err = 1, storage.ErrUnavailable
		}
		t.name = fmt.Sprintf("fault %q at operation %d", kind, n)
		t.meet = func(s storage.Store) storage.Store {
			faulty, _ := storagetest.Fault(s, plan)
			return faulty
		}
		t.excuses = func(err error) bool { return errors.Is(err, errInjected) }
	}
	if t.meet != nil {
		t.store = t.meet(w.store)
		w.Counts["calls in trouble"]++
	}
	return t
}

// troubleForReader is that of calls that only read the store, which may also lie.
func (w *World) troubleForReader(ctx context.Context) *trouble {
	if w.rng.IntN(12) > 0 {
		return w.troubleFor(ctx)
	}
	w.Counts["calls in trouble"]++
	n := 1 + w.rng.IntN([]int{3, 10, 40}[w.rng.IntN(3)])
	store, _ := storagetest.Fault(w.store, storagetest.FaultPlan{Kind: storagetest.FaultFlip, N: n})
	return &trouble{
		name: fmt.Sprintf("a wrong bit in operation %d", n), lies: true,
		ctx: ctx, store: store, end: func() {}, excuses: func(err error) bool { return err != nil },
	}
}

// cutting ends a context at one operation: what the library sees of a kill that
// still lets goroutines end.
type cutting struct {
	storage.Store
	left   int64
	after  bool
	cancel func()
}

// step counts an operation, and returns what to do after it.
func (c *cutting) step() func() {
	if atomic.AddInt64(&c.left, -1) != 0 {
		return func() {}
	}
	if c.after {
		return c.cancel
	}
	c.cancel()
	return func() {}
}

func (c *cutting) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	defer c.step()()
	return c.Store.Open(ctx, key, off, n)
}

func (c *cutting) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	defer c.step()()
	return c.Store.List(ctx, prefix, after)
}

func (c *cutting) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	defer c.step()()
	return c.Store.Create(ctx, key, r, size)
}

func (c *cutting) Get(ctx context.Context, key string) ([]byte, string, error) {
	defer c.step()()
	return c.Store.(storage.Overwriter).Get(ctx, key)
}

func (c *cutting) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	defer c.step()()
	return c.Store.(storage.Overwriter).Put(ctx, key, b, ifMatch)
}

func (c *cutting) Delete(ctx context.Context, key string) error {
	defer c.step()()
	return c.Store.(storage.Deleter).Delete(ctx, key)
}
