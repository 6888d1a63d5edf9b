package storagetest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/pondworks/sluice/storage"
)

// FaultKind says what goes wrong with an operation.
type FaultKind string

const (
	// FaultBefore fails the operation before it has any effect.
	FaultBefore FaultKind = "before"
	// FaultAfter lets it take effect and then fails it, as when the reply is
	// lost. What only reads has no effect and simply fails.
	FaultAfter FaultKind = "lost reply"
	// FaultMiddle breaks it half-way: the stream of Open in the middle of its
	// first Read, Create in the middle of its source (so that nothing is stored),
	// List after its first key. The others fail like FaultBefore.
	FaultMiddle FaultKind = "cut"
	// FaultFlip changes one bit of what Open, Get, Create or Put move, and
	// nobody is told. Operations that move no content are not counted.
	FaultFlip FaultKind = "flipped bit"
	// FaultThrottle is FaultBefore as a service does it that wants less traffic:
	// of RandomFaults several operations in a row meet it.
	FaultThrottle FaultKind = "slow down"
)

// FaultPlan says which operation of a store fails, and how.
type FaultPlan struct {
	Kind FaultKind
	// N is the operation that fails, from 1 on in the order in which they begin;
	// 0 fails none. Each call of a method is one operation; a List is one each time
	// that it is ranged over.
	N int
	// Times is how many operations in a row fail, as a service that throttles
	// does. Default 1.
	Times int
	// Err is what the failed operations return, wrapped. Default
	// storage.ErrUnavailable, the class that is tried again.
	Err error
}

// Faults tells what came of a plan. It may be used by many goroutines at once.
type Faults struct {
	plan  FaultPlan
	mix   *mixer // in place of the plan's N and Kind; nil: they count
	begun atomic.Int64

	mu    sync.Mutex // guards fired
	fired map[FaultKind]int
}

// Reached reports whether the plan's operation N began. A test that goes
// through N = 1, 2, 3 ... is finished when it did not.
func (f *Faults) Reached() bool { return f.plan.N > 0 && f.begun.Load() >= int64(f.plan.N) }

// Begun returns how many operations there were that could be harmed.
func (f *Faults) Begun() int { return int(f.begun.Load()) }

// Fired returns how many operations were harmed. It can be less than planned:
// an empty object has no bit to flip. A test whose faults never fired tests nothing.
func (f *Faults) Fired() int {
	n := 0
	for _, of := range f.FiredKinds() {
		n += of
	}
	return n
}

// FiredKinds returns how many operations were harmed in which way.
func (f *Faults) FiredKinds() map[FaultKind]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.fired)
}

// End ends RandomFaults: everything goes well from now on. A FaultPlan has an end of its
// own, which this does not change.
func (f *Faults) End() {
	if f.mix != nil {
		f.mix.end()
	}
}

// Fault returns s with the faults of plan and with the optional abilities that
// s has. Beneath storage.Retry each attempt is an operation of its own.
//
//	for n := 1; ; n++ {
//		faulty, faults := storagetest.Fault(store, storagetest.FaultPlan{Kind: kind, N: n})
//		... // run, look at both sides, run again on store
//		if !faults.Reached() {
//			break
//		}
//	}
func Fault(s storage.Store, plan FaultPlan) (storage.Store, *Faults) {
	plan.Times = max(plan.Times, 1)
	if plan.Err == nil {
		plan.Err = storage.ErrUnavailable
	}
	f := &Faults{plan: plan}
	return f.around(s), f
}

// around returns s with the faults and with the optional abilities that it has.
func (f *Faults) around(s storage.Store) storage.Store {
	d, _ := s.(storage.Deleter)
	if d != nil {
		d = faultDeleter{d, f}
	}
	o, _ := s.(storage.Overwriter)
	if o != nil {
		o = faultOverwriter{o, f}
	}
	return storage.Compose(faultStore{s, f}, d, o)
}

