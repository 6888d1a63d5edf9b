package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

const about = `sluice copies every commit of a Delta Lake table into object storage as one
immutable bundle, rebuilds the table from there, at any version, and keeps replicas in step.

URL is s3://bucket/prefix, gs://bucket/prefix, azblob://container/prefix, file:///path or
a folder that begins with /, ./ or ../; TABLE is any folder, or a URL. Credentials come
from the usual environment of each cloud. URL must not lie within TABLE.

Exit codes: 0 done, 1 failed, 2 usage, 3 diverged, 4 gap, 5 corrupt,
6 unavailable, 7 not empty, 8 unsupported, 9 denied, 10 behind.`

// app is one invocation.
type app struct {
	out, errOut io.Writer
	bar         *cli.Bar
	doing       string // the command, for the bar
	json        bool
	concurrency int
	level       string
	version     int64         // of init; negative: the newest
	timestamp   string        // of init
	history     string        // of init
	durability  string        // of init, pull and follow
	acrossGap   bool          // of init and pull
	settle      time.Duration // of push and follow
	allowLost   bool          // likewise
	config      string        // instead of URL

	printing sync.Mutex // serialises lines on out, where several stores report
}

// run is the whole command but for the process around it.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	bar := cli.NewBar(errOut)
	a := &app{out: bar.Above(out), errOut: bar.Above(errOut), bar: bar, version: -1}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	err := root.ExecuteContext(ctx)
	bar.Finish()
	code := exitCode(err)
	if err != nil {
		cli.TellError(a.errOut, "sluice", err, code, a.json)
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "sluice", Short: "Replicate Delta Lake tables through object storage", Long: about,
		Version: cli.ModuleVersion(), SilenceErrors: true, SilenceUsage: true,
		Args:             cli.NoSuchCommand,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) { a.doing = cmd.Name() },
		RunE:             cli.ShowHelp,
	}
	root.SetFlagErrorFunc(cli.FlagError)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print JSON to standard output")
	flags.IntVar(&a.concurrency, "concurrency", 0, "versions in flight at once (default 4)")
	flags.StringVar(&a.level, "log-level", "warn", "debug, info, warn or error, to standard error")
	root.AddCommand(
		a.pushCommand(), a.initCommand(), a.pullCommand(), a.followCommand(),
		a.mover("base", "Take a base of the newest version in the store, for init --history live", (*remote.Replicator).Base),
		a.statusCommand(), a.versionsCommand(), a.verifyCommand(), a.drillCommand(),
		a.consolidateCommand(), a.pruneCommand(), a.pinCommand(), a.unpinCommand(), a.repairCommand())
	return root
}

func (a *app) mover(name, short string, move func(*remote.Replicator, context.Context) (remote.Report, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " TABLE URL", Short: short, Args: cli.Between(2, 2),
		Example: "  sluice " + name + " /var/pond/data s3://my-pond-backups/prod?region=us-west-2",
		RunE: func(cmd *cobra.Command, args []string) error {
			rep, err := a.open(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			report, err := move(rep, cmd.Context())
			if err != nil && !a.json && report.Versions == 0 {
				return err // nothing happened that the error does not tell
			}
			if perr := a.printReport("", report, err); err == nil {
				err = perr
			}
			return err
		},
	}
	return a.storeFlag(cmd, 1)
}

func (a *app) pushFlags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&a.settle, "settle", 0, "leave out the newest commit until it has not changed for so long")
	cmd.Flags().BoolVar(&a.allowLost, "allow-missing", false, "go on if a file that the newest version needs is gone, and record that")
}

func (a *app) initCommand() *cobra.Command {
	cmd := a.mover("init", "Rebuild the table in the empty or new folder TABLE", (*remote.Replicator).Init)
	cmd.Flags().Int64Var(&a.version, "version", -1, "restore this version (default the newest)")
	cmd.Flags().StringVar(&a.timestamp, "timestamp", "", "restore the newest version that is not newer, as in 2026-11-23T08:00:00Z")
	cmd.Flags().StringVar(&a.history, "history", "full", "full: every version; live: begin at the newest base, with only its live files")
	a.restoreFlags(cmd)
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("version") && a.version < 0 {
			return fmt.Errorf("%w: --version %d: versions begin at 0", cli.ErrUsage, a.version)
		}
		if err := cli.Excluding(cmd, "version", "timestamp"); err != nil {
			return err
		}
		return inner(cmd, args)
	}
	return cmd
}

