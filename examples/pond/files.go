package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/pondfs"
	"github.com/pondworks/sluice/examples/pond/steward"
)

func (a *app) putCommand() *cobra.Command {
	return &cobra.Command{
		Use: "put PATH", Short: "Write a new version of a file, from standard input", Args: cli.Between(1, 1), ValidArgsFunction: a.pondPaths,
		Long:    "Write a new version of a file from standard input, and the directories above it that are missing.\nA file over 64 KiB lies beside the table, in data/_large_files.",
		Example: "  pond put /data/animals.csv < animals.csv\n  echo 'id,name' | pond put /data/animals.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return a.change(ctx, "put", args[0], func(p *steward.Pond, name string) (func(*pondfs.Tx) error, error) {
				input := interruptible(ctx, a.in)
				if cli.IsTerminal(a.in) {
					fmt.Fprintln(a.errOut, "reading from the terminal; Ctrl-D ends it")
				} else if !a.json {
					input = a.bar.Reader(input, inputSize(a.in), "reading")
				}
				content, err := p.FS.Stage(input)
				return func(t *pondfs.Tx) error { return t.Put(name, content) }, err
			})
		},
	}
}

// interruptible reads r until ctx ends, also while r has nothing to say. Then a
// goroutine is left behind, which the end of the process ends.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.Copy(pw, r)
		pw.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { pw.CloseWithError(ctx.Err()) })
	return pr
}

// inputSize is the size in bytes of what is read from a file, -1 if unknown.
func inputSize(r io.Reader) int64 {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return -1
}

func (a *app) mkdirCommand() *cobra.Command {
	return &cobra.Command{
		Use: "mkdir PATH", Short: "Make a directory and those above it", Args: cli.Between(1, 1), ValidArgsFunction: a.pondPaths,
		Example: "  pond mkdir /data/2026",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), "mkdir", args[0], func(_ *steward.Pond, name string) (func(*pondfs.Tx) error, error) {
				return func(t *pondfs.Tx) error { return t.Mkdir(name) }, nil
			})
		},
	}
}

func (a *app) rmCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm PATH", Short: "Remove a file, an empty directory, or a factory", Args: cli.Between(1, 1), ValidArgsFunction: a.pondPaths,
		Long:    "Remove a file, an empty directory, or a factory. Older versions of the pond keep the file;\nwhat a remote factory put into its store stays there.",
		Example: "  pond rm /data/animals.csv\n  pond rm /etc/system.d/10-remote    # a replica becomes a pond of its own",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), "rm", args[0], func(_ *steward.Pond, name string) (func(*pondfs.Tx) error, error) {
				return func(t *pondfs.Tx) error { return t.Remove(name) }, nil
			})
		},
	}
}

// change makes one commit of a change to a path. prepare is called before the
// transaction and returns what is done in it.
func (a *app) change(ctx context.Context, verb, name string, prepare func(*steward.Pond, string) (func(*pondfs.Tx) error, error)) error {
	name, err := pondfs.Clean(name)
	if err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	if steward.IsNode(name) {
		return a.changeNode(ctx, p, verb, name)
	}
	build, err := prepare(p, name)
	if err != nil {
		return err
	}
	txn, err := p.Transact(ctx, verb+" "+name, build)
	if errors.Is(err, pondfs.ErrNoChange) {
		return a.say(struct{}{}, "%s %s: nothing to do", verb, name)
	}
	if err != nil {
		return noFile(name, err)
	}
	return a.sayTxn(txn)
}

// changeNode is change for what lies in control/: a factory can only be removed.
func (a *app) changeNode(ctx context.Context, p *steward.Pond, verb, name string) error {
	if verb != "rm" {
		return fmt.Errorf("%w: %s %s: factories are made by pond mknod remote %s/NAME --config-path FILE", cli.ErrUsage, verb, name, steward.SystemDir)
	}
	txn, err := p.RemoveNode(name)
	if err != nil {
		return err
	}
	return a.sayTxn(*txn)
}

