package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

func (a *app) pushCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "push TABLE URL", Short: "Copy new versions of TABLE into the store",
		Long: `Copy new versions of TABLE into the store. With --config FILE instead of URL also into all
stores that the file names as replicas: each version is read and compressed once, and a
store that is down delays no other.`,
		Example: `  sluice push /var/pond/data s3://my-pond-backups/prod?region=us-west-2
  sluice push /var/pond/data --config pond.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.push(cmd.Context(), args) },
	}
	a.configFlag(cmd)
	a.pushFlags(cmd)
	return cmd
}

func (a *app) push(ctx context.Context, args []string) error {
	o, err := a.openAll(ctx, args, func(_ *remote.Options, c *remote.Config) error {
		if c.Mode != remote.ModePush {
			return fmt.Errorf("%w: %s is of mode %s, that of a replica, which is not pushed from", cli.ErrUsage, a.config, c.Mode)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m, err := o.multi()
	if err != nil {
		return err
	}
	reports, err := m.Push(ctx)
	if len(reports) == 1 {
		err = reports[0].Err // which store, the user knows
	}
	for _, r := range reports {
		if r.Err == nil || r.Report.Versions > 0 || a.json { // else the error tells all
			err = errors.Join(err, a.printReport(o.label(r.Name), r.Report, r.Err))
		}
	}
	return err
}

// printReport prints a line; label names the store where there are several, else it
// is empty. What went wrong is told in JSON alone: else it comes at the end.
func (a *app) printReport(label string, r remote.Report, failed error) error {
	a.printing.Lock()
	defer a.printing.Unlock()
	if a.json {
		return a.printJSON(struct {
			Store string `json:"store,omitempty"`
			remote.Report
			Error string `json:"error,omitempty"`
		}{label, r, errorText(failed)})
	}
	what := "nothing new"
	if r.Versions > 0 {
		what = fmt.Sprintf("versions %d to %d: %d files, %d bytes", r.First, r.Last, r.Files, r.Bytes)
	}
	if r.Base != nil {
		what += fmt.Sprintf("; base of version %d", *r.Base)
	}
	if r.Present > 0 {
		what += fmt.Sprintf("; %d were there already", r.Present)
	}
	if r.Absent > 0 {
		what += fmt.Sprintf("; %d files recorded absent", r.Absent)
	}
	if r.Remaining > 0 {
		what += fmt.Sprintf("; %d left for the next push", r.Remaining)
	}
	q := r.Requests
	_, err := fmt.Fprintf(a.out, "%s: %s (%d PUT, %d GET, %d LIST, %s)\n", prefixed(label, r.Mode), what, q.Put, q.Get, q.List, r.Duration.Round(time.Millisecond))
	return err
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (a *app) printJSON(v any) error { return json.NewEncoder(a.out).Encode(v) }

// prefixed puts the label of a store before a text, if there is one.
func prefixed(label, text string) string {
	if label == "" {
		return text
	}
	return label + ": " + text
}
