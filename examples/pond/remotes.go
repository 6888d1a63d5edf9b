package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

func (a *app) mknodCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "mknod remote PATH --config-path FILE", Short: "Configure a factory, which runs after each commit", Args: cli.Between(2, 2),
		Long: `Configure a factory at PATH, /etc/system.d/NAME; factories run after each commit in the order of
their names. The only kind is remote: with mode: push, the default, it copies each commit into
the store that FILE names. The pond is backed up at once, and the configuration is kept in this
pond alone: replicas do not get it. FILE may name more stores under replicas: then each commit is
read and compressed once and goes to all of them, and one that is down keeps no other waiting.`,
		Example: `  pond mknod remote /etc/system.d/10-remote --config-path backup.yaml

  # backup.yaml
  storage_type: s3
  mode: push
  bucket: my-pond-backups
  region: us-west-2
  key: ${env:BACKUP_KEY}
  secret: ${env:BACKUP_SECRET}

  # or into a folder
  storage_type: local
  path: /mnt/backups

  # or into several stores at once
  storage_type: s3
  bucket: my-pond-backups
  region: us-west-2
  replicas:
    - storage_type: s3
      bucket: my-pond-backups-eu
      region: eu-west-1
    - storage_type: local
      path: /mnt/backups`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "remote" {
				return fmt.Errorf("%w: no factory %q; there is only: remote", cli.ErrUsage, args[0])
			}
			if file == "" {
				return fmt.Errorf("%w: --config-path FILE is missing; see pond mknod --help", cli.ErrUsage)
			}
			if _, err := remote.LoadConfig(file); err != nil {
				return err // which names the file, with its line
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			txn, err := p.Mknod(cmd.Context(), steward.Node{Path: args[1], Text: text})
			if err != nil {
				return err
			}
			p.PostCommit(cmd.Context(), txn)
			return a.sayTxn(*txn)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return [][]string{{"remote"}, {steward.DefaultNode}, nil}[min(len(args), 2)], cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&file, "config-path", "", "YAML file with the configuration")
	return cmd
}

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run PATH", Short: "Run a factory now: push, pull or init, as its mode says", Args: cli.Between(1, 1), ValidArgsFunction: a.nodePaths,
		Example: "  pond run /etc/system.d/10-remote",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			n, err := p.Node(args[0])
			if err != nil {
				return fmt.Errorf("%w; pond ls %s shows what is configured", err, steward.SystemDir)
			}
			runs, err := p.RunNode(cmd.Context(), n)
			return a.ran(runs, advised(n, err))
		},
	}
}

// advised adds to an error how a node is set right that cannot be read.
func advised(n steward.Node, err error) error {
	if _, bad := n.Config(); bad == nil || err == nil {
		return err
	}
	return fmt.Errorf("%w; %s", err, setRight(n.Path))
}

func setRight(node string) string {
	return fmt.Sprintf("set it right: pond rm %s, then pond mknod remote %s --config-path FILE", node, node)
}

// ran prints runs that a command asked for, whose error is the command's own.
func (a *app) ran(runs []steward.Run, failure error) error {
	if a.json {
		return errors.Join(failure, a.printJSON(runs))
	}
	for _, r := range runs {
		if r.Error == "" || r.Report.Versions > 0 {
			if _, err := fmt.Fprintf(a.out, "%s: %s\n", steward.Label(r.Node, r.Store), reportText(r.Report)); err != nil {
				return errors.Join(failure, err)
			}
		}
	}
	return failure
}

// each does something for every factory of a mode, in the order of their names,
// also after one failed.
func (a *app) each(p *steward.Pond, mode remote.Mode, hint string, do func(steward.Node) error) error {
	nodes, err := p.Nodes()
	if err != nil {
		return err
	}
	var failures error
	found := false
	for _, n := range nodes {
		c, err := n.Config()
		if err == nil && c.Mode != mode {
			continue
		}
		found = true
		if err == nil {
			err = do(n)
		}
		if err != nil {
			failures = errors.Join(failures, fmt.Errorf("%s: %w", n.Path, advised(n, err)))
		}
	}
	if !found {
		return fmt.Errorf("%w: no remote with mode %s; %s", errNothing, mode, hint)
	}
	return failures
}

// eachStore does something for every store of every factory of a mode, also after
// one failed.
func (a *app) eachStore(ctx context.Context, p *steward.Pond, mode remote.Mode, hint string, do func(steward.Node, steward.Store) error) error {
	return a.each(p, mode, hint, func(n steward.Node) error {
		stores, err := p.Stores(ctx, n, nil)
		if err != nil {
			return err
		}
		var failures error
		for _, s := range stores {
			if err := do(n, s); err != nil && s.Name != "" {
				failures = errors.Join(failures, fmt.Errorf("%s: %w", s.Name, err))
			} else {
				failures = errors.Join(failures, err)
			}
		}
		return failures
	})
}

const (
	noPull = "a replica is made by pond init --from-backup FILE with auto_switch_to_pull: true"
	noPush = "a backup is set up by pond mknod remote " + steward.DefaultNode + " --config-path FILE"
)

func (a *app) syncCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "sync", Short: "Bring a replica up to date, once or from now on", Args: cli.NoSuchCommand,
		Long: `Apply what is new in the store of each remote with mode: pull. With --follow, look again
every sync_interval seconds (default 60) until interrupted.`,
		Example: "  pond sync\n  pond sync --follow\n  pond sync status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if follow {
				return a.followAll(cmd.Context(), p)
			}
			var runs []steward.Run
			err = a.each(p, remote.ModePull, noPull, func(n steward.Node) error {
				r, err := p.Pull(cmd.Context(), n)
				runs = append(runs, r)
				return err
			})
			if runs == nil {
				return err
			}
			return a.ran(runs, err)
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "keep looking, every sync_interval seconds")
	cmd.AddCommand(a.statusCommand(remote.ModePull, noPull))
	return cmd
}

// followAll follows every remote with mode pull at the same time.
func (a *app) followAll(ctx context.Context, p *steward.Pond) error {
	var nodes []steward.Node
	err := a.each(p, remote.ModePull, noPull, func(n steward.Node) error {
		nodes = append(nodes, n)
		return nil
	})
	if err != nil {
		return err
	}
	a.bar.Finish() // waiting takes as long as it takes
	failures := make([]error, len(nodes))
	var group sync.WaitGroup
	for i, n := range nodes {
		group.Go(func() { failures[i] = a.follow(ctx, p, n) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// follow runs until it is interrupted, which is no error.
func (a *app) follow(ctx context.Context, p *steward.Pond, n steward.Node) error {
	err := p.Follow(ctx, n, func(r steward.Run) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.json {
			_ = a.printJSON(r) // who no longer reads need not be told
			return
		}
		stamp := r.Time.Local().Format(time.TimeOnly)
		if r.Error != "" {
			fmt.Fprintf(a.errOut, "%s %s %s: %s; trying again later\n", stamp, cli.NewPaint(a.errOut).Bad("warning:"), r.Node, r.Error)
			return
		}
		fmt.Fprintf(a.out, "%s %s: %s\n", stamp, r.Node, reportText(r.Report))
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
