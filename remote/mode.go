package remote

import (
	"context"
	"fmt"
)

// Mode is one of the things a Replicator can do for a table; [Replicator.Run]
// does what its mode says. The modes are [ModePush], [ModeInit] and [ModePull];
// a host may bring its own.
type Mode interface {
	// String is the mode's name in a config: push, init, pull.
	String() string
	// Run does one pass of the mode.
	Run(ctx context.Context, r *Replicator) (Report, error)
}

type (
	pushMode struct{}
	initMode struct{}
	pullMode struct{}
)

func (pushMode) String() string { return "push" }
func (initMode) String() string { return "init" }
func (pullMode) String() string { return "pull" }

func (pushMode) Run(ctx context.Context, r *Replicator) (Report, error) { return r.Push(ctx) }
func (initMode) Run(ctx context.Context, r *Replicator) (Report, error) { return r.Init(ctx) }
func (pullMode) Run(ctx context.Context, r *Replicator) (Report, error) { return r.Pull(ctx) }

// The modes of the library.
var (
	// ModePush copies new versions of the table into the store.
	ModePush Mode = pushMode{}
	// ModeInit rebuilds the table from the store in an empty place.
	ModeInit Mode = initMode{}
	// ModePull applies new versions of the store to a replica.
	ModePull Mode = pullMode{}
)

// ParseMode returns the library's mode of that name; "" is push.
func ParseMode(name string) (Mode, error) {
	switch name {
	case "", "push":
		return ModePush, nil
	case "init":
		return ModeInit, nil
	case "pull":
		return ModePull, nil
	}
	return nil, fmt.Errorf("unknown mode %q: push, init and pull are allowed", name)
}
