package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

func (a *app) statusCommand(mode remote.Mode, hint string) *cobra.Command {
	short := map[remote.Mode]string{
		remote.ModePush: "Show how far the backups are, what they take and cost",
		remote.ModePull: "Show how far this replica is behind",
	}[mode]
	prices := steward.ListPrices
	cmd := &cobra.Command{
		Use: "status", Short: short, Args: cli.Between(0, 0),
		Long: short + `.

The month's cost is an estimate: what is stored now, and the requests that this pond made in
the last 30 days, at the prices of S3 Standard in us-east-1 unless --usd flags tell others.`,
		Example: map[remote.Mode]string{
			remote.ModePush: "  pond backup status\n  pond backup status --usd-gb-month 0.0125 --usd-1000-puts 0.01 --usd-1000-gets 0.001\n  pond backup status --json | jq '.[0].lag'",
			remote.ModePull: "  pond sync status\n  pond sync status --usd-gb-out 0.09    # read from outside the region",
		}[mode],
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []steward.NodeStatus{}
			err = a.eachStore(cmd.Context(), p, mode, hint, func(n steward.Node, s steward.Store) error {
				st, err := p.Status(cmd.Context(), n, s, prices)
				if err != nil {
					return err
				}
				list = append(list, st)
				if !a.json {
					if err := a.printStatus(st); err != nil {
						return err
					}
				}
				if st.Diverged {
					return fmt.Errorf("%w: the newest common version has another commit in the store", remote.ErrDiverged)
				}
				return nil
			})
			if a.json && len(list) > 0 {
				if perr := a.printJSON(list); err == nil {
					err = perr
				}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&prices.GigabyteMonth, "usd-gb-month", prices.GigabyteMonth, "price of 1 GB stored for a month")
	flags.Float64Var(&prices.ThousandPuts, "usd-1000-puts", prices.ThousandPuts, "price of 1,000 PUT or LIST")
	flags.Float64Var(&prices.ThousandGets, "usd-1000-gets", prices.ThousandGets, "price of 1,000 GET")
	flags.Float64Var(&prices.GigabyteOut, "usd-gb-out", prices.GigabyteOut, "price of 1 GB read")
	return cmd
}

func (a *app) printStatus(st steward.NodeStatus) error {
	paint := cli.NewPaint(a.out)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "%s: %s %s\n", st.Node, st.Mode, st.Place)
	line("pond", "%s", versionText(st.Local))
	line("store", "%s, %s, %s", versionText(st.Store), cli.Count(st.Bundles, "bundle"), cli.Bytes(st.Stored))
	line("state", "%s", stateText(paint, st))
	line("last run", "%s", lastRunText(paint, st))
	if st.Mode == "pull" {
		interval := st.SyncInterval
		if interval == 0 {
			interval = time.Minute
		}
		line("interval", "%s, while pond sync --follow runs", interval)
	}
	q := st.Requests
	line("so far", "%d PUT, %d GET, %d LIST; %s sent, %s received", q.Put, q.Get, q.List, cli.Bytes(q.Sent), cli.Bytes(q.Received))
	line("a month", "%s", costText(st))
	return w.Flush()
}

func stateText(paint cli.Paint, st steward.NodeStatus) string {
	lag := fmt.Sprintf("%s (%s)", st.Lag.Age.Round(time.Second), cli.Bytes(st.Lag.Bytes))
	switch {
	case st.Diverged:
		return paint.Bad("diverged: the histories differ")
	case st.Ahead > 0:
		return paint.Bad(fmt.Sprintf("%s not pushed yet, for %s", cli.Count(st.Ahead, "version"), lag))
	case st.Behind > 0 && st.Mode == "push":
		return paint.Bad(fmt.Sprintf("%s behind the store: another pond pushes to it", cli.Count(st.Behind, "version")))
	case st.Behind > 0:
		return paint.Bad(fmt.Sprintf("%s behind, for %s", cli.Count(st.Behind, "version"), lag))
	}
	return paint.Good("in step")
}

func lastRunText(paint cli.Paint, st steward.NodeStatus) string {
	r := st.LastRun
	if r == nil {
		return "never"
	}
	when := r.Time.UTC().Format(time.DateTime) + " UTC, "
	if r.Error != "" {
		return when + paint.Bad("failed: "+r.Error)
	}
	return when + reportText(r.Report)
}

func costText(st steward.NodeStatus) string {
	if !st.Billed {
		return "no bills: it is a folder"
	}
	q, p := st.Month, st.Prices
	return fmt.Sprintf("about $%.2f: %s at $%g a GB, in 30 days %d PUT and LIST at $%g and %d GET at $%g a thousand, %s read at $%g a GB",
		st.Cost, cli.Bytes(st.Stored), p.GigabyteMonth, q.Put+q.List, p.ThousandPuts, q.Get, p.ThousandGets, cli.Bytes(q.Received), p.GigabyteOut)
}

func versionText(v *deltalog.Version) string {
	if v == nil {
		return "no version"
	}
	return fmt.Sprint("version ", int64(*v))
}
