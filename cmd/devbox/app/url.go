package app

import (
	"fmt"

	"github.com/spf13/cobra"
)

// address is a line of `devbox url`.
type address struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	URL       string `json:"url"`  // for a browser on this machine
	Host      string `json:"host"` // for the gateway, as the Host header
	Gateway   string `json:"gateway"`
}

func (d *devbox) urlCommand() *cobra.Command {
	return d.reports(&cobra.Command{
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
			addresses := []address{}
			for _, s := range services {
				addresses = append(addresses, address{s.Name, s.Namespace, c.url(&s), c.host(&s), c.box.Gateway()})
			}
			return d.printAddresses(addresses)
		},
	}, "text or json")
}

func (d *devbox) printAddresses(addresses []address) error {
	if d.output == jsonFormat {
		return d.printJSON(addresses)
	}
	for _, a := range addresses {
		fmt.Fprintln(d.stdout, a.URL)
		fmt.Fprintf(d.stderr, "   curl -H 'Host: %s' %s\n", a.Host, a.Gateway)
	}
	return nil
}
