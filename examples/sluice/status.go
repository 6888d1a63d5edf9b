package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

// errBehind: one side is further behind than --max-lag allows.
var errBehind = errors.New("behind")

func (a *app) statusCommand() *cobra.Command {
	var maxLag time.Duration
	cmd := &cobra.Command{
		Use: "status TABLE URL", Short: "Compare TABLE with the store",
		Long: `Compare TABLE with the store, or with --config FILE instead of URL with that of the file and
all its replicas: which versions each has, how far the one that lacks some is behind, and
up to which version files may be vacuumed. With --max-lag it fails with exit code 10 where
the oldest version that one side lacks was committed longer ago than that.`,
		Example: `  sluice status /var/pond/data s3://my-pond-backups/prod
  sluice status /var/pond/data --config pond.yaml --max-lag 15m || alert`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !cmd.Flags().Changed("max-lag"):
				maxLag = math.MaxInt64
			case maxLag < 0:
				return fmt.Errorf("%w: --max-lag %s must not be negative", cli.ErrUsage, maxLag)
			}
			o, err := a.openAll(cmd.Context(), args, nil)
			if err != nil {
				return err
			}
			m, err := o.multi()
			if err != nil {
				return err
			}
			var errs []error
			for name, rep := range m.Replicators() {
				label := o.label(name)
				err := a.status(cmd.Context(), rep, label, maxLag)
				if err != nil && label != "" {
					err = fmt.Errorf("%s: %w", label, err)
				}
				errs = append(errs, err)
			}
			if len(errs) > 1 && !a.json {
				errs = append(errs, a.printSafeInAll(cmd.Context(), m))
			}
			return errors.Join(errs...)
		},
	}
	a.configFlag(cmd)
	cmd.Flags().DurationVar(&maxLag, "max-lag", 0, "fail with exit code 10 if one side is behind for longer, as in 15m")
	return cmd
}

// status prints how one store stands, and fails where that is not well.
func (a *app) status(ctx context.Context, rep *remote.Replicator, label string, maxLag time.Duration) error {
	st, err := rep.Status(ctx)
	if err != nil && !(errors.Is(err, remote.ErrGap) && st.Local != nil) {
		if a.json && label != "" { // else the error at the end tells
			err = errors.Join(err, a.printJSON(struct {
				Store string `json:"store"`
				Error string `json:"error"`
			}{label, err.Error()}))
		}
		return err
	}
	if err = errors.Join(err, a.printStatus(label, st)); err != nil {
		return err
	}
	switch {
	case st.Diverged:
		return fmt.Errorf("%w: the newest common version has another commit in the store", remote.ErrDiverged)
	case maxLag < math.MaxInt64 && st.Local == nil && st.Store == nil:
		return fmt.Errorf("%w: neither the table nor the store has a version", errBehind)
	case st.Lag.Age > maxLag:
		return fmt.Errorf("%w: the oldest missing version is %s old, %s are allowed", errBehind, st.Lag.Age.Round(time.Second), maxLag)
	}
	return nil
}

// printSafeInAll says up to where it is safe to vacuum for the sake of all stores.
func (a *app) printSafeInAll(ctx context.Context, m *remote.Multi) error {
	text := "none"
	if v, err := m.SafeVersion(ctx); err == nil {
		text = versionText(&v)
	}
	_, err := fmt.Fprintf(a.out, "all stores\nsafe to vacuum and to clean up: %s\n", text)
	return err
}

// printStatus prints some lines; label names the store where there are several.
func (a *app) printStatus(label string, st remote.Status) error {
	if a.json {
		return a.printJSON(struct {
			Store string `json:"store,omitempty"`
			remote.Status
		}{label, st})
	}
	text := ""
	if label != "" {
		text = label + "\n"
	}
	text += fmt.Sprintf("local %s, store %s, %d behind, %d ahead\n", versionText(st.Local), versionText(st.Store), st.Behind, st.Ahead)
	if lag := st.Lag; lag.Oldest != nil {
		text += fmt.Sprintf("lag %d bytes, the oldest version is of %s, %s ago\n", lag.Bytes, lag.Oldest.Format(time.RFC3339), lag.Age.Round(time.Second))
	}
	if st.Lost > 0 {
		text += fmt.Sprintf("lost at the source before they were pushed: %d versions\n", st.Lost)
	}
	text += fmt.Sprintf("safe to vacuum and to clean up: %s\n", safeText(st))
	if st.Lineage != "" {
		text += fmt.Sprintf("lineage %s, table id %s\n", st.Lineage, st.TableID)
	}
	_, err := fmt.Fprint(a.out, text)
	return err
}

// safeText says up to where it is safe to vacuum, and where to look if that is less than
// both sides seem to have.
func safeText(st remote.Status) string {
	if st.Local == nil || st.Store == nil || st.Diverged || st.Lost > 0 || st.Safe != nil && *st.Safe >= min(*st.Local, *st.Store) {
		return versionText(st.Safe)
	}
	return versionText(st.Safe) + "; sluice verify tells why"
}
