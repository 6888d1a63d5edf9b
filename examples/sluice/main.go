// Command sluice pushes any Delta table to object storage, restores it and keeps
// replicas in step.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stayBelow128MiB()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
