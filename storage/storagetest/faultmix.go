package storagetest

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/pondworks/sluice/storage"
)

// FaultMix says how much of what a store is asked goes wrong at random.
type FaultMix struct {
	// Seed decides what goes wrong, in the order in which operations begin;
	// goroutines that ask at once may come in another order the next time.
	Seed uint64
	// Share of the operations that fail, from 0 to 1. Those that a FaultThrottle
	// takes along come on top.
	Share float64
	// Kinds that occur, all equally often. Default: all. FaultFlip harms only what is
	// read: a bit that flips on its way up is for the service to notice, which
	// compares a digest.
	Kinds []FaultKind
}

// RandomFaults returns s with the faults of mix, all of class
// storage.ErrUnavailable, and with the optional abilities that s has. A
// FaultThrottle lasts for 1 to 8 operations, which is longer than storage.Retry tries.
func RandomFaults(s storage.Store, mix FaultMix) (storage.Store, *Faults) {
	m := &mixer{kinds: slices.Clone(mix.Kinds), share: mix.Share, rng: rand.New(rand.NewPCG(mix.Seed, 0xfa17))}
	if len(m.kinds) == 0 {
		m.kinds = []FaultKind{FaultBefore, FaultAfter, FaultMiddle, FaultFlip, FaultThrottle}
	}
	f := &Faults{plan: FaultPlan{Err: storage.ErrUnavailable}, mix: m}
	return f.around(s), f
}

// mixer chooses what goes wrong.
type mixer struct {
	kinds []FaultKind
	share float64

	mu        sync.Mutex // guards what follows
	rng       *rand.Rand
	throttled int // operations to come that are
	ended     bool
}

// pick chooses for one operation, "" for nothing.
func (m *mixer) pick(content moves) FaultKind {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended:
		return ""
	case m.throttled > 0:
		m.throttled--
		return FaultThrottle
	case m.rng.Float64() >= m.share:
		return ""
	}
	kind := m.kinds[m.rng.IntN(len(m.kinds))]
	for kind == FaultFlip && content != down && len(m.kinds) > 1 {
		kind = m.kinds[m.rng.IntN(len(m.kinds))]
	}
	switch {
	case kind == FaultFlip && content != down:
		return ""
	case kind == FaultThrottle:
		m.throttled = m.rng.IntN(8)
	}
	return kind
}

// place chooses one bit of n bytes.
func (m *mixer) place(n int) (at, bit int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(n), m.rng.IntN(8)
}

func (m *mixer) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
}
