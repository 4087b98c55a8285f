package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exitCodesTopic is `devbox help exit-codes`.
func exitCodesTopic() *cobra.Command {
	var long strings.Builder
	long.WriteString("devbox ends with one of these exit codes:\n\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&long, "  %3d  %s\n", c.code, c.meaning)
	}
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  strings.TrimSuffix(long.String(), "\n"),
	}
}
