package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/pondfs"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

const about = `A pond keeps files in a Delta Lake table, one row for each version of each file. Every
change is a commit; after it the factories in /etc/system.d run, and a remote among them
copies the commit into object storage. From there the pond is restored, or followed by
replicas.

The pond is chosen with --pond-path, or with POND in the environment.

Exit codes: 0 done, 1 failed, 2 usage, 3 diverged, 4 gap, 5 corrupt,
6 unavailable, 7 not empty, 8 unsupported, 9 access denied, 130 interrupted.`

const examples = `  export POND=/var/pond
  pond init                                   # a new pond
  echo 'id,name' | pond put /data/animals.csv
  pond mknod remote /etc/system.d/10-remote --config-path backup.yaml
  pond backup status

  pond restore --from-backup s3://my-pond-backups --pond-path /var/restored
  pond init --from-backup replica.yaml --pond-path /var/replica
  pond sync --pond-path /var/replica --follow`

// app is one invocation.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	json        bool
	pondPath    string
	level       string
	bar         *cli.Bar
	doing       string     // the command, for the bar
	mu          sync.Mutex // guards out and errOut while several remotes are followed
}

// run is the whole command but for the process around it.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	bar := cli.NewBar(errOut)
	a := &app{in: in, out: bar.Above(out), errOut: bar.Above(errOut), bar: bar}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	err := root.ExecuteContext(ctx)
	bar.Finish()
	return a.end(ctx, err)
}

// exitInterrupted is what a shell says of a command that Ctrl-C ended.
const exitInterrupted = 130

// end tells an error and returns the exit code.
func (a *app) end(ctx context.Context, err error) int {
	if err == nil {
		return cli.ExitDone
	}
	code := cli.ExitCode(err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		code = exitInterrupted
		err = fmt.Errorf("interrupted; what is done is kept, and the same command goes on from there: %w", err)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w; nothing is half done: make room, and run the same again", err)
	}
	cli.TellError(a.errOut, "pond", err, code, a.json)
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "pond", Short: "Files in a Delta table, backed up and replicated through object storage", Long: about, Example: examples,
		Version: cli.ModuleVersion(), SilenceErrors: true, SilenceUsage: true, Args: cli.NoSuchCommand,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) { a.doing = strings.TrimPrefix(cmd.CommandPath(), "pond ") },
		RunE:             cli.ShowHelp,
	}
	root.SetFlagErrorFunc(cli.FlagError)
	flags := root.PersistentFlags()
	flags.StringVar(&a.pondPath, "pond-path", os.Getenv("POND"), "folder of the pond (environment POND)")
	flags.BoolVar(&a.json, "json", false, "print JSON to standard output")
	flags.StringVar(&a.level, "log-level", "error", "debug, info, warn or error, to standard error")
	root.AddGroup(&cobra.Group{ID: "pond", Title: "Pond:"}, &cobra.Group{ID: "files", Title: "Files:"}, &cobra.Group{ID: "remote", Title: "Backup and replication:"})
	a.group(root, "pond", a.initCommand(), a.restoreCommand(), a.logCommand(), a.maintainCommand())
	a.group(root, "files", a.putCommand(), a.catCommand(), a.lsCommand(), a.rmCommand(), a.mkdirCommand())
	a.group(root, "remote", a.mknodCommand(), a.runCommand(), a.syncCommand(), a.backupCommand())
	return root
}

func (a *app) group(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}

// path is the folder of the pond.
func (a *app) path() (string, error) {
	if a.pondPath == "" {
		return "", fmt.Errorf("%w: which pond? give --pond-path FOLDER, or set POND: export POND=$HOME/pond", cli.ErrUsage)
	}
	return filepath.Abs(a.pondPath)
}

func (a *app) options() (*steward.Options, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.level)); err != nil {
		return nil, fmt.Errorf("%w: --log-level %q: debug, info, warn and error are allowed", cli.ErrUsage, a.level)
	}
	opts := &steward.Options{Logger: slog.New(slog.NewTextHandler(a.errOut, &slog.HandlerOptions{Level: level}))}
	if !a.json && a.doing != "" { // a shell that completes wants no bar
		a.bar.Begin(a.doing)
		opts.Progress = a.bar.Versions
	}
	return opts, nil
}

