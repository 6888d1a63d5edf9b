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

// stayBelow128MiB bounds the heap: what a call holds is bounded by remote.Options.Memory,
// 64 MiB, and takes some 75 in a push of large files to S3; with a limit below that the
// collector would run all the time. The program's own pages are up to 40 MiB more. Below
// the limit it runs seldom: it took a fifth of the processor time of many small versions.
func stayBelow128MiB() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(80 << 20)
	}
}
