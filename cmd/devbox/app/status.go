package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// status is what `devbox status` reports.
type status struct {
	Box      boxStatus        `json:"box"`
	Parts    []partStatus     `json:"parts"`
	Services []serviceStatus  `json:"services"`
	Standby  []standbyStatus  `json:"standby"` // pods that stand by, or have been adopted
	Objects  []deploy.Applied `json:"objects"` // that were applied from manifests
}

type boxStatus struct {
	Name       string   `json:"name"`
	Engine     string   `json:"engine"`
	Mesh       bool     `json:"mesh"` // services' pods are in Istio's mesh
	Gateway    string   `json:"gateway"`
	Registry   string   `json:"registry"`
	PodNetwork string   `json:"podNetwork"` // of pods: own, as on every cluster, or the machine's: "machine"
	Domain     string   `json:"domain"`
	Kubeconfig string   `json:"kubeconfig"`
	Log        string   `json:"log,omitempty"`   // of the embedded engine's process
	Lacks      []string `json:"lacks,omitempty"` // what a cluster has and this engine has not
}

// partStatus is a node, or a Deployment that a step of `devbox up` installs on
// kind.
type partStatus struct {
	Step    string `json:"step"`
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	URL     string `json:"url,omitempty"` // where a person may look at it
	Message string `json:"message,omitempty"`
}

type serviceStatus struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	URL       string `json:"url"` // for a browser on this machine, "" where there is none
	Host      string `json:"host"`
	Revision  string `json:"revision"` // the latest ready one
	Created   string `json:"created"`  // the latest, ready or not
	Serving   string `json:"serving"`  // the one that has most of the traffic
	Held      bool   `json:"held"`     // and keeps it, whatever is saved
	Replicas  int32  `json:"replicas"` // pods of Serving that answer; of Created, where none has been ready yet
	Desired   int32  `json:"desired"`  // pods of it that the autoscaler wants
	Ready     string `json:"ready"`    // True, False or Unknown
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
	Standby   string `json:"standby,omitempty"` // what there is to say of a pod that stands by for it
}

// standbyStatus is a pod that was made before anybody knew what it is to be.
type standbyStatus struct {
	Namespace     string `json:"namespace"`
	Pod           string `json:"pod"`
	Configuration string `json:"configuration"`
	State         string `json:"state"`              // waiting or adopted
	Revision      string `json:"revision,omitempty"` // that it has become a pod of
}

func (d *devbox) statusCommand() *cobra.Command {
	return d.reports(&cobra.Command{
		Use:   "status",
		Short: "Show the box, its parts, and its services",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			s, err := c.status(cmd.Context())
			if err != nil {
				return classify(codeCluster, err, d.command("up"))
			}
			if d.output == jsonFormat {
				return d.printJSON(s)
			}
			return s.print(d.stdout)
		},
	}, "text or json")
}

// status asks the API server for all of it.
func (c *cluster) status(ctx context.Context) (*status, error) {
	s := &status{Box: boxStatus{
		Name: c.box.Name, Engine: c.box.Engine, Mesh: c.box.Mesh, Gateway: c.box.Gateway(), Domain: c.box.Domain,
		Registry: c.box.Registry(), Kubeconfig: c.box.Kubeconfig, Log: c.box.Log(), Lacks: c.box.Lacks(),
	}}
	var err error
	if s.Parts, s.Box.PodNetwork, err = c.parts(ctx); err != nil {
		return nil, err
	}
	if s.Services, err = c.serviceStatuses(ctx); err != nil {
		return nil, err
	}
	if s.Standby, err = c.standby(ctx); err != nil {
		return nil, err
	}
	s.Objects, err = deploy.AppliedIn(ctx, c.config, c.client, c.box.Namespace())
	return s, err
}

// steps names the step of `devbox up` that fills a namespace.
var steps = []struct{ step, namespace string }{
	{"istio", "istio-system"},
	{"serving", servingv1.Namespace},
	{bootstrap.Observability, bootstrap.WatchNamespace},
}

