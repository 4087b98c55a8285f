package app

import (
	"cmp"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

func (d *devbox) imagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List or fetch the images a box is made of",
		Long: `A box is made of three images: the node's, which holds all of Kubernetes, and
two of Istio's. With observability it has those of Prometheus, Zipkin and Grafana
too. They come from container registries, or from a directory, an OCI layout,
that ` + "`devbox up --images`" + ` is given. The images of the serving stack and of your
services are built on this machine.`,
		Args: cobra.NoArgs, // names an unknown command
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(d.imagesListCommand(), d.imagesPullCommand())
	return cmd
}

// wantedImage is a line of `devbox images list`.
type wantedImage struct {
	Role   images.Role `json:"role"`
	Image  string      `json:"image"`
	Source string      `json:"source"`         // the registries, or a directory
	With   string      `json:"with,omitempty"` // what asks for it; "" where every box needs it
}

func (d *devbox) imagesListCommand() *cobra.Command {
	var dir string
	cmd := d.reports(&cobra.Command{
		Use:   "list",
		Short: "List what a box needs and where it comes from",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			set, source := releasedImages(), "container registry"
			if dir != "" {
				var err error
				if set, err = images.FromLayout(dir); err != nil {
					return classify(codePrerequisite, err, "devbox images pull "+dir)
				}
				source = set.Layout
			}
			return d.printImages(set, source)
		},
	}, "text or json")
	cmd.Flags().StringVar(&dir, "images", "", "look into this OCI layout")
	envName(cmd.Flags(), "images")
	return cmd
}

func (d *devbox) printImages(set images.Set, source string) error {
	var wanted []wantedImage
	for _, role := range set.Roles() {
		image := wantedImage{Role: role, Image: set.Ref(role), Source: source}
		if slices.Contains(images.Observability, role) {
			image.With = bootstrap.Observability
		}
		wanted = append(wanted, image)
	}
	if d.output == jsonFormat {
		return d.printJSON(wanted)
	}
	table := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROLE\tIMAGE\tFROM\tWITH")
	for _, image := range wanted {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", image.Role, image.Image, image.Source, cmp.Or(image.With, "-"))
	}
	return table.Flush()
}

func (d *devbox) imagesPullCommand() *cobra.Command {
	with := words{of: []string{bootstrap.Observability}}
	cmd := d.reports(&cobra.Command{
		Use:   "pull directory",
		Short: "Fetch the images of a box into a directory, for use without a network",
		Long: `Fetch the released images of a box from their registries into an OCI layout. A
box comes up from it with no network at all:

    devbox images pull ./images
    devbox up --images ./images

What is there already is not fetched again. Those of Prometheus, Zipkin and
Grafana come along with --with observability. -o json prints one event a line.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reader := d.reader()
			defer reader.Close()
			set := releasedImages()
			roles := images.Needed
			if len(with.are) > 0 {
				roles = set.Roles()
			}
			if err := pullImages(cmd.Context(), set, roles, args[0], reader.Show); err != nil {
				return classify(codePrerequisite, err, "the same command again, where the registries are in reach")
			}
			if d.output == jsonFormat {
				return nil
			}
			_, err := fmt.Fprintln(d.stdout, args[0])
			return err
		},
	}, "text or json")
	cmd.Flags().Var(&with, "with", "fetch the images of this, too: observability")
	envName(cmd.Flags(), "with")
	return cmd
}
