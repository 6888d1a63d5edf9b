package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup", Short: "Look at the backups of this pond, check them, push now", Args: cli.NoSuchCommand,
		Example: "  pond backup status\n  pond backup list\n  pond backup verify\n  pond backup preview\n  pond backup now",
		RunE:    cli.ShowHelp,
	}
	cmd.AddCommand(a.statusCommand(remote.ModePush, noPush), a.listCommand(), a.previewCommand(), a.verifyCommand(), a.nowCommand(), a.repairCommand())
	return cmd
}

// listed is one line of backup list.
type listed struct {
	Node  string `json:"node"`
	Store string `json:"store,omitempty"` // where the node has several
	remote.VersionInfo
	What string `json:"what,omitempty"` // if this pond has the version too
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the versions in the backups", Args: cli.Between(0, 0),
		Long:    "List the versions in the backups. BUNDLE is the first version of the bundle that carries it and SIZE is\nthat of the bundle: a backlog goes up many versions in one.",
		Example: "  pond backup list\n  pond backup list --json | jq '.[-1]'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []listed{}
			err = a.eachStore(cmd.Context(), p, remote.ModePush, noPush, func(n steward.Node, s steward.Store) error {
				for v, err := range s.Versions(cmd.Context()) {
					if err != nil {
						return err
					}
					line := listed{Node: n.Path, Store: s.Name, VersionInfo: v}
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
	fmt.Fprintln(w, "VERSION\tBUNDLE\tSIZE\tSTORED (UTC)\tWHERE\tWHAT")
	for _, l := range list {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\n", l.Version, l.Bundle, cli.Bytes(l.Size), l.Stored.UTC().Format(time.DateTime), steward.Label(l.Node, l.Store), l.What)
	}
	return w.Flush()
}

func (a *app) previewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "preview", Short: "Show what the next push would send", Args: cli.Between(0, 0),
		Example: "  pond backup preview\n  pond backup preview --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []steward.Preview{}
			err = a.eachStore(cmd.Context(), p, remote.ModePush, noPush, func(_ steward.Node, s steward.Store) error {
				pre, err := p.Preview(cmd.Context(), s)
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
				_, err = fmt.Fprintf(a.out, "%s: %s\n", steward.Label(pre.Node, pre.Store), what)
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
		Use: "now", Short: "Push everything that is new, however much it is", Args: cli.Between(0, 0),
		Long:    "Push everything that is new to every remote with mode: push. After a commit at most 100 versions\nare pushed, so that a backlog never makes it wait; now takes all that is left.",
		Example: "  pond backup now",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			var runs []steward.Run
			err = a.each(p, remote.ModePush, noPush, func(n steward.Node) error {
				all, err := p.Push(cmd.Context(), n)
				runs = append(runs, all...)
				return err
			})
			if runs == nil {
				return err
			}
			return a.ran(runs, err)
		},
	}
}
