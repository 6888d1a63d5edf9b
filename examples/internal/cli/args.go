package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Between makes a check of the number of arguments that fails as a usage error.
func Between(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if i := slices.Index(args, ""); i >= 0 {
			return fmt.Errorf("%w: argument %d is empty; see %s --help", ErrUsage, i+1, cmd.CommandPath())
		}
		if low <= len(args) && len(args) <= high {
			return nil
		}
		problem := "too many arguments"
		if len(args) < low {
			problem = "too few arguments"
		}
		_, takes, _ := strings.Cut(cmd.Use, " ")
		if takes != "" {
			takes = " " + takes
		}
		return fmt.Errorf("%w: %s: %s%s; see %s --help", ErrUsage, problem, cmd.CommandPath(), takes, cmd.CommandPath())
	}
}

// Excluding refuses two flags that are given together.
func Excluding(cmd *cobra.Command, one, other string) error {
	if cmd.Flags().Changed(one) && cmd.Flags().Changed(other) {
		return fmt.Errorf("%w: --%s and --%s exclude each other; see %s --help", ErrUsage, one, other, cmd.CommandPath())
	}
	return nil
}

// NoSuchCommand refuses the arguments of a command that only has subcommands.
func NoSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		hint = "; did you mean " + strings.Join(s, " or ") + "?"
	}
	return fmt.Errorf("%w: unknown command %q%s; see %s --help", ErrUsage, args[0], hint, cmd.CommandPath())
}

// FlagError is a usage error that says where the flags are explained.
func FlagError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w: %w; see %s --help", ErrUsage, err, cmd.CommandPath())
}

// ShowHelp is what a command does that only has subcommands.
func ShowHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }
