package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pondworks/sluice/examples/internal/cli"
	"github.com/pondworks/sluice/examples/pond/steward"
	"github.com/pondworks/sluice/remote"
)

// leftovers is what repair found in the store of one factory.
type leftovers struct {
	Node  string            `json:"node"`
	Store string            `json:"store,omitempty"` // where the node has several
	Found []remote.Leftover `json:"leftovers"`
}

func (a *app) repairCommand() *cobra.Command {
	remove := false
	cmd := &cobra.Command{
		Use: "repair", Short: "Show what another history left in the store, and remove it", Args: cli.Between(0, 0),
		Long: `Show what lies in the store and is no part of the pond's history: a primary that died may have left
versions above a gap. If they are of another history than this pond they keep its pushes from going
on, and --delete removes them. What the store's history has is never touched.`,
		Example: "  pond backup repair\n  pond backup repair --delete",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			list := []leftovers{}
			err = a.eachStore(cmd.Context(), p, remote.ModePush, noPush, func(n steward.Node, s steward.Store) error {
				found, err := s.Repair(cmd.Context(), remove)
				list = append(list, leftovers{n.Path, s.Name, append([]remote.Leftover{}, found...)})
				if perr := a.printLeftovers(steward.Label(n.Path, s.Name), found, err == nil); err == nil {
					err = perr
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
	cmd.Flags().BoolVar(&remove, "delete", false, "remove what is in the way of the next push")
	return cmd
}

func (a *app) printLeftovers(node string, found []remote.Leftover, complete bool) error {
	if a.json {
		return nil
	}
	if len(found) == 0 && complete {
		_, err := fmt.Fprintf(a.out, "%s: nothing is in the way\n", node)
		return err
	}
	for _, l := range found {
		what := "not in this pond's way: kept"
		switch {
		case l.Removed:
			what = string(l.InTheWay) + ": removed"
		case l.InTheWay != "":
			what = string(l.InTheWay) + "; pond backup repair --delete removes it"
		}
		if _, err := fmt.Fprintf(a.out, "%s: %s: versions %d to %d, %s\n", node, l.Key, l.First, l.Last, what); err != nil {
			return err
		}
	}
	return nil
}