// parts looks at what each step of `devbox up` leaves behind, and whose network
// pods have.
func (c *cluster) parts(ctx context.Context) (parts []partStatus, podNetwork string, err error) {
	if c.box.Guest != nil {
		return c.guestParts(ctx), servingv1.PodNetworkOwn, nil
	}
	var nodes corev1.NodeList
	if err := c.client.List(ctx, &nodes); err != nil {
		return nil, "", fmt.Errorf("asking the box: %w", err)
	}
	parts, podNetwork = []partStatus{}, servingv1.PodNetworkOwn
	for _, node := range nodes.Items {
		parts = append(parts, nodeStatus(&node))
		podNetwork = cmp.Or(node.Annotations[servingv1.PodNetworkAnnotation], podNetwork)
	}
	more, err := c.installed(ctx)
	return append(parts, more...), podNetwork, err
}

// installed are the Deployments of each step, and on the embedded engine the pods
// that watch the box.
func (c *cluster) installed(ctx context.Context) ([]partStatus, error) {
	var parts []partStatus
	for _, s := range steps {
		var deployments appsv1.DeploymentList
		err := c.client.List(ctx, &deployments, client.InNamespace(s.namespace))
		if meta.IsNoMatchError(err) { // the embedded engine has none: its parts are its process, and pods
			watching, err := c.watching(ctx)
			return append(parts, watching...), err
		}
		if err != nil {
			return nil, fmt.Errorf("listing the parts of %s: %w", s.step, err)
		}
		for _, d := range deployments.Items {
			part := deploymentStatus(s.step, &d)
			if s.step == bootstrap.Observability {
				part.URL = c.box.Address(d.Name)
			}
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// watching are the pods that watch a box without Deployments.
func (c *cluster) watching(ctx context.Context) ([]partStatus, error) {
	var pods corev1.PodList
	if err := c.client.List(ctx, &pods, client.InNamespace(bootstrap.WatchNamespace)); err != nil {
		return nil, fmt.Errorf("listing the parts of %s: %w", bootstrap.Observability, err)
	}
	var parts []partStatus
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil {
			parts = append(parts, c.watcher(&pods.Items[i]))
		}
	}
	return parts, nil
}

func (c *cluster) watcher(pod *corev1.Pod) partStatus {
	part := partStatus{Step: bootstrap.Observability, Name: pod.Labels["app"], Message: "pod " + pod.Name}
	for _, condition := range pod.Status.Conditions {
		part.Ready = part.Ready || condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	}
	part.URL = c.box.Address(part.Name)
	return part
}

func nodeStatus(node *corev1.Node) partStatus {
	part := partStatus{Step: "cluster", Name: node.Name}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			part.Ready = condition.Status == corev1.ConditionTrue
			part.Message = "Kubernetes " + node.Status.NodeInfo.KubeletVersion
			if said := node.Annotations[servingv1.PodNetworkAnnotation]; said != "" {
				part.Message += ", pod network: " + said
			}
			if !part.Ready {
				part.Message = condition.Message
			}
		}
	}
	return part
}

func deploymentStatus(step string, d *appsv1.Deployment) partStatus {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	return partStatus{
		Step: step, Name: d.Name,
		Ready:   d.Status.ReadyReplicas >= wanted,
		Message: fmt.Sprintf("%d of %d pods ready", d.Status.ReadyReplicas, wanted),
	}
}

