// Command pond is a small host of sluice: a pond of files in a Delta table, with
// transactions, factories that run after each commit, backup, restore and
// replicas. README.md walks through it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
