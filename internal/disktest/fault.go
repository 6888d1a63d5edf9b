package disktest

import (
	"io/fs"
	"sync/atomic"
	"syscall"

	"github.com/pondworks/sluice/internal/atomicfile"
)

// Kind says how a disk fails.
type Kind string

const (
	// Before fails the step, once, and it has no effect (EIO).
	Before Kind = "error"
	// After lets it take effect and fails it nevertheless, once (EIO).
	After Kind = "error afterwards"
	// Short writes the first half of what is to be written, then the disk is full,
	// once (ENOSPC). Only writes count as steps.
	Short Kind = "short write"
	// Full fails the step and all after it that need room: writes, new files,
	// folders and names (ENOSPC). Only these count as steps.
	Full Kind = "disk full"
	// ReadOnly fails the step and all that change anything after it (EROFS), as
	// file systems do after an error of their own.
	ReadOnly Kind = "read-only"
)

// Kinds are all kinds.
var Kinds = []Kind{Before, After, Short, Full, ReadOnly}

// Plan says which step below a folder fails, and how.
type Plan struct {
	Folder string // absolute
	Kind   Kind
	N      int64 // from 1 on, in the order in which steps begin; 0 fails none
}

// Faults tells what came of a plan.
type Faults struct {
	plan         Plan
	begun, fired atomic.Int64
	stop         func()
}

// Inject makes the disk fail as planned, until Stop.
func Inject(plan Plan) *Faults {
	f := &Faults{plan: plan}
	f.stop = atomicfile.Intercept(f.step)
	return f
}

// Stop ends the faults.
func (f *Faults) Stop() { f.stop() }

// Steps returns how many steps that count began.
func (f *Faults) Steps() int64 { return f.begun.Load() }

// Fired returns how many steps failed. A test that goes through N = 1, 2, 3 ... is
// finished when none did.
func (f *Faults) Fired() int64 { return f.fired.Load() }

func (f *Faults) step(s *atomicfile.Step, do func() error) error {
	if !below(f.plan.Folder, s.Path()) || !f.counts(s) {
		return do()
	}
	n := f.begun.Add(1)
	once := f.plan.Kind != Full && f.plan.Kind != ReadOnly
	if f.plan.N == 0 || n < f.plan.N || once && n > f.plan.N {
		return do()
	}
	f.fired.Add(1)
	errno := syscall.EIO
	switch f.plan.Kind {
	case After:
		if err := do(); err != nil {
			return err
		}
	case Short:
		errno = syscall.ENOSPC
		s.Data = s.Data[:len(s.Data)/2]
		if err := do(); err != nil {
			return err
		}
	case Full:
		errno = syscall.ENOSPC
	case ReadOnly:
		errno = syscall.EROFS
	}
	return &fs.PathError{Op: s.Do + ", injected", Path: s.Path(), Err: errno}
}

func (f *Faults) counts(s *atomicfile.Step) bool {
	switch s.Do {
	case atomicfile.StepWrite:
		return true
	case atomicfile.StepMkdir, atomicfile.StepCreate, atomicfile.StepUnnamed, atomicfile.StepRename, atomicfile.StepMove, atomicfile.StepLink:
		return f.plan.Kind != Short
	case atomicfile.StepSync, atomicfile.StepSyncDir, atomicfile.StepSyncAll:
		return f.plan.Kind == Before || f.plan.Kind == After // a disk that takes no more has nothing left to write
	}
	return f.plan.Kind != Short && f.plan.Kind != Full
}