// noFile adds to the error that something is not there where to look for it.
func noFile(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w; pond ls %s shows what is there", err, path.Dir(path.Clean("/"+name)))
}

// at reads the flag --version of a command that shows the pond as it was.
func at(cmd *cobra.Command) deltalog.Version {
	v, err := cmd.Flags().GetInt64("version")
	if err != nil || !cmd.Flags().Changed("version") {
		return pondfs.Newest
	}
	return deltalog.Version(max(v, 0))
}

func versionFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Int64("version", 0, "as it was at this version of the pond (default the newest)")
	return cmd
}

func (a *app) catCommand() *cobra.Command {
	return versionFlag(&cobra.Command{
		Use: "cat PATH", Short: "Print a file", Args: cli.Between(1, 1), ValidArgsFunction: a.pondPaths,
		Long:    "Print a file as it is. With --json, what is known of it instead.",
		Example: "  pond cat /data/animals.csv\n  pond cat /data/animals.csv --version 3\n  pond cat /etc/system.d/10-remote    # secrets are not shown",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			name, err := pondfs.Clean(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", cli.ErrUsage, err)
			}
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if steward.IsNode(name) && name != steward.SystemDir {
				n, err := p.Node(name)
				if err != nil {
					return err
				}
				return a.printNode(n)
			}
			view, err := p.FS.At(cmd.Context(), at(cmd))
			if err != nil {
				return err
			}
			if a.json {
				e, err := view.Stat(name)
				if err != nil {
					return noFile(name, err)
				}
				return a.printJSON(e)
			}
			r, err := view.Open(name)
			if err != nil {
				return noFile(name, err)
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			_, err = io.Copy(a.out, r)
			return err
		},
	})
}

// printNode prints a factory's configuration, without its secrets.
func (a *app) printNode(n steward.Node) error {
	if !a.json {
		_, err := a.out.Write(n.Shown())
		return err
	}
	c, err := n.Config()
	if err != nil {
		return err
	}
	return a.printJSON(struct {
		Path   string `json:"path"`
		Mode   string `json:"mode"`
		Config string `json:"config"`
	}{n.Path, c.Mode.String(), string(n.Shown())})
}

func (a *app) lsCommand() *cobra.Command {
	return versionFlag(&cobra.Command{
		Use: "ls [PATH]", Short: "List a directory", Args: cli.Between(0, 1), ValidArgsFunction: a.pondPaths,
		Example: "  pond ls /data\n  pond ls /data --version 3\n  pond ls /etc/system.d",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			name := append(args, "/")[0]
			list, err := a.entries(cmd.Context(), p, name, at(cmd))
			if err != nil {
				return noFile(name, err)
			}
			if a.json {
				return a.printJSON(list)
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, e := range list {
				if e.Kind == pondfs.KindDirectory {
					fmt.Fprintf(w, "%s/\t-\t-\n", e.Path)
					continue
				}
				fmt.Fprintf(w, "%s\t%s\tv%d\n", e.Path, cli.Bytes(e.Size), e.Version)
			}
			return w.Flush()
		},
	})
}

// entries lists a directory of the pond, or the factories.
func (a *app) entries(ctx context.Context, p *steward.Pond, name string, v deltalog.Version) ([]pondfs.Entry, error) {
	name, err := pondfs.Clean(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if name == steward.SystemDir {
		nodes, err := p.Nodes()
		list := []pondfs.Entry{}
		for _, n := range nodes {
			list = append(list, pondfs.Entry{Path: n.Path, Kind: "factory", Version: 1, Size: int64(len(n.Text))})
		}
		return list, err
	}
	view, err := p.FS.At(ctx, v)
	if err != nil {
		return nil, err
	}
	list, err := view.List(name)
	return append([]pondfs.Entry{}, list...), err // [] in JSON, where there is none
}