func (a *app) pullCommand() *cobra.Command {
	cmd := a.mover("pull", "Apply new versions of the store to the replica TABLE", (*remote.Replicator).Pull)
	a.restoreFlags(cmd)
	return cmd
}

func (a *app) restoreFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.durability, "durability", "full", "full: what was restored survives a power cut; relaxed: for throw-away replicas, faster")
	cmd.Flags().BoolVar(&a.acrossGap, "across-gap", false, "leave out versions that were never pushed, or are lost, and drop the log below them, as Delta's metadata cleanup would")
}

// restoring fills in what the flags say of init and pull.
func (a *app) restoring(opts *remote.Options) error {
	opts.AcrossGap = a.acrossGap
	if a.version > -1 {
		target := deltalog.Version(a.version)
		opts.Target = &target
	}
	if a.timestamp != "" {
		t, err := time.Parse(time.RFC3339Nano, a.timestamp)
		if err != nil {
			return fmt.Errorf("%w: --timestamp %q: want RFC 3339, as in 2026-11-23T08:00:00Z", cli.ErrUsage, a.timestamp)
		}
		opts.TargetTime = t
	}
	switch a.durability {
	case "", "full":
	case "relaxed":
		opts.Durability = remote.DurabilityRelaxed
	default:
		return fmt.Errorf("%w: --durability %q: full and relaxed are allowed", cli.ErrUsage, a.durability)
	}
	switch a.history {
	case "", "full":
	case "live":
		opts.History = remote.HistoryLive
	default:
		return fmt.Errorf("%w: --history %q: full and live are allowed", cli.ErrUsage, a.history)
	}
	return nil
}

// open makes a Replicator with what the flags say.
func (a *app) open(ctx context.Context, folder, url string) (*remote.Replicator, error) {
	opts, err := a.options()
	if err != nil {
		return nil, err
	}
	store, place, err := a.openStore(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	var table remote.LogReader // none for what only looks at the store
	if folder != "" {
		if table, err = openTable(ctx, folder, place); err != nil {
			return nil, err
		}
	}
	return remote.New(table, store, opts)
}

// options are what the flags say.
func (a *app) options() (*remote.Options, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.level)); err != nil {
		return nil, fmt.Errorf("%w: --log-level %q: debug, info, warn and error are allowed", cli.ErrUsage, a.level)
	}
	if a.concurrency < 0 {
		return nil, fmt.Errorf("%w: --concurrency %d must not be negative", cli.ErrUsage, a.concurrency)
	}
	if a.settle < 0 {
		return nil, fmt.Errorf("%w: --settle %s must not be negative", cli.ErrUsage, a.settle)
	}
	opts := &remote.Options{
		Logger:      slog.New(slog.NewTextHandler(a.errOut, &slog.HandlerOptions{Level: level})),
		Concurrency: a.concurrency,
		Writer:      bundle.Writer{Program: "sluice", Version: cli.ModuleVersion()},
		Settle:      a.settle, AllowMissing: a.allowLost,
	}
	if a.begin(); !a.json {
		opts.Progress = a.bar.Versions
	}
	return opts, a.restoring(opts)
}

// begin shows that something goes on, should it take long.
func (a *app) begin() {
	if !a.json {
		a.bar.Begin(a.doing)
	}
}

func versionText(v *deltalog.Version) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprint("version ", int64(*v))
}

// bundleText says which bundle carries a version: a run of small ones is one.
func bundleText(v remote.VersionInfo) string {
	if v.Bundle != v.Version {
		return fmt.Sprintf("in the bundle of version %d", int64(v.Bundle))
	}
	return fmt.Sprintf("bundle of %d bytes", v.Size)
}

func (a *app) versionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "versions [TABLE] URL", Short: "List the versions that can be restored", Args: cli.Between(1, 2),
		Example: "  sluice versions s3://my-pond-backups/prod\n  sluice versions s3://my-pond-backups/prod --json | tail -1",
		RunE: func(cmd *cobra.Command, args []string) error {
			a.begin()
			store, _, err := a.openStore(cmd.Context(), args[len(args)-1], &remote.Options{})
			if err != nil {
				return err
			}
			for v, err := range remote.Versions(cmd.Context(), store) {
				if err != nil {
					return err
				}
				if a.json {
					err = a.printJSON(v)
				} else {
					_, err = fmt.Fprintf(a.out, "%d\t%s\t%s\n", v.Version, v.Stored.UTC().Format(time.RFC3339), bundleText(v))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	return a.storeFlag(cmd, -1)
}
