package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage/all"
)

// made is what init and restore print as JSON.
type made struct {
	Pond   string         `json:"pond_path"`
	ID     string         `json:"pond_id"` // what source_pond_id is compared with
	Report *remote.Report `json:"report,omitempty"`
	Nodes  []string       `json:"factories"`
}

func (a *app) initCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "init", Short: "Make a new pond, or one from a backup", Args: cli.Between(0, 0),
		Long: `Make a new, empty pond. With --from-backup, make it from the backup that a configuration
file with mode: init names. If the file says auto_switch_to_pull: true the new pond is a
replica: the configuration is kept at config_path (default /etc/system.d/10-remote) with its
mode changed to pull, and "pond sync" follows the source. An interrupted init from a backup
goes on where it was when it is run again.`,
		Example: `  pond init --pond-path /var/pond
  pond init --from-backup init.yaml --pond-path /var/replica

  # init.yaml
  storage_type: s3
  bucket: my-pond-backups
  region: us-west-2
  key: ${env:BACKUP_KEY}
  secret: ${env:BACKUP_SECRET}
  mode: init
  auto_switch_to_pull: true
  sync_interval: 60`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := a.path()
			if err != nil {
				return err
			}
			opts, err := a.options()
			if err != nil {
				return err
			}
			if from == "" {
				p, err := steward.Create(cmd.Context(), path, opts)
				if err != nil {
					return err
				}
				return a.sayMade(cmd.Context(), p, nil)
			}
			c, err := remote.LoadConfig(from)
			if err != nil {
				return err
			}
			p, report, err := steward.InitFromBackup(cmd.Context(), path, c, opts)
			if err != nil {
				return err
			}
			return a.sayMade(cmd.Context(), p, &report)
		},
	}
	cmd.Flags().StringVar(&from, "from-backup", "", "configuration file of the backup")
	return cmd
}

func (a *app) restoreCommand() *cobra.Command {
	var from, at string
	var version int64
	cmd := &cobra.Command{
		Use: "restore --from-backup URL", Short: "Make a pond from a backup, at any version", Args: cli.Between(0, 0),
		Long: `Make a pond from the backup at a URL: a folder, s3://bucket/prefix, gs://bucket/prefix or
azblob://container/prefix; credentials come from the usual environment of each cloud. The new
pond follows nobody: configure a remote with mode: push and it is the primary that pushes on,
also into the same store. An interrupted restore goes on where it was when it is run again.`,
		Example: `  pond restore --from-backup s3://my-pond-backups --pond-path /new/pond
  pond restore --from-backup s3://my-pond-backups --pond-path /new/pond --version 42
  pond restore --from-backup /mnt/backups --pond-path /new/pond --timestamp 2026-11-23T08:00:00Z`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return fmt.Errorf("%w: --from-backup URL is missing; see pond restore --help", cli.ErrUsage)
			}
			set, err := target(cmd, version, at)
			if err != nil {
				return err
			}
			path, err := a.path()
			if err != nil {
				return err
			}
			opts, err := a.options()
			if err != nil {
				return err
			}
			store, err := all.Open(cmd.Context(), from)
			if err != nil {
				return err
			}
			p, report, err := steward.Restore(cmd.Context(), path, store, opts, set)
			if err != nil {
				return err
			}
			return a.sayMade(cmd.Context(), p, &report)
		},
	}
	cmd.Flags().StringVar(&from, "from-backup", "", "URL of the backup")
	cmd.Flags().Int64Var(&version, "version", 0, "restore this version (default the newest)")
	cmd.Flags().StringVar(&at, "timestamp", "", "restore the newest version that is not newer, as in 2026-11-23T08:00:00Z")
	return cmd
}