// serviceStatus is the Service's own status with the pods of its revision.
func (c *cluster) serviceStatus(ctx context.Context, service *servingv1.Service) (serviceStatus, error) {
	url, _ := c.url(service)
	s := serviceStatus{
		Name: service.Name, Namespace: service.Namespace, URL: url, Host: c.host(service),
		Revision: service.Status.LatestReadyRevisionName, Created: service.Status.LatestCreatedRevisionName,
		Serving: deploy.Serving(service), Held: deploy.Held(service),
		Ready: string(corev1.ConditionUnknown),
	}
	for _, condition := range service.Status.Conditions {
		if condition.Type == servingv1.ConditionReady {
			s.Ready, s.Reason, s.Message = string(condition.Status), condition.Reason, condition.Message
		}
	}
	name := cmp.Or(s.Serving, s.Revision, s.Created)
	if name == "" {
		return s, nil
	}
	var revision servingv1.Revision
	key := client.ObjectKey{Namespace: service.Namespace, Name: name}
	if err := c.client.Get(ctx, key, &revision); client.IgnoreNotFound(err) != nil {
		return s, fmt.Errorf("asking for revision %s: %w", name, err)
	}
	if n := revision.Status.ActualReplicas; n != nil {
		s.Replicas = *n
	}
	if n := revision.Status.DesiredReplicas; n != nil {
		s.Desired = *n
	}
	s.Standby = revision.Status.Annotations[servingv1.StandbyAnnotation]
	return s, nil
}

// standby are the pods that stand by.
func (c *cluster) standby(ctx context.Context) ([]standbyStatus, error) {
	var pods corev1.PodList
	if err := c.client.List(ctx, &pods, client.HasLabels{servingv1.StandbyLabel}); err != nil {
		return nil, fmt.Errorf("listing the pods that stand by: %w", err)
	}
	all := []standbyStatus{}
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.DeletionTimestamp == nil {
			all = append(all, standbyStatus{
				Namespace: pod.Namespace, Pod: pod.Name, Configuration: pod.Labels[servingv1.StandbyOfLabel],
				State: pod.Labels[servingv1.StandbyLabel], Revision: pod.Labels[servingv1.RevisionLabel],
			})
		}
	}
	return all, nil
}

// print lays it out for people.
func (s *status) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	engine := s.Box.Engine
	if s.Box.Mesh {
		engine += ", in the mesh"
	}
	fmt.Fprintf(table, "BOX\tENGINE\tGATEWAY\tREGISTRY\tKUBECONFIG\n")
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Box.Name, engine, s.Box.Gateway, s.Box.Registry, s.Box.Kubeconfig)
	fmt.Fprintf(table, "\nSTEP\tPART\tREADY\t\n")
	for _, part := range s.Parts {
		ready := "True"
		if !part.Ready {
			ready = "False"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", part.Step, part.Name, ready, strings.TrimSpace(part.Message+"  "+part.URL))
	}
	fmt.Fprintln(table)
	servicesTable(table, s.Services)
	if len(s.Standby) > 0 {
		fmt.Fprintf(table, "\nSTANDBY POD\tOF\tSTATE\tREVISION\n")
	}
	for _, p := range s.Standby {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.Pod, p.Configuration, p.State, cmp.Or(p.Revision, "-"))
	}
	if len(s.Objects) > 0 {
		fmt.Fprintf(table, "\nOBJECT\tNAMESPACE\tREADY\tFROM\n")
	}
	for _, o := range s.Objects {
		ready := "True"
		if !o.Ready {
			ready = "False"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", o.Kind+" "+o.Name, cmp.Or(o.Namespace, "-"), ready, strings.TrimSpace(o.Directory+"  "+o.Message))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, service := range s.Services {
		if service.Standby != "" {
			fmt.Fprintf(out, "\n%s: %s\n", service.Name, service.Standby)
		}
	}
	if len(s.Box.Lacks) > 0 {
		fmt.Fprintf(out, "\nThe log of the box's process is %s\nThe %s engine has none of:\n  %s\n", s.Box.Log, s.Box.Engine, strings.Join(s.Box.Lacks, "\n  "))
	}
	return nil
}

// why is the reason in Knative's one word, with its message where there is one,
// and that the traffic is held.
func (s serviceStatus) why() string {
	why := s.Reason
	if s.Message != "" {
		why += ": " + s.Message
	}
	if s.Held {
		why = strings.TrimPrefix(why+"; held, and the latest is "+s.Created, "; ")
	}
	return why
}
