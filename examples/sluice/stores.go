package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// configFlag adds --config to a command that takes TABLE URL.
func (a *app) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.config, "config", "", "take the store from this YAML file instead of URL, and the replicas that it names as well")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if a.config != "" && len(args) == 2 {
			return fmt.Errorf("%w: --config names the store, URL %s is one too many", cli.ErrUsage, args[1])
		}
		if a.config != "" {
			return cli.Between(1, 1)(cmd, args)
		}
		return cli.Between(2, 2)(cmd, args)
	}
}

// storeFlag adds --config to a command that takes one store, whose URL is args[at], or the last of
// them if at is negative: the file stands there then.
func (a *app) storeFlag(cmd *cobra.Command, at int) *cobra.Command {
	cmd.Flags().StringVar(&a.config, "config", "", "take the store from this YAML file instead of URL, and no replica that it names")
	check, run := cmd.Args, cmd.RunE
	withFile := func(args []string) []string {
		switch {
		case a.config == "" || at > len(args):
			return args
		case at < 0:
			return append(slices.Clone(args), a.config)
		}
		return slices.Insert(slices.Clone(args), at, a.config)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error { return check(cmd, withFile(args)) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return run(cmd, withFile(args)) }
	return cmd
}

// openStore opens the store of a URL, or that of --config, which may say more of it: that goes into
// opts.
func (a *app) openStore(ctx context.Context, url string, opts *remote.Options) (storage.Store, storage.Config, error) {
	c, err := a.configuration([]string{"", url})
	if err != nil {
		return nil, storage.Config{}, err
	}
	opts.CompressionLevel, opts.SourceID = c.CompressionLevel, c.SourcePondID
	c.Replicas = nil
	targets, places, err := a.stores(ctx, c)
	if err != nil {
		return nil, storage.Config{}, err
	}
	return targets[0].Store.(storage.Store), places[0], nil
}

// configuration is that of --config, or one that names the URL alone.
func (a *app) configuration(args []string) (*remote.Config, error) {
	if a.config != "" {
		c, err := remote.LoadConfig(a.config)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", cli.ErrUsage, err)
		}
		return c, nil
	}
	c := &remote.Config{URL: args[1], Mode: remote.ModePush}
	if _, err := c.Storage(); err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	return c, nil
}

// stores opens the store of c and those of its replicas, which are named by their
// places.
func (a *app) stores(ctx context.Context, c *remote.Config) (targets []remote.Target, places []storage.Config, err error) {
	for _, c := range append([]*remote.Config{c}, c.Replicas...) {
		place, err := c.Storage()
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", cli.ErrUsage, err)
		}
		name := place.String()
		if slices.ContainsFunc(targets, func(t remote.Target) bool { return t.Name == name }) {
			return nil, nil, fmt.Errorf("%w: %s: %s stands there twice", cli.ErrUsage, a.config, name)
		}
		store, err := openPlace(ctx, place)
		if err != nil {
			return nil, nil, err
		}
		places = append(places, place)
		targets = append(targets, remote.Target{Name: name, Store: store})
	}
	return targets, places, nil
}

// opened is what the command line names.
type opened struct {
	table   remote.LogReader
	targets []remote.Target
	opts    *remote.Options
}

// openAll opens what the command line names, with what the flags say and, if more is
// not nil, what the command adds.
func (a *app) openAll(ctx context.Context, args []string, more func(*remote.Options, *remote.Config) error) (*opened, error) {
	opts, err := a.options()
	if err != nil {
		return nil, err
	}
	c, err := a.configuration(args)
	if err != nil {
		return nil, err
	}
	opts.CompressionLevel = c.CompressionLevel
	if more != nil {
		if err := more(opts, c); err != nil {
			return nil, err
		}
	}
	targets, places, err := a.stores(ctx, c)
	if err != nil {
		return nil, err
	}
	table, err := openTable(ctx, args[0], places...)
	return &opened{table, targets, opts}, err
}

func (o *opened) multi() (*remote.Multi, error) { return remote.NewMulti(o.table, o.targets, o.opts) }

// label is the name of a store where there are several, else "".
func (o *opened) label(name string) string {
	if len(o.targets) == 1 {
		return ""
	}
	return name
}
