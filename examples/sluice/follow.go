package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

// following is what the flags of follow say.
type following struct {
	mode     string // "" if not given
	interval time.Duration
}

func (a *app) followCommand() *cobra.Command {
	var f following
	cmd := &cobra.Command{
		Use: "follow TABLE URL", Short: "Keep TABLE and the store in step until interrupted",
		Long: `Keep TABLE and the store in step until interrupted: look for what is new every
interval, one line for each change. With --mode init an empty TABLE is rebuilt first and
then pulls. Failures are retried ever more rarely, up to once a minute; what only a
person can mend (diverged histories, say) ends the command with its exit code. With
--config FILE instead of URL, mode and interval are those of the file unless flags say
otherwise, and a push goes to all its replicas: then a store that only a person can mend
is left alone, and the command ends when there is no other.`,
		Example: `  sluice follow /var/pond/data s3://my-pond-backups/prod --interval 10s
  sluice follow /var/pond/data --config pond.yaml
  sluice follow /var/replica s3://my-pond-backups/prod --mode init`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.interval <= 0 && cmd.Flags().Changed("interval") {
				return fmt.Errorf("%w: --interval %s must be positive", cli.ErrUsage, f.interval)
			}
			return a.follow(cmd.Context(), args, f)
		},
	}
	cmd.Flags().StringVar(&f.mode, "mode", "", "push, pull, or init and then pull (default push)")
	cmd.Flags().DurationVar(&f.interval, "interval", 0, "look for what is new this often (default 1m)")
	a.configFlag(cmd)
	a.pushFlags(cmd)
	a.restoreFlags(cmd)
	return cmd
}

func (a *app) follow(ctx context.Context, args []string, f following) error {
	o, err := a.openAll(ctx, args, f.options)
	if err != nil {
		return err
	}
	a.bar.Finish() // waiting takes as long as it takes
	for i := range o.targets {
		o.targets[i].Observe = a.printChanges(o.label(o.targets[i].Name))
	}
	if o.opts.Mode == remote.ModePush {
		m, err := o.multi()
		if err != nil {
			return err
		}
		return unlessInterrupted(m.Follow(ctx))
	}
	o.opts.Observe = o.targets[0].Observe
	rep, err := remote.New(o.table, o.targets[0].Store, o.opts)
	if err != nil {
		return err
	}
	return unlessInterrupted(rep.Follow(ctx))
}

// options puts together what the configuration says and what the flags do.
func (f following) options(o *remote.Options, c *remote.Config) error {
	o.Mode, o.SyncInterval, o.SourceID, o.SwitchToPull = c.Mode, c.SyncInterval, c.SourcePondID, true
	if f.interval > 0 {
		o.SyncInterval = f.interval
	}
	if f.mode == "" {
		return nil
	}
	mode, err := remote.ParseMode(f.mode)
	if err != nil {
		return fmt.Errorf("%w: --mode: %w", cli.ErrUsage, err)
	}
	if mode != remote.ModePush && len(c.Replicas) > 0 {
		return fmt.Errorf("%w: --mode %s: the configuration has replicas, which are stores to push to", cli.ErrUsage, mode)
	}
	o.Mode = mode
	return nil
}

// printChanges prints a line for each pass that changed something.
func (a *app) printChanges(label string) remote.ObserveFunc {
	return func(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
		return ctx, func(r remote.Report, _ error) { // Follow logs the error
			if r.Versions > 0 || r.Base != nil {
				a.failed(a.printReport(label, r, nil))
			}
		}
	}
}

// unlessInterrupted leaves out of err, of one store or joined of several, that the
// user ended the command.
func unlessInterrupted(err error) error {
	errs := []error{err}
	if joined, several := err.(interface{ Unwrap() []error }); several {
		errs = slices.Clone(joined.Unwrap())
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) })...)
}

// failed notes that standard output cannot be written, which is no reason to
// stop following.
func (a *app) failed(err error) {
	if err != nil {
		fmt.Fprintln(a.errOut, "sluice: standard output:", err)
	}
}