// open opens the pond.
func (a *app) open(ctx context.Context) (*steward.Pond, error) {
	path, err := a.path()
	if err != nil {
		return nil, err
	}
	opts, err := a.options()
	if err != nil {
		return nil, err
	}
	return steward.Open(ctx, path, opts)
}

// say prints a line for people, or v as JSON.
func (a *app) say(v any, format string, args ...any) error {
	if a.json {
		return a.printJSON(v)
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

func (a *app) printJSON(v any) error { return json.NewEncoder(a.out).Encode(v) }

// sayTxn prints what a transaction did, and to standard error what went wrong
// after it: the commit is there all the same.
func (a *app) sayTxn(txn steward.Txn) error {
	version := "no new version"
	if txn.Version != nil {
		version = fmt.Sprintf("version %d", *txn.Version)
	}
	if err := a.say(txn, "%s: transaction %d, %s", txn.What, txn.Seq, version); err != nil {
		return err
	}
	for _, r := range txn.Runs {
		if err := a.sayRun(r); err != nil {
			return err
		}
	}
	return nil
}

// sayRun prints what a run of a factory did; its JSON is part of something else.
func (a *app) sayRun(r steward.Run) error {
	if r.Error != "" {
		next := fmt.Sprintf("%q tries again", "pond run "+r.Node)
		switch {
		case errors.Is(r.Failure, remote.ErrDiverged):
			next = "pond backup repair shows whether what a dead primary left is in the way"
		case errors.Is(r.Failure, remote.ErrInvalidConfig), errors.Is(r.Failure, remote.ErrUnsupported):
			next = setRight(r.Node)
		}
		_, err := fmt.Fprintf(a.errOut, "%s %s: %s; the pond is as it should be; %s\n", cli.NewPaint(a.errOut).Bad("warning:"), steward.Label(r.Node, r.Store), r.Error, next)
		return err
	}
	if a.json {
		return nil
	}
	_, err := fmt.Fprintf(a.out, "%s: %s\n", steward.Label(r.Node, r.Store), reportText(r.Report))
	return err
}

// reportText is a report for people.
func reportText(r remote.Report) string {
	past := map[string]string{"push": "pushed", "pull": "pulled", "init": "restored"}[r.Mode]
	what := "nothing new"
	switch {
	case r.Versions == 1:
		what = fmt.Sprintf("%s version %d", past, r.Last)
	case r.Versions > 1:
		what = fmt.Sprintf("%s versions %d to %d", past, r.First, r.Last)
	}
	if r.Versions > 0 {
		what += fmt.Sprintf(": %s, %s", cli.Count(r.Files, "file"), cli.Bytes(r.Bytes))
	}
	if r.Present > 0 {
		what += fmt.Sprintf("; %s there already", cli.Count(r.Present, "version"))
	}
	if r.Absent > 0 {
		what += fmt.Sprintf("; %s recorded absent", cli.Count(r.Absent, "file"))
	}
	if r.Remaining > 0 {
		what += fmt.Sprintf("; %d to go: pond backup now", r.Remaining)
	}
	return what
}

// pondPaths completes pond paths on the command line.
func (a *app) pondPaths(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const no = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, no
	}
	p, err := a.open(cmd.Context())
	if err != nil {
		return nil, no
	}
	list, err := a.entries(cmd.Context(), p, typed[:strings.LastIndex(typed, "/")+1], pondfs.Newest)
	if err != nil {
		return nil, no
	}
	var paths []string
	for _, e := range list {
		if e.Kind == pondfs.KindDirectory {
			e.Path += "/"
		}
		paths = append(paths, e.Path)
	}
	return paths, no | cobra.ShellCompDirectiveNoSpace
}

// nodePaths completes the paths of factories.
func (a *app) nodePaths(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	p, err := a.open(cmd.Context())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	nodes, err := p.Nodes()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var paths []string
	for _, n := range nodes {
		paths = append(paths, n.Path)
	}
	return paths, cobra.ShellCompDirectiveNoFileComp
}

var errNothing = errors.New("nothing is configured")
