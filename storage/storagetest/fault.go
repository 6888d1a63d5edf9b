package storagetest

import (
	"context"
	"fmt"
	"io"
	"iter"
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
	plan         FaultPlan
	begun, fired atomic.Int64
}

// Reached reports whether the plan's operation N began. A test that goes
// through N = 1, 2, 3 ... is finished when it did not.
func (f *Faults) Reached() bool { return f.plan.N > 0 && f.begun.Load() >= int64(f.plan.N) }

// Fired returns how many operations were harmed. It can be less than planned:
// an empty object has no bit to flip. A test whose faults never fired tests nothing.
func (f *Faults) Fired() int { return int(f.fired.Load()) }

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
	d, _ := s.(storage.Deleter)
	if d != nil {
		d = faultDeleter{d, f}
	}
	o, _ := s.(storage.Overwriter)
	if o != nil {
		o = faultOverwriter{o, f}
	}
	return storage.Compose(faultStore{s, f}, d, o), f
}

// begin counts an operation that moves content, or does not, and returns what
// is to go wrong with it, "" for nothing.
func (f *Faults) begin(content bool) FaultKind {
	if f.plan.Kind == FaultFlip && !content {
		return ""
	}
	n := f.begun.Add(1)
	first := int64(f.plan.N)
	if first <= 0 || n < first || n >= first+int64(f.plan.Times) {
		return ""
	}
	if f.plan.Kind != FaultFlip {
		f.fired.Add(1) // a flip has fired when there was a bit
	}
	return f.plan.Kind
}

func (f *Faults) err(op, key string) error {
	return fmt.Errorf("%s %s: fault %q injected: %w", op, key, f.plan.Kind, f.plan.Err)
}

// flip changes one bit of b, if it has any.
func (f *Faults) flip(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	f.fired.Add(1)
	b[len(b)/2] ^= 0x10
	return true
}

type faultStore struct {
	store storage.Store
	f     *Faults
}

func (s faultStore) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	switch s.f.begin(true) {
	case FaultBefore:
		return s.f.err("create", key)
	case FaultMiddle:
		err := s.f.err("create", key)
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
		return s.f.err("create", key)
	}
	return s.store.Create(ctx, key, r, size)
}

func (s faultStore) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	kind := s.f.begin(true)
	if kind == FaultBefore || kind == FaultAfter {
		return nil, s.f.err("open", key)
	}
	r, err := s.store.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	var harmed io.Reader = r
	switch kind {
	case FaultMiddle:
		harmed = &cutReader{r: r, err: s.f.err("read", key)}
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
		kind := s.f.begin(false)
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
		yield(storage.Info{}, s.f.err("list", prefix))
	}
}

type faultDeleter struct {
	deleter storage.Deleter
	f       *Faults
}

func (d faultDeleter) Delete(ctx context.Context, key string) error {
	switch d.f.begin(false) {
	case FaultBefore, FaultMiddle:
		return d.f.err("delete", key)
	case FaultAfter:
		if err := d.deleter.Delete(ctx, key); err != nil {
			return err
		}
		return d.f.err("delete", key)
	}
	return d.deleter.Delete(ctx, key)
}