// target is what the flags of restore say of where to stop.
func target(cmd *cobra.Command, version int64, at string) (func(*remote.Options), error) {
	if err := cli.Excluding(cmd, "version", "timestamp"); err != nil {
		return nil, err
	}
	var moment time.Time
	if at != "" {
		var err error
		if moment, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return nil, fmt.Errorf("%w: --timestamp %q: want RFC 3339, as in 2026-11-23T08:00:00Z", cli.ErrUsage, at)
		}
	}
	if version < 0 {
		return nil, fmt.Errorf("%w: --version %d: versions begin at 0", cli.ErrUsage, version)
	}
	given := cmd.Flags().Changed("version")
	return func(o *remote.Options) {
		o.TargetTime = moment
		if v := deltalog.Version(version); given {
			o.Target = &v
		}
	}, nil
}

func (a *app) sayMade(ctx context.Context, p *steward.Pond, report *remote.Report) error {
	id, err := p.FS.ID(ctx)
	if err != nil {
		return err
	}
	nodes, err := p.Nodes()
	if err != nil {
		return err
	}
	m := made{Pond: p.Path(), ID: id, Report: report, Nodes: []string{}}
	what := "a new pond"
	if report != nil {
		what = reportText(*report)
	}
	for _, n := range nodes {
		m.Nodes = append(m.Nodes, n.Path)
		c, err := n.Config()
		if err != nil {
			return err
		}
		what += fmt.Sprintf("\n%s: mode %s; pond sync looks for new versions, pond sync --follow keeps on", n.Path, c.Mode)
	}
	return a.say(m, "%s: %s\npond id %s", m.Pond, what, id)
}

func (a *app) logCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log", Short: "Show the transactions of this pond", Args: cli.Between(0, 0),
		Long: `Show the transactions of this pond, the oldest first.

TXN is txn_seq, which counts what this pond did: its commits, the versions that it pulled,
changes of its configuration, and attempts that failed. VERSION is that of the Delta table,
which is the same in all replicas. SOURCE is the txn_seq that a pulled version has in the
pond that committed it. Not every transaction makes a version, so the numbers drift apart,
and SOURCE has gaps where the source did something that made none.`,
		Example: "  pond log\n  pond log --json | jq '.[-1]'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			log, err := p.Log()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(log)
			}
			return a.printLog(log)
		},
	}
}

func (a *app) printLog(log []steward.Txn) error {
	number := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TXN\tVERSION\tSOURCE\tTIME (UTC)\tWHAT")
	for _, t := range log {
		what := t.What
		if t.State != steward.Committed {
			what += fmt.Sprintf(" (%s)", strings.TrimSuffix(string(t.State)+": "+t.Error, ": "))
		}
		for _, r := range t.Runs {
			if r.Error != "" {
				what += "; " + r.Node + " failed"
			}
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", t.Seq, number((*int64)(t.Version)), number(t.SourceSeq), t.Time.UTC().Format(time.DateTime), what)
	}
	return w.Flush()
}

func (a *app) maintainCommand() *cobra.Command {
	var retention time.Duration
	cmd := &cobra.Command{
		Use: "maintain", Short: "Compact, write a checkpoint, and vacuum what every backup has", Args: cli.Between(0, 0),
		Long: `Rewrite the small data files of each directory as one (a commit), write a checkpoint, and
remove files that only older versions need, but none that a backup still lacks. A replica is
compacted by its source.`,
		Example: "  pond maintain\n  pond maintain --retention 24h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if retention < 0 {
				return fmt.Errorf("%w: --retention %s must not be negative", cli.ErrUsage, retention)
			}
			m, err := p.Maintain(cmd.Context(), retention)
			if err != nil {
				return err
			}
			if m.Compacted != nil && !a.json {
				if err := a.sayTxn(*m.Compacted); err != nil {
					return err
				}
			}
			what := fmt.Sprintf("vacuumed %s, %s; versions from %d on are untouched", cli.Count(m.Vacuumed.Files, "file"), cli.Bytes(m.Vacuumed.Bytes), m.Safe)
			if m.Kept != "" {
				what = "vacuumed nothing, for a backup may need it: " + m.Kept
			}
			return a.say(m, "checkpoint of version %d; %s", m.Checkpoint, what)
		},
	}
	cmd.Flags().DurationVar(&retention, "retention", 7*24*time.Hour, "keep what was needed within this time")
	return cmd
}
