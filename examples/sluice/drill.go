package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

func (a *app) drillCommand() *cobra.Command {
	var d remote.DrillOptions
	cmd := &cobra.Command{
		Use: "drill URL", Short: "Rehearse a restore into a temporary folder, check it and tell how long it took", Args: cli.Between(1, 1),
		Long: `Restores a version, one at random unless --version names it, into a temporary folder, reads
it back and compares it with what the store says, removes it, and tells how long it took. A
backup that was never restored is a hope: run this every night.`,
		Example: "  sluice drill s3://my-pond-backups/prod --history live",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("version") {
				if a.version < 0 {
					return fmt.Errorf("%w: --version %d: versions begin at 0", cli.ErrUsage, a.version)
				}
				v := deltalog.Version(a.version)
				d.Version = &v
			}
			opts, err := a.options()
			if err != nil {
				return err
			}
			store, _, err := a.openStore(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			done, err := remote.Drill(cmd.Context(), store, opts, d)
			if perr := a.printDrilled(done, err); err == nil {
				err = perr
			}
			return err
		},
	}
	cmd.Flags().Int64Var(&a.version, "version", -1, "restore this version (default one at random)")
	cmd.Flags().StringVar(&a.history, "history", "full", "full: every version; live: begin at the newest base, with only its live files")
	cmd.Flags().StringVar(&d.Folder, "folder", "", "make the temporary folder in this one (default the system's)")
	return a.storeFlag(cmd, 0)
}

func (a *app) printDrilled(d remote.Drilled, err error) error {
	if a.json {
		d.Check.Findings = append([]remote.Finding{}, d.Check.Findings...) // [] in JSON, where there is none
		return a.printJSON(d)
	}
	t := d.Check.Table
	if t == nil {
		return nil // the error tells
	}
	for _, f := range d.Check.Findings {
		if _, perr := fmt.Fprintln(a.out, f); perr != nil {
			return perr
		}
	}
	verdict := "all of it as the store says"
	if err != nil {
		verdict = "not as it should be"
	}
	if t.Absent > 0 {
		verdict += fmt.Sprintf("; %d that it needs were gone before they were pushed", t.Absent)
	}
	r := d.Restore
	_, perr := fmt.Fprintf(a.out, "version %d restored in %s: %d files, %d bytes (%d GET, %d LIST)\nread back and compared in %s: %d commits, %d files, %s\n",
		d.Version, r.Duration.Round(time.Millisecond), r.Files, r.Bytes, r.Requests.Get, r.Requests.List,
		d.Check.Duration.Round(time.Millisecond), t.Commits, t.Files, verdict)
	return perr
}
