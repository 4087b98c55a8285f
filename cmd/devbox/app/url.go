package app

import (
	"fmt"

	"github.com/spf13/cobra"
)

// address is a line of `devbox url`.
type address struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	URL       string `json:"url"`               // for a browser on this machine, "" where there is none
	Unfound   string `json:"unfound,omitempty"` // why there is none
	Host      string `json:"host"`              // for the gateway, as the Host header
	Gateway   string `json:"gateway"`
}

func (d *devbox) urlCommand() *cobra.Command {
	return d.reports(&cobra.Command{
		Use:   "url [service]",
		Short: "Print where a service, or every service, answers",
		Long: `Print where a service, or every service, answers, a URL a line. How to ask by
the host that the service has in its own status goes to stderr. A service that
no browser finds, being for the cluster only or by what config-network says, has
no URL: the reason goes to stderr, and asked for by name it is an error. Where two
namespaces have a service of the same name, namespace/service is one of them.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			services, err := c.services(cmd.Context(), name)
			if err != nil {
				return err
			}
			addresses := []address{}
			for _, s := range services {
				url, why := c.url(&s)
				addresses = append(addresses, address{s.Name, s.Namespace, url, why, c.host(&s), c.box.Gateway()})
			}
			return d.printAddresses(name, addresses)
		},
	}, "text or json")
}

// printAddresses prints them; where the service of a name has no URL, a script
// that asked for it is told so.
func (d *devbox) printAddresses(name string, addresses []address) error {
	if d.output == jsonFormat {
		return d.printJSON(addresses)
	}
	found := 0
	for _, a := range addresses {
		if a.URL != "" {
			found++
			fmt.Fprintln(d.stdout, a.URL)
		} else if name == "" {
			fmt.Fprintf(d.stderr, "   no browser finds %s: %s\n", a.Name, a.Unfound)
		}
		fmt.Fprintf(d.stderr, "   curl -H 'Host: %s' %s\n", a.Host, a.Gateway)
	}
	if name != "" && found == 0 {
		return fmt.Errorf("no browser finds %s: %s", name, addresses[0].Unfound)
	}
	return nil
}
