package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// revisionStatus is a line of `devbox revisions`.
type revisionStatus struct {
	Name       string    `json:"name"`
	Namespace  string    `json:"namespace"`
	Service    string    `json:"service"`
	Percent    int64     `json:"percent"`        // of the service's traffic
	Tags       []string  `json:"tags,omitempty"` // by which it has a host of its own
	Generation int64     `json:"generation"`     // of the service, that it was made of
	Created    time.Time `json:"created"`
	Replicas   int32     `json:"replicas"` // pods that answer
	Desired    int32     `json:"desired"`  // pods that the autoscaler wants
	Ready      string    `json:"ready"`    // True, False or Unknown
	Reason     string    `json:"reason,omitempty"`
	Message    string    `json:"message,omitempty"`
}

func (d *devbox) revisionsCommand() *cobra.Command {
	return d.lists(&cobra.Command{
		Use:   "revisions [service]",
		Short: "List the revisions of a service, or of every service, the newest first",
		Long: `List the revisions of a service, or of every service, the newest first: the share
of the traffic that each has, its tags, its pods, and whether it is ready, or why
it is not. One that takes no traffic goes to zero pods and comes back when asked.`,
		Example: `  devbox revisions hello
  devbox revisions hello -o json | jq -r '.[] | select(.percent > 0) | .name'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: d.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			services, err := c.chosen(cmd.Context(), "revisions", args)
			if err != nil {
				return err
			}
			all := []revisionStatus{}
			for i := range services {
				of, err := c.revisionsOf(cmd.Context(), &services[i])
				if err != nil {
					return classify(codeCluster, err, d.command("status"))
				}
				for j := range of {
					all = append(all, newRevisionStatus(&services[i], &of[j]))
				}
			}
			return d.list(all, func(table *tabwriter.Writer) { revisionsTable(table, all) })
		},
	})
}

// chosen is the service that is named, or all of them where none is.
func (c *cluster) chosen(ctx context.Context, command string, args []string) ([]servingv1.Service, error) {
	if len(args) == 0 {
		return c.services(ctx, "")
	}
	s, err := c.oneService(ctx, command, args[0])
	if err != nil {
		return nil, err
	}
	return []servingv1.Service{*s}, nil
}

// revisionsOf are the revisions of a service, the newest first.
func (c *cluster) revisionsOf(ctx context.Context, s *servingv1.Service) ([]servingv1.Revision, error) {
	var list servingv1.RevisionList
	if err := c.client.List(ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{servingv1.ServiceLabel: s.Name}); err != nil {
		return nil, fmt.Errorf("listing the revisions of %s: %w", s.Name, err)
	}
	slices.SortFunc(list.Items, func(a, b servingv1.Revision) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
	})
	return list.Items, nil
}

// revision is the revision of a service that is named, which must be there.
func (c *cluster) revision(ctx context.Context, s *servingv1.Service, name string) (*servingv1.Revision, error) {
	all, err := c.revisionsOf(ctx, s)
	if err != nil {
		return nil, classify(codeCluster, err, c.d.command("status"))
	}
	if i := slices.IndexFunc(all, func(r servingv1.Revision) bool { return r.Name == name }); i >= 0 {
		return &all[i], nil
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	return nil, &problem{
		code: codeUsage, cause: fmt.Errorf("%s has no revision %q; %s", s.Name, name, thereAre("revisions", names)),
		next: c.d.command("revisions " + s.Name),
	}
}

// newRevisionStatus is a revision with what its service gives it.
func newRevisionStatus(s *servingv1.Service, r *servingv1.Revision) revisionStatus {
	generation, _ := strconv.ParseInt(r.Labels[servingv1.ConfigurationGenerationLabel], 10, 64) // the platform writes it
	status := revisionStatus{
		Name: r.Name, Namespace: r.Namespace, Service: s.Name, Created: r.CreationTimestamp.Time,
		Generation: generation, Ready: string(corev1.ConditionUnknown),
	}
	for _, t := range s.Status.Traffic {
		if t.RevisionName != r.Name {
			continue
		}
		if t.Percent != nil {
			status.Percent += *t.Percent
		}
		if t.Tag != "" {
			status.Tags = append(status.Tags, t.Tag)
		}
	}
	if n := r.Status.ActualReplicas; n != nil {
		status.Replicas = *n
	}
	if n := r.Status.DesiredReplicas; n != nil {
		status.Desired = *n
	}
	if c := r.Status.Condition(servingv1.ConditionReady); c != nil {
		status.Ready, status.Reason, status.Message = string(c.Status), c.Reason, c.Message
	}
	return status
}

func revisionsTable(table io.Writer, revisions []revisionStatus) {
	fmt.Fprintf(table, "REVISION\tSERVICE\tTRAFFIC\tTAGS\tGENERATION\tAGE\tPODS\tREADY\tREASON\n")
	for _, r := range revisions {
		traffic := "-"
		if r.Percent > 0 {
			traffic = fmt.Sprintf("%d%%", r.Percent)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%d/%d\t%s\t%s\n", r.Name, r.Service, traffic, cmp.Or(strings.Join(r.Tags, ","), "-"),
			r.Generation, age(r.Created), r.Replicas, r.Desired, r.Ready, reason(r.Reason, r.Message))
	}
}

// age is how long ago something was made, as kubectl writes it.
func age(created time.Time) string { return duration.HumanDuration(time.Since(created)) }

// reason is Knative's one word, with the first line of its message where there
// is one.
func reason(word, message string) string {
	message, _, _ = strings.Cut(message, "\n")
	if message == "" {
		return word
	}
	return word + ": " + message
}
