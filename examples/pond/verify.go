package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

// verified is what verify found out about one factory.
type verified struct {
	Node  string `json:"node"`
	Store string `json:"store,omitempty"` // where the node has several
	remote.Verification
}

func (a *app) verifyCommand() *cobra.Command {
	var opts remote.VerifyOptions
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the backups, and whether they are the same as this pond", Args: cli.Between(0, 0),
		Long: `Check that every version in the backups follows the one before, that nothing is missing, and that
the pond's files have the sizes that the backups say. With --data read every byte and compare
all digests. All that is wrong is listed.`,
		Example: "  pond backup verify\n  pond backup verify --data",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []verified{}
			err = a.eachStore(cmd.Context(), p, remote.ModePush, noPush, func(n steward.Node, s steward.Store) error {
				v, err := s.Verify(cmd.Context(), opts)
				if err != nil {
					return err
				}
				v.Findings = append([]remote.Finding{}, v.Findings...) // [] in JSON, where there is none
				list = append(list, verified{n.Path, s.Name, v})
				if !a.json {
					err = a.printVerification(steward.Label(n.Path, s.Name), v)
				}
				if err == nil {
					err = v.Err()
				}
				return err
			})
			if a.json && len(list) > 0 {
				if perr := a.printJSON(list); err == nil {
					err = perr
				}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&opts.Data, "data", false, "read every byte")
	return cmd
}

func (a *app) printVerification(node string, v remote.Verification) error {
	paint := cli.NewPaint(a.out)
	for _, f := range v.Findings {
		line := paint.Faint("note: " + f.String())
		if f.Problem {
			line = paint.Bad("problem: ") + f.String()
		}
		if _, err := fmt.Fprintf(a.out, "%s: %s\n", node, line); err != nil {
			return err
		}
	}
	if v.Omitted > 0 {
		if _, err := fmt.Fprintf(a.out, "%s: and %d more\n", node, v.Omitted); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.out, "%s: versions %d to %d: %s, %s, %s; %s; %s (%d GET, %d LIST, %s)\n", node, v.First, v.Last, cli.Count(v.Bundles, "bundle"),
		cli.Count(v.Files, "file"), cli.Bytes(v.Bytes), tableText(v), problemsText(paint, v.Problems()), v.Requests.Get, v.Requests.List, v.Duration.Round(time.Millisecond))
	return err
}

func tableText(v remote.Verification) string {
	t := v.Table
	switch {
	case t == nil:
		return "nothing to compare it with"
	case t.Ahead > 0:
		return fmt.Sprintf("%s of this pond not pushed yet", cli.Count(t.Ahead, "version"))
	case t.Identical:
		return "this pond is the same"
	case v.Problems() == 0 && t.Behind == 0:
		return "this pond is the same, but for what the notes say"
	}
	return "this pond is not the same"
}

func problemsText(paint cli.Paint, n int) string {
	if n == 0 {
		return paint.Good("no problems")
	}
	return paint.Bad(cli.Count(n, "problem"))
}
