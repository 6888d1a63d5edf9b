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

// stayBelow128MiB has the garbage collector work as hard as it must and no harder: what a call
// holds is bounded by remote.Options.Memory, 64 MiB, and takes some 75 in a push of large
// files to S3; below 80 the collector would run all the time. The program's own
// pages are some 30 MiB more.
func stayBelow128MiB() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(88 << 20)
	}
}
