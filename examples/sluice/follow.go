package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/remote"
)

// following is what the flags of follow say.
type following struct {
	mode     string
	interval time.Duration
}

func (a *app) followCommand() *cobra.Command {
	var f following
	cmd := &cobra.Command{
		Use: "follow TABLE URL", Short: "Keep TABLE and the store in step until interrupted", Args: between(2, 2),
		Long: `Keep TABLE and the store in step until interrupted: look for what is new every
interval, one line for each change. With --mode init an empty TABLE is rebuilt first and
then pulls. Failures are retried ever more rarely, up to once a minute; what only a
person can mend (diverged histories, say) ends the command with its exit code.`,
		Example: `  sluice follow /var/pond/data s3://my-pond-backups/prod --interval 10s
  sluice follow /var/replica s3://my-pond-backups/prod --mode init`,
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := a.open(cmd.Context(), args[0], args[1], func(o *remote.Options) error { return a.followOptions(o, f) })
			if err != nil {
				return err
			}
			err = rep.Follow(cmd.Context())
			if errors.Is(err, context.Canceled) {
				return nil // interrupted, as it should be
			}
			return err
		},
	}
	cmd.Flags().StringVar(&f.mode, "mode", "push", "push, pull, or init and then pull")
	cmd.Flags().DurationVar(&f.interval, "interval", time.Minute, "look for what is new this often")
	a.pushFlags(cmd)
	a.restoreFlags(cmd)
	return cmd
}

func (a *app) followOptions(o *remote.Options, f following) error {
	mode, err := remote.ParseMode(f.mode)
	if err != nil {
		return fmt.Errorf("%w: --mode: %w", errUsage, err)
	}
	if f.interval <= 0 {
		return fmt.Errorf("%w: --interval %s must be positive", errUsage, f.interval)
	}
	o.Mode, o.SwitchToPull, o.SyncInterval = mode, true, f.interval
	o.Observe = func(ctx context.Context, _ string) (context.Context, func(remote.Report, error)) {
		return ctx, func(r remote.Report, _ error) { // Follow logs the error
			if r.Versions > 0 || r.Base != nil {
				a.failed(a.printReport(r))
			}
		}
	}
	return nil
}

// failed notes that standard output cannot be written, which is no reason to
// stop following.
func (a *app) failed(err error) {
	if err != nil {
		fmt.Fprintln(a.errOut, "sluice: standard output:", err)
	}
}
