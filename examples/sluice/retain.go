package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

func (a *app) consolidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "consolidate URL", Short: "Copy many small bundles into few packs, so that an init takes few requests", Args: cli.Between(1, 1),
		Example: "  sluice consolidate s3://my-pond-backups/prod",
		Long:    "Copies small bundles that follow each other into one object each pack, byte for byte, reads it\nback, and lets readers take the bundles from there. The bundles stay until prune removes them.",
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := a.open(cmd.Context(), "", args[0])
			if err != nil {
				return err
			}
			done, err := rep.Consolidate(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(done)
			}
			_, err = fmt.Fprintf(a.out, "%s (%s) copied into %s\n", cli.Count(done.Bundles, "bundle"), cli.Bytes(done.Bytes), cli.Count(done.Packs, "pack"))
			return err
		},
	}
	return a.storeFlag(cmd, 0)
}

func (a *app) pruneCommand() *cobra.Command {
	var opts remote.PruneOptions
	var days float64
	cmd := &cobra.Command{
		Use: "prune URL", Short: "Give up old versions, and remove what no promised version needs", Args: cli.Between(1, 1),
		Long: `Settles on a floor: the newest base that is not above what --keep-versions and
--keep-days keep (of both, the one that keeps more). Nothing below it is promised from then
on. What no promised and no pinned version needs is removed by a later prune, when the
grace period is over; until then the floor can be taken back: delete backups/floor-N.json.
Without --delete it only tells what it would do.`,
		Example: "  sluice prune s3://my-pond-backups/prod --keep-days 90           # look\n  sluice prune s3://my-pond-backups/prod --keep-days 90 --delete  # and do it, every night",
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 0 || opts.KeepVersions < 0 {
				return fmt.Errorf("%w: --keep-days and --keep-versions must not be negative", cli.ErrUsage)
			}
			if opts.Grace < 0 {
				return fmt.Errorf("%w: --grace %s must not be negative", cli.ErrUsage, opts.Grace)
			}
			opts.KeepAge = time.Duration(days * float64(24*time.Hour))
			if cmd.Flags().Changed("grace") && opts.Grace == 0 {
				opts.Grace = -1
			}
			rep, err := a.open(cmd.Context(), "", args[0])
			if err != nil {
				return err
			}
			done, err := rep.Prune(cmd.Context(), opts)
			if err != nil {
				return err
			}
			if a.json {
				done.Keys = append([]string{}, done.Keys...) // [] in JSON, where there is none
				return a.printJSON(done)
			}
			return a.printPruned(done, opts)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&opts.KeepVersions, "keep-versions", 0, "keep at least so many of the newest versions")
	flags.Float64Var(&days, "keep-days", 0, "keep what was the newest version at any time of so many days")
	flags.DurationVar(&opts.Grace, "grace", 24*time.Hour, "how long objects stay after they were given up; 0: not at all")
	flags.BoolVar(&opts.Delete, "delete", false, "do it, instead of telling what would be done")
	return a.storeFlag(cmd, 0)
}

func (a *app) printPruned(done remote.Pruned, opts remote.PruneOptions) error {
	verb := "would remove"
	if opts.Delete {
		verb = "removed"
	}
	for _, key := range done.Keys {
		if _, err := fmt.Fprintln(a.out, verb, key); err != nil {
			return err
		}
	}
	floor := "everything is kept, since no base (sluice base takes one) is as old as what must stay"
	switch {
	case done.Floor != nil:
		floor = fmt.Sprintf("kept from version %d on", *done.Floor)
	case opts.KeepVersions == 0 && opts.KeepAge == 0:
		floor = "everything is kept without --keep-days and --keep-versions"
	}
	_, err := fmt.Fprintf(a.out, "%s; %s %d objects (%d bytes); %d wait for the grace period\n", floor, verb, len(done.Keys), done.Bytes, done.Waiting)
	if err == nil && opts.Delete && done.NewFloor && done.Waiting > 0 {
		_, err = fmt.Fprintf(a.out, "to take this back, delete backups/floor-%06d.json before a prune that comes after the grace period has removed what is below\n", int64(*done.Floor))
	}
	return err
}

func (a *app) pinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pin URL [NAME VERSION]", Short: "Keep a version whatever prune gives up, or list the pins", Args: cli.Between(1, 3),
		Example: "  sluice pin s3://my-pond-backups/prod audit-2026 1234\n  sluice pin s3://my-pond-backups/prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := a.open(cmd.Context(), "", args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.printPins(cmd, rep)
			}
			if len(args) == 2 {
				return fmt.Errorf("%w: a pin has a name and a version: sluice pin URL NAME VERSION", cli.ErrUsage)
			}
			v, err := strconv.ParseInt(args[2], 10, 64)
			if err != nil || v < 0 {
				return fmt.Errorf("%w: %q is no version", cli.ErrUsage, args[2])
			}
			pin := remote.Pin{Name: args[1], Version: deltalog.Version(v)}
			if err := rep.Pin(cmd.Context(), pin.Name, pin.Version); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(pin)
			}
			_, err = fmt.Fprintf(a.out, "version %d is kept as %s\n", pin.Version, pin.Name)
			return err
		},
	}
	return a.storeFlag(cmd, 0)
}

func (a *app) printPins(cmd *cobra.Command, rep *remote.Replicator) error {
	for pin, err := range rep.Pins(cmd.Context()) {
		switch {
		case err != nil:
		case a.json:
			err = a.printJSON(pin)
		default:
			_, err = fmt.Fprintf(a.out, "%d\t%s\n", pin.Version, pin.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) unpinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "unpin URL NAME", Short: "Remove a pin", Args: cli.Between(2, 2),
		Example: "  sluice unpin s3://my-pond-backups/prod audit-2026",
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := a.open(cmd.Context(), "", args[0])
			if err != nil {
				return err
			}
			if err := rep.Unpin(cmd.Context(), args[1]); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"unpinned": args[1]})
			}
			_, err = fmt.Fprintf(a.out, "there is no pin %s any more\n", args[1])
			return err
		},
	}
	return a.storeFlag(cmd, 0)
}

func (a *app) repairCommand() *cobra.Command {
	remove := false
	cmd := &cobra.Command{
		Use: "repair TABLE URL", Short: "Show what pushes left above the end of the store, and with --delete remove what is in the way", Args: cli.Between(2, 2),
		Example: "  sluice repair /var/pond/data s3://my-pond-backups/prod\n  sluice repair /var/pond/data s3://my-pond-backups/prod --delete",
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := a.open(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			found, err := rep.Repair(cmd.Context(), remove)
			if a.json {
				if perr := a.printJSON(append([]remote.Leftover{}, found...)); err == nil {
					err = perr
				}
				return err
			}
			if len(found) == 0 && err == nil {
				_, err = fmt.Fprintln(a.out, "nothing is in the way")
			}
			for _, left := range found {
				if _, perr := fmt.Fprintln(a.out, leftoverText(left)); err == nil {
					err = perr
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&remove, "delete", false, "remove what is in the way of the next push")
	return a.storeFlag(cmd, 1)
}

func leftoverText(left remote.Leftover) string {
	what := "of this table's history, or of versions that it does not have: kept"
	switch {
	case left.Removed:
		what = string(left.InTheWay) + ": removed"
	case left.InTheWay != "":
		what = string(left.InTheWay)
	}
	return fmt.Sprintf("%s\tversions %d to %d, %s", left.Key, left.First, left.Last, what)
}