// moves says which way the content of an operation goes.
type moves int

const (
	nothing moves = iota
	up
	down
)

// begin counts an operation and returns what is to go wrong with it, "" for nothing.
func (f *Faults) begin(content moves) FaultKind {
	if f.mix != nil {
		f.begun.Add(1)
		return f.count(f.mix.pick(content))
	}
	if f.plan.Kind == FaultFlip && content == nothing {
		return ""
	}
	n := f.begun.Add(1)
	first := int64(f.plan.N)
	if first <= 0 || n < first || n >= first+int64(f.plan.Times) {
		return ""
	}
	return f.count(f.plan.Kind)
}

// count counts a fault as fired; a flip has fired only when there was a bit.
func (f *Faults) count(kind FaultKind) FaultKind {
	if kind != "" && kind != FaultFlip {
		f.fire(kind)
	}
	return kind
}

func (f *Faults) fire(kind FaultKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fired == nil {
		f.fired = map[FaultKind]int{}
	}
	f.fired[kind]++
}

func (f *Faults) err(kind FaultKind, op, key string) error {
	return fmt.Errorf("%s %s: fault %q injected: %w", op, key, kind, f.plan.Err)
}

// flip changes one bit of b, if it has any.
func (f *Faults) flip(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	f.fire(FaultFlip)
	at, bit := len(b)/2, 4
	if f.mix != nil {
		at, bit = f.mix.place(len(b))
	}
	b[at] ^= 1 << bit
	return true
}

type faultStore struct {
	store storage.Store
	f     *Faults
}

func (s faultStore) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	switch kind := s.f.begin(up); kind {
	case FaultBefore, FaultThrottle:
		return s.f.err(kind, "create", key)
	case FaultMiddle:
		err := s.f.err(kind, "create", key)
		// The store fails with its source; what the caller sees is the fault.
		if stored := s.store.Create(ctx, key, &cutReader{r: r, err: err}, size); stored == nil {
			return fmt.Errorf("%w, and stored nevertheless", err)
		}
		return err
	case FaultFlip:
		return s.store.Create(ctx, key, &flipReader{r: r, f: s.f}, size)
	case FaultAfter:
		if err := s.store.Create(ctx, key, r, size); err != nil {
			return err
		}
		return s.f.err(kind, "create", key)
	}
	return s.store.Create(ctx, key, r, size)
}

func (s faultStore) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	kind := s.f.begin(down)
	if kind == FaultBefore || kind == FaultAfter || kind == FaultThrottle {
		return nil, s.f.err(kind, "open", key)
	}
	r, err := s.store.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	var harmed io.Reader = r
	switch kind {
	case FaultMiddle:
		harmed = &cutReader{r: r, err: s.f.err(kind, "read", key)}
	case FaultFlip:
		harmed = &flipReader{r: r, f: s.f}
	}
	return struct {
		io.Reader
		io.Closer
	}{harmed, r}, nil
}

func (s faultStore) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		kind := s.f.begin(nothing)
		if kind == "" {
			s.store.List(ctx, prefix, after)(yield)
			return
		}
		if kind == FaultMiddle {
			for info, err := range s.store.List(ctx, prefix, after) {
				if !yield(info, err) || err != nil {
					return
				}
				break
			}
		}
		yield(storage.Info{}, s.f.err(kind, "list", prefix))
	}
}

type faultDeleter struct {
	deleter storage.Deleter
	f       *Faults
}

func (d faultDeleter) Delete(ctx context.Context, key string) error {
	switch kind := d.f.begin(nothing); kind {
	case FaultBefore, FaultMiddle, FaultThrottle:
		return d.f.err(kind, "delete", key)
	case FaultAfter:
		if err := d.deleter.Delete(ctx, key); err != nil {
			return err
		}
		return d.f.err(kind, "delete", key)
	}
	return d.deleter.Delete(ctx, key)
}
