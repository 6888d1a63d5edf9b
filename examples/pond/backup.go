package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup", Short: "Look at the backups of this pond, check them, push now", Args: noSuchCommand,
		Example: "  pond backup status\n  pond backup list\n  pond backup verify\n  pond backup preview\n  pond backup now",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.statusCommand(remote.ModePush, noPush), a.listCommand(), a.previewCommand(), a.nowCommand(), a.repairCommand())
	return cmd
}

func (a *app) statusCommand(mode remote.Mode, hint string) *cobra.Command {
	short := map[remote.Mode]string{
		remote.ModePush: "Show how far the backups are, what they take and cost",
		remote.ModePull: "Show how far this replica is behind",
	}[mode]
	return &cobra.Command{
		Use: "status", Short: short, Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []steward.NodeStatus{}
			err = a.each(p, mode, hint, func(n steward.Node) error {
				st, err := p.Status(cmd.Context(), n)
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
	if st.Mode == "push" {
		line("a month", "%s", costText(st))
	}
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
	return fmt.Sprintf("about $%.2f, by the list prices of S3 Standard in us-east-1, for what is stored now and the requests of the last 30 days", st.Cost)
}

func versionText(v *deltalog.Version) string {
	if v == nil {
		return "no version"
	}
	return fmt.Sprint("version ", int64(*v))
}

// listed is one line of backup list.
type listed struct {
	Node string `json:"node"`
	remote.VersionInfo
	What string `json:"what,omitempty"` // if this pond has the version too
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the versions in the backups", Args: between(0, 0),
		Long:    "List the versions in the backups. BUNDLE is the first version of the bundle that carries it and SIZE is\nthat of the bundle: a backlog goes up many versions in one.",
		Example: "  pond backup list\n  pond backup list --json | jq '.[-1]'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []listed{}
			err = a.each(p, remote.ModePush, noPush, func(n steward.Node) error {
				r, err := p.Replicator(cmd.Context(), n, nil)
				if err != nil {
					return err
				}
				for v, err := range r.Versions(cmd.Context()) {
					if err != nil {
						return err
					}
					line := listed{Node: n.Path, VersionInfo: v}
					if info, _, err := p.FS.Info(cmd.Context(), v.Version); err == nil {
						line.What = info.What
					}
					list = append(list, line)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			return printList(a.out, list)
		},
	}
}

func printList(out io.Writer, list []listed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tBUNDLE\tSIZE\tSTORED\tWHERE\tWHAT")
	for _, l := range list {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\n", l.Version, l.Bundle, cli.Bytes(l.Size), l.Stored.UTC().Format(time.DateTime), l.Node, l.What)
	}
	return w.Flush()
}

func (a *app) previewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "preview", Short: "Show what the next push would send", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []steward.Preview{}
			err = a.each(p, remote.ModePush, noPush, func(n steward.Node) error {
				pre, err := p.Preview(cmd.Context(), n)
				if err != nil {
					return err
				}
				list = append(list, pre)
				if a.json {
					return nil
				}
				what := "nothing to push"
				if pre.Versions > 0 {
					what = fmt.Sprintf("would push versions %d to %d: %s, %s before compression", pre.First, pre.Last, cli.Count(pre.Files, "file"), cli.Bytes(pre.Bytes))
				}
				_, err = fmt.Fprintf(a.out, "%s: %s\n", n.Path, what)
				return err
			})
			if err == nil && a.json {
				err = a.printJSON(list)
			}
			return err
		},
	}
}

func (a *app) nowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "now", Short: "Push everything that is new, however much it is", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			var runs []steward.Run
			err = a.each(p, remote.ModePush, noPush, func(n steward.Node) error {
				r, err := p.Push(cmd.Context(), n)
				runs = append(runs, r)
				return err
			})
			if runs == nil {
				return err
			}
			return a.ran(runs, err)
		},
	}
}
