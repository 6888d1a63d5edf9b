package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/remote"
)

// errBehind: one side is further behind than --max-lag allows.
var errBehind = errors.New("behind")

func (a *app) statusCommand() *cobra.Command {
	var maxLag time.Duration
	cmd := &cobra.Command{
		Use: "status TABLE URL", Short: "Compare TABLE with the store", Args: between(2, 2),
		Long: `Compare TABLE with the store: which versions each has, how far the one that lacks some
is behind, and up to which version files may be vacuumed. With --max-lag it fails with exit
code 10 where the oldest version that one side lacks was committed longer ago than that.`,
		Example: `  sluice status /var/pond/data s3://my-pond-backups/prod
  sluice status /var/pond/data s3://my-pond-backups/prod --max-lag 15m || alert`,
		RunE: func(cmd *cobra.Command, args []string) error {
			limited := cmd.Flags().Changed("max-lag")
			if limited && maxLag < 0 {
				return fmt.Errorf("%w: --max-lag %s must not be negative", errUsage, maxLag)
			}
			rep, err := a.open(cmd.Context(), args[0], args[1], nil)
			if err != nil {
				return err
			}
			st, err := rep.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.printStatus(st); err != nil {
				return err
			}
			switch {
			case st.Diverged:
				return fmt.Errorf("%w: the newest common version has another commit in the store", remote.ErrDiverged)
			case limited && st.Lag.Age > maxLag:
				return fmt.Errorf("%w: the oldest missing version is %s old, %s are allowed", errBehind, st.Lag.Age.Round(time.Second), maxLag)
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&maxLag, "max-lag", 0, "fail with exit code 10 if one side is behind for longer, as in 15m")
	return cmd
}

func (a *app) printStatus(st remote.Status) error {
	if a.json {
		return a.printJSON(st)
	}
	text := fmt.Sprintf("local %s, store %s, %d behind, %d ahead\n", versionText(st.Local), versionText(st.Store), st.Behind, st.Ahead)
	if lag := st.Lag; lag.Oldest != nil {
		text += fmt.Sprintf("lag %d bytes, the oldest version is of %s, %s ago\n", lag.Bytes, lag.Oldest.Format(time.RFC3339), lag.Age.Round(time.Second))
	}
	if st.Lost > 0 {
		text += fmt.Sprintf("lost at the source before they were pushed: %d versions\n", st.Lost)
	}
	_, err := fmt.Fprintf(a.out, "%ssafe to vacuum and to clean up: %s\nlineage %s, table id %s\n", text, versionText(st.Safe), st.Lineage, st.TableID)
	return err
}
