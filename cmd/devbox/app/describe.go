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
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/dotenv"
)

// serviceDescription is what `devbox describe` says of a service.
type serviceDescription struct {
	serviceStatus
	Created    time.Time         `json:"created"`
	Conditions []conditionStatus `json:"conditions"`
	Traffic    []trafficStatus   `json:"traffic"`
	Revisions  []revisionStatus  `json:"revisions"`
	Containers []containerStatus `json:"containers"` // of the revision that comes next
}

// revisionDescription is what it says of a revision.
type revisionDescription struct {
	revisionStatus
	ScaleReason string            `json:"scaleReason,omitempty"` // why the autoscaler wants the pods that it wants
	Conditions  []conditionStatus `json:"conditions"`
	Containers  []containerStatus `json:"containers"`
	Pods        []podStatus       `json:"pods"`
}

type conditionStatus struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
}

type containerStatus struct {
	Name        string           `json:"name"`
	Image       string           `json:"image"`
	Port        int32            `json:"port,omitempty"` // of the one that takes the requests
	Environment []variableStatus `json:"environment"`
}

// variableStatus is a variable of a container. Its value may be secret, and is
// never shown.
type variableStatus struct {
	Name string `json:"name"`
	From string `json:"from"` // who says it, for people
}

type podStatus struct {
	Name     string    `json:"name"`
	Phase    string    `json:"phase"`
	Ready    bool      `json:"ready"`
	Restarts int32     `json:"restarts"`
	Created  time.Time `json:"created"`
}

func (d *devbox) describeCommand() *cobra.Command {
	return d.lists(&cobra.Command{
		Use:   "describe service [revision]",
		Short: "Say all of a service, or of one of its revisions",
		Long: `Say all there is to say of a service: where it answers, where its traffic goes, its
revisions, its conditions, and what its containers run, with the names of their
variables and who says them, and never a value. Of a revision that is named it says
the pods, and why there are so many of them.`,
		Example: `  devbox describe hello
  devbox describe hello hello-00002
  devbox describe hello -o json | jq -r '.containers[0].image'`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: d.completeRevisions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			s, err := c.oneService(cmd.Context(), "describe", args[0])
			if err != nil {
				return err
			}
			if len(args) > 1 {
				r, err := c.revision(cmd.Context(), s, args[1])
				if err != nil {
					return err
				}
				said, err := c.describeRevision(cmd.Context(), s, r)
				if err != nil {
					return classify(codeCluster, err, d.command("status"))
				}
				return d.list(said, said.print)
			}
			said, err := c.describeService(cmd.Context(), s)
			if err != nil {
				return classify(codeCluster, err, d.command("status"))
			}
			return d.list(said, said.print)
		},
	})
}

func (c *cluster) describeService(ctx context.Context, s *servingv1.Service) (*serviceDescription, error) {
	status, err := c.serviceStatus(ctx, s)
	if err != nil {
		return nil, err
	}
	revisions, err := c.revisionsOf(ctx, s)
	if err != nil {
		return nil, err
	}
	said := &serviceDescription{
		serviceStatus: status, Created: s.CreationTimestamp.Time, Conditions: conditionsOf(&s.Status.Status),
		Traffic: c.trafficOf(s), Revisions: []revisionStatus{},
		Containers: containersOf(&s.Spec.Template.Spec.PodSpec, s.Spec.Template.Annotations),
	}
	for i := range revisions {
		said.Revisions = append(said.Revisions, newRevisionStatus(s, &revisions[i]))
	}
	return said, nil
}

func (c *cluster) describeRevision(ctx context.Context, s *servingv1.Service, r *servingv1.Revision) (*revisionDescription, error) {
	var pods corev1.PodList
	if err := c.client.List(ctx, &pods, client.InNamespace(r.Namespace), client.MatchingLabels{servingv1.RevisionLabel: r.Name}); err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", r.Name, err)
	}
	said := &revisionDescription{
		revisionStatus: newRevisionStatus(s, r), ScaleReason: r.Status.Annotations[servingv1.ScaleReasonAnnotation],
		Conditions: conditionsOf(&r.Status.Status), Containers: containersOf(&r.Spec.PodSpec, r.Annotations), Pods: []podStatus{},
	}
	for i := range pods.Items {
		said.Pods = append(said.Pods, newPodStatus(&pods.Items[i]))
	}
	return said, nil
}

func conditionsOf(s *servingv1.Status) []conditionStatus {
	all := []conditionStatus{}
	for _, c := range s.Conditions {
		all = append(all, conditionStatus{string(c.Type), string(c.Status), c.LastTransitionTime.Time, c.Reason, c.Message})
	}
	return all
}

