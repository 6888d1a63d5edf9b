// Command sluice pushes any Delta table to object storage, restores it and keeps
// replicas in step.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	stayBelow128MiB()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// stayBelow128MiB has the garbage collector work as hard as it must: the program's own
// pages are some 45 MiB, and what a call holds is bounded by remote.Options.Memory.
func stayBelow128MiB() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(72 << 20)
	}
}
