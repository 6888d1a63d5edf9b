// Command follower is a read replica as a service: it rebuilds a table from its
// backup in an empty folder, keeps it in step from then on, and tells a load
// balancer and a monitor how it is doing.
//
//	follower -table /var/replica -store s3://my-pond-backups/prod -listen :8080
//
//	GET /healthz   200 while the replica is whole and a pass went well lately, else 503
//	GET /lag       how far it is behind, as JSON
//
// Delta engines read the folder while it follows: a version is visible whole or
// not at all.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage/all"
)

func main() {
	table := flag.String("table", "", "folder of the replica")
	store := flag.String("store", "", "URL of the store that the source pushes to")
	listen := flag.String("listen", "localhost:8080", "address to serve health and lag at")
	interval := flag.Duration("interval", 10*time.Second, "time between two looks into the store")
	flag.Parse()
	if *table == "" || *store == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		err = run(ctx, *table, *store, *interval, listener)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "follower:", err)
		os.Exit(1)
	}
}

// follower is the service.
type follower struct {
	rep      *remote.Replicator
	interval time.Duration

	mu     sync.Mutex // guards what follows
	good   time.Time  // when an init or a pull was successful last
	failed error      // of the last pass
}

// run follows and serves until ctx ends, which is no error, or one of the two
// cannot go on.
func run(ctx context.Context, table, url string, interval time.Duration, listener net.Listener) error {
	f, err := newFollower(ctx, table, url, interval)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: f.handler()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error { return errors.Join(f.rep.Follow(ctx), server.Close()) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func newFollower(ctx context.Context, table, url string, interval time.Duration) (*follower, error) {
	store, err := all.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	dir, err := deltalog.OpenDir(table)
	if err != nil {
		return nil, err
	}
	f := &follower{interval: interval}
	// Init goes on with whatever is there of this history, so a service that was
	// restarted needs to know nothing.
	f.rep, err = remote.New(dir, store, &remote.Options{
		Mode: remote.ModeInit, SwitchToPull: true, SyncInterval: interval, Observe: f.observe, Logger: slog.Default(),
	})
	return f, err
}

// observe notes how each pass went.
func (f *follower) observe(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
	return ctx, func(_ remote.Report, err error) {
		f.mu.Lock()
		if f.failed = err; err == nil {
			f.good = time.Now()
		}
		f.mu.Unlock()
	}
}

// health is nil while readers may use the replica.
func (f *follower) health() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch age := time.Since(f.good); {
	case f.good.IsZero():
		return errors.Join(errors.New("not restored yet"), f.failed)
	case age > 3*f.interval+time.Minute:
		return fmt.Errorf("out of date for %s: %w", age.Round(time.Second), f.failed)
	}
	return nil
}

func (f *follower) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := f.health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /lag", func(w http.ResponseWriter, r *http.Request) {
		st, err := f.rep.Status(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(st) // a client that went away need not be told
	})
	return mux
}
