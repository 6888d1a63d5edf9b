package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/remote"
)

func (a *app) verifyCommand() *cobra.Command {
	var opts remote.VerifyOptions
	cmd := &cobra.Command{
		Use: "verify [TABLE] URL", Short: "Check what is in the store, and with TABLE whether that is the same", Args: cli.Between(1, 2),
		Long: `Checks that every version follows the one before, that every bundle is there, that all
bases are whole and what they refer to is there; with --data it reads everything and compares
all digests. With TABLE it also tells whether the table is the same, and what differs: by
size, with --data by content. All that is wrong is listed; lines that begin with "note" are
no problem. Without problems the exit code is 0.`,
		Example: `  sluice verify s3://my-pond-backups/prod
  sluice verify /var/replica s3://my-pond-backups/prod --data --state verify.state`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.State != "" && !opts.Data {
				return fmt.Errorf("%w: --state is for --data", cli.ErrUsage)
			}
			table, url := "", args[len(args)-1]
			if len(args) == 2 {
				table = args[0]
			}
			rep, err := a.open(cmd.Context(), table, url)
			if err != nil {
				return err
			}
			v, err := rep.Verify(cmd.Context(), opts)
			if perr := a.printVerification(v); err == nil {
				err = perr
			}
			if err == nil {
				err = v.Err()
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&opts.Data, "data", false, "read everything and compare all digests")
	cmd.Flags().StringVar(&opts.State, "state", "", "keep in this file what --data has read and found good, to go on if it is cut off")
	return a.storeFlag(cmd, -1)
}

// wayOut says what to do where something is wrong with the table or the store.
func wayOut(v remote.Verification) string {
	switch {
	case v.StoreProblems() > 0 && v.Table != nil:
		return "the store is not whole: keep this table, as what it has may be had nowhere else\n"
	case v.Table != nil && v.Table.Absent > 0 || v.Problems() == 0:
		return ""
	}
	return "sluice init into an empty folder brings back what the table lacks or has changed: take that folder, or copy the files from there\n"
}

func (a *app) printVerification(v remote.Verification) error {
	if a.json {
		v.Findings = append([]remote.Finding{}, v.Findings...) // [] in JSON, where there is none
		return a.printJSON(v)
	}
	var b strings.Builder
	for _, f := range v.Findings {
		if f.Problem {
			b.WriteString("PROBLEM " + f.String() + "\n")
		} else {
			b.WriteString("note " + f.String() + "\n")
		}
	}
	if v.Omitted > 0 {
		fmt.Fprintf(&b, "and %d more\n", v.Omitted)
	}
	if v.Lineage != "" {
		fmt.Fprintf(&b, "versions %d to %d: %d bundles, %d bases, %d files, %d bytes\n", v.First, v.Last, v.Bundles, v.Bases, v.Files, v.Bytes)
	}
	if v.Read+v.Resumed > 0 {
		fmt.Fprintf(&b, "%d bundles read in full, %d by an earlier verify\n", v.Read, v.Resumed)
	}
	if t := v.Table; t != nil {
		same := "not the same as"
		if t.Identical {
			same = "identical to"
		}
		fmt.Fprintf(&b, "the table, version %d, is %s the store: %d commits and %d files (%d bytes) are the same, %d ahead, %d behind, %d old files vacuumed\n",
			t.Version, same, t.Commits, t.Files, t.Bytes, t.Ahead, t.Behind, t.Vacuumed)
		if t.Absent > 0 {
			fmt.Fprintf(&b, "%d files that it needs were gone before they were pushed: nobody can read that version in full\n", t.Absent)
		}
		b.WriteString(wayOut(v))
	}
	if v.Lineage == "" && v.Problems() == 0 {
		return nil // nothing was looked at, as the error says
	}
	q := v.Requests
	fmt.Fprintf(&b, "%d problems (%d GET, %d LIST, %s)\n", v.Problems(), q.Get, q.List, v.Duration.Round(time.Millisecond))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
