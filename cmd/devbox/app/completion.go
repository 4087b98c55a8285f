package app

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// completes is how long a shell's completion waits for a box. One that does not
// answer by then has nothing to offer.
const completes = time.Second

// completeServices offers the services of the box, in the place of the first
// argument.
func (d *devbox) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		var list servingv1.ServiceList
		d.complete(cmd, &list)
		for _, s := range list.Items {
			names = append(names, s.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeRevisions does the same, and offers the revisions of the service in the
// place of the second, the newest first.
func (d *devbox) completeRevisions(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return d.completeServices(cmd, args, typed)
	}
	var list servingv1.RevisionList
	_, service := split(args[0])
	d.complete(cmd, &list, client.MatchingLabels{servingv1.ServiceLabel: service})
	var names []string
	for _, r := range list.Items {
		if r.IsReady() {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// complete lists what there is in the box that the command line names. There is
// nobody to tell what goes wrong.
func (d *devbox) complete(cmd *cobra.Command, list client.ObjectList, options ...client.ListOption) {
	if fromEnvironment(cmd.Flags()) != nil {
		return
	}
	c, err := d.cluster(cmd.Context())
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completes)
	defer cancel()
	_ = c.client.List(ctx, list, options...)
}

// completeShares offers the revisions of the service that is named, and the
// latest, where a share or a tag is given to one.
func (d *devbox) completeShares(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	revisions, _ := d.completeRevisions(cmd, args, typed)
	names := []string{deploy.Latest + "="}
	for _, r := range revisions {
		names = append(names, r+"=")
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
}
