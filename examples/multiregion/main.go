// Command multiregion keeps a table in the stores of several regions. A version counts as safe
// once so many have it; a region that is away delays nothing and catches up when it is back.
//
//	multiregion -table /var/pond/data -quorum 2 us=s3://us-ponds us2=s3://us2-ponds eu=gs://eu-ponds
//	multiregion -table /var/restored -restore   us=s3://us-ponds us2=s3://us2-ponds eu=gs://eu-ponds
//
// The second line is for the day when a region is gone: it restores from the fullest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage/all"
)

func main() {
	table := flag.String("table", "", "folder of the table")
	quorum := flag.Int("quorum", 1, "in how many regions a version is safe")
	back := flag.Bool("restore", false, "restore the table from the region that has the most")
	flag.Parse()
	if *table == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *table, *quorum, *back, flag.Args(), os.Stdout)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "multiregion:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, table string, quorum int, back bool, regions []string, out io.Writer) error {
	dir, err := deltalog.OpenDir(table)
	if err != nil {
		return err
	}
	targets, err := open(ctx, regions)
	if err != nil {
		return err
	}
	if back {
		return restore(ctx, dir, targets, out)
	}
	if quorum < 1 || quorum > len(targets) {
		return fmt.Errorf("-quorum %d: there are %d regions", quorum, len(targets))
	}
	return watch(ctx, dir, targets, quorum, time.Second, out)
}

// open opens the stores of "name=URL"s.
func open(ctx context.Context, regions []string) (targets []remote.Target, err error) {
	for _, region := range regions {
		name, url, found := strings.Cut(region, "=")
		if !found {
			return nil, fmt.Errorf("%q is no NAME=URL", region)
		}
		store, err := all.Open(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("region %s: %w", name, err)
		}
		targets = append(targets, remote.Target{Name: name, Store: store})
	}
	return targets, nil
}

// watch pushes each version that appears in the table, whoever commits it, and tells
// when it is safe. A host that commits by itself calls Notify and WaitFor in its
// post-commit hook, and needs no ticker.
func watch(ctx context.Context, dir *deltalog.Dir, targets []remote.Target, quorum int, interval time.Duration, out io.Writer) error {
	multi, err := remote.NewMulti(dir, targets, nil)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return multi.Follow(ctx) })
	group.Go(func() error {
		look := time.NewTicker(interval)
		defer look.Stop()
		for last := deltalog.Version(-1); ; {
			tip, err := dir.Tip(ctx)
			if err != nil && !errors.Is(err, deltalog.ErrNoTable) {
				return err
			}
			if err == nil && tip > last {
				multi.Notify()
				// A Follow goes on trying, so how long to wait for it is ours to say.
				patient, cancel := context.WithTimeout(ctx, interval)
				err := multi.WaitFor(patient, tip, quorum)
				cancel()
				if err == nil {
					last = tip
					fmt.Fprintf(out, "version %d is safe: %d of %d regions have it\n", tip, quorum, len(targets))
				} else if ctx.Err() == nil {
					fmt.Fprintf(out, "version %d is not safe yet: %v\n", tip, err)
				}
			}
			select {
			case <-look.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return group.Wait()
}

// restore makes the table from the region with the newest version. Regions that
// cannot be asked are told and left out.
func restore(ctx context.Context, dir *deltalog.Dir, targets []remote.Target, out io.Writer) error {
	var best *remote.Replicator
	newest := deltalog.Version(-1)
	for _, t := range targets {
		rep, err := remote.New(dir, t.Store, nil)
		if err != nil {
			return err
		}
		st, err := rep.Status(ctx)
		switch {
		case err != nil:
			fmt.Fprintf(out, "region %s: %v\n", t.Name, err)
		case st.Store != nil:
			fmt.Fprintf(out, "region %s has version %d\n", t.Name, *st.Store)
			if *st.Store > newest {
				best, newest = rep, *st.Store
			}
		}
	}
	if best == nil {
		return errors.New("no region has anything")
	}
	report, err := best.Init(ctx)
	fmt.Fprintf(out, "restored versions %d to %d\n", report.First, report.Last)
	return err
}