// containersOf are the containers of a spec: those that run first are not told of.
func containersOf(p *servingv1.PodSpec, annotations map[string]string) []containerStatus {
	all := []containerStatus{}
	serving := p.ServingContainer()
	for i := range p.Containers {
		c := &p.Containers[i]
		one := containerStatus{Name: cmp.Or(c.Name, servingv1.UserContainer), Image: c.Image, Environment: []variableStatus{}}
		if c == serving {
			one.Port = c.UserPort()
		}
		for _, v := range c.Env {
			from := sourceOf(&v)
			if c == serving && slices.Contains(strings.Split(annotations[dotenv.Annotation], ","), v.Name) {
				from = ".env"
			}
			one.Environment = append(one.Environment, variableStatus{v.Name, from})
		}
		for _, from := range c.EnvFrom {
			one.Environment = append(one.Environment, variableStatus{from.Prefix + "*", wholeSourceOf(&from)})
		}
		all = append(all, one)
	}
	return all
}

// sourceOf says where a variable's value is from.
func sourceOf(v *servingv1.EnvVar) string {
	switch from := v.ValueFrom; {
	case from == nil:
	case from.SecretKeyRef != nil:
		return "Secret " + from.SecretKeyRef.Name
	case from.ConfigMapKeyRef != nil:
		return "ConfigMap " + from.ConfigMapKeyRef.Name
	}
	return "the manifest"
}

func wholeSourceOf(from *corev1.EnvFromSource) string {
	switch {
	case from.SecretRef != nil:
		return "Secret " + from.SecretRef.Name
	case from.ConfigMapRef != nil:
		return "ConfigMap " + from.ConfigMapRef.Name
	}
	return "the manifest"
}

func newPodStatus(pod *corev1.Pod) podStatus {
	p := podStatus{Name: pod.Name, Phase: string(pod.Status.Phase), Ready: isReadyPod(pod), Created: pod.CreationTimestamp.Time}
	if pod.DeletionTimestamp != nil {
		p.Phase = "Terminating"
	}
	for _, c := range pod.Status.ContainerStatuses {
		p.Restarts += c.RestartCount
	}
	return p
}

func isReadyPod(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (s *serviceDescription) print(out *tabwriter.Writer) {
	fmt.Fprintf(out, "Service:\t%s in namespace %s\n", s.Name, s.Namespace)
	fmt.Fprintf(out, "URL:\t%s\n", cmp.Or(s.URL, "-"))
	fmt.Fprintf(out, "Host:\t%s\n", s.Host)
	fmt.Fprintf(out, "Age:\t%s\n", age(s.Created))
	fmt.Fprintf(out, "Ready:\t%s %s\n\n", s.Ready, s.why())
	trafficTable(out, s.Traffic)
	fmt.Fprintln(out)
	revisionsTable(out, s.Revisions)
	printContainers(out, s.Containers)
	printConditions(out, s.Conditions)
}

func (r *revisionDescription) print(out *tabwriter.Writer) {
	fmt.Fprintf(out, "Revision:\t%s of service %s in namespace %s\n", r.Name, r.Service, r.Namespace)
	fmt.Fprintf(out, "Traffic:\t%d%%\n", r.Percent)
	fmt.Fprintf(out, "Tags:\t%s\n", cmp.Or(strings.Join(r.Tags, ", "), "-"))
	fmt.Fprintf(out, "Age:\t%s\n", age(r.Created))
	fmt.Fprintf(out, "Ready:\t%s %s\n", r.Ready, reason(r.Reason, r.Message))
	fmt.Fprintf(out, "Pods:\t%d of %d; %s\n", r.Replicas, r.Desired, cmp.Or(r.ScaleReason, "the autoscaler has said nothing"))
	if len(r.Pods) > 0 {
		fmt.Fprintf(out, "\nPOD\tREADY\tSTATUS\tRESTARTS\tAGE\n")
	}
	for _, p := range r.Pods {
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%s\n", p.Name, upper(p.Ready), p.Phase, p.Restarts, age(p.Created))
	}
	printContainers(out, r.Containers)
	printConditions(out, r.Conditions)
}

func printContainers(out io.Writer, containers []containerStatus) {
	fmt.Fprintf(out, "\nCONTAINER\tPORT\tIMAGE\n")
	for _, c := range containers {
		port := "-"
		if c.Port > 0 {
			port = strconv.Itoa(int(c.Port))
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", c.Name, port, c.Image)
	}
	heading := "\nVARIABLE\tOF\tFROM\n"
	for _, c := range containers {
		for _, v := range c.Environment {
			fmt.Fprintf(out, "%s%s\t%s\t%s\n", heading, v.Name, c.Name, v.From)
			heading = ""
		}
	}
}

func printConditions(out io.Writer, conditions []conditionStatus) {
	fmt.Fprintf(out, "\nCONDITION\tSTATUS\tFOR\tREASON\n")
	for _, c := range conditions {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", c.Type, c.Status, age(c.Since), reason(c.Reason, c.Message))
	}
}

// upper is a truth as Kubernetes writes it.
func upper(is bool) string {
	if is {
		return string(corev1.ConditionTrue)
	}
	return string(corev1.ConditionFalse)
}
