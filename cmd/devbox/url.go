package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (d *devbox) urlCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "url [service]",
		Short: "Print where a service, or every service, answers",
		Long: `Print where a service, or every service, answers, a URL a line. How to ask by
the host that the service has in its own status goes to stderr.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			c, err := d.cluster()
			if err != nil {
				return err
			}
			services, err := c.services(cmd.Context(), name)
			if err != nil {
				return err
			}
			for _, service := range services {
				fmt.Fprintln(d.stdout, c.url(&service))
				fmt.Fprintf(d.stderr, "   curl -H 'Host: %s' %s\n", c.host(&service), c.box.Gateway())
			}
			return nil
		},
	}
}
