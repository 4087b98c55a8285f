package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (d *devbox) servicesCommand() *cobra.Command {
	return d.lists(&cobra.Command{
		Use:   "services",
		Short: "List the services of the box",
		Long: `List the services of the box, of all namespaces: where each answers, the revision
that has most of its traffic, how many pods that has and is to have, and whether it
is ready. ` + "`devbox describe NAME`" + ` says more of one, ` + "`devbox status`" + ` of the box.`,
		Example: `  devbox services
  devbox services -o json | jq -r '.[].name'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			services, err := c.serviceStatuses(cmd.Context())
			if err != nil {
				return classify(codeCluster, err, d.command("status"))
			}
			return d.list(services, func(table *tabwriter.Writer) { servicesTable(table, services) })
		},
	})
}

// serviceStatuses are how it is with all services. JSON has a list, also of none.
func (c *cluster) serviceStatuses(ctx context.Context) ([]serviceStatus, error) {
	services, err := c.services(ctx, "")
	if err != nil {
		return nil, err
	}
	all := []serviceStatus{}
	for i := range services {
		one, err := c.serviceStatus(ctx, &services[i])
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func servicesTable(table io.Writer, services []serviceStatus) {
	fmt.Fprintf(table, "SERVICE\tURL\tREVISION\tPODS\tREADY\tREASON\n")
	for _, s := range services {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d/%d\t%s\t%s\n", s.Name, cmp.Or(s.URL, s.Host),
			cmp.Or(s.Serving, s.Revision, "-"), s.Replicas, s.Desired, s.Ready, s.why())
	}
}
