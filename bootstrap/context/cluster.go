package context

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// reach asks whether the cluster answers, and knows the user.
func (s *survey) reach(ctx context.Context) {
	asked := rest.CopyConfig(s.access.rest)
	asked.Timeout = patience
	var err error
	if s.clients, err = kubernetes.NewForConfig(asked); err == nil {
		s.objects, err = dynamic.NewForConfig(asked)
	}
	if err != nil {
		s.Add("cluster", bootstrap.Fail, fmt.Sprintf("context %s: %v", s.guest.Context, err), "mend that context in your kubeconfig")
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer in %s", patience))
	defer cancel()
	version, err := s.clients.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	switch {
	case apierrors.IsUnauthorized(err):
		s.Add("cluster", bootstrap.Fail, fmt.Sprintf("the cluster of context %s does not know you: %v", s.guest.Context, err),
			"log in to it as its provider says; `kubectl --context "+s.guest.Context+" get ns` must work first")
	case err != nil:
		s.Add("cluster", bootstrap.Fail, fmt.Sprintf("the cluster of context %s does not answer at %s: %v", s.guest.Context, asked.Host, last(err)),
			"look whether it runs, and is in reach from here: `kubectl --context "+s.guest.Context+" version`")
	case len(version) == 0:
		s.Add("cluster", bootstrap.Fail, fmt.Sprintf("what answers at %s is no Kubernetes", asked.Host), "")
	}
}

// last is the innermost of what went wrong: the words around it are client-go's.
func last(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// needed are the resources of Knative Serving that devbox speaks to.
var needed = []string{"services", "routes", "configurations", "revisions"}

// serving asks whether Knative Serving is there, ours or upstream's: its API is
// one.
func (s *survey) serving(ctx context.Context) {
	const group = "serving.knative.dev"
	if s.guest.Install && s.isMine(ctx, servingv1.Namespace) {
		s.settleInstall(ctx) // what an earlier one began, or this devbox has newer
		return
	}
	list, err := s.clients.Discovery().ServerResourcesForGroupVersion(servingv1.GroupVersion.String())
	if apierrors.IsNotFound(err) {
		if versions := s.versions(group); len(versions) > 0 {
			s.Add("serving", bootstrap.Fail, fmt.Sprintf("the cluster serves %s in %s, and not in v1", group, strings.Join(versions, ", ")),
				"a Knative Serving of 2019 or later has v1: upgrade it")
			return
		}
		if s.guest.Install {
			s.settleInstall(ctx)
			return
		}
		s.notInstalled()
		return
	}
	if err != nil {
		s.Add("serving", bootstrap.Fail, fmt.Sprintf("asking for the kinds of %s: %v", group, err), "")
		return
	}
	var lacks []string
	for _, resource := range needed {
		there := func(name string) bool {
			return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == name && r.Namespaced })
		}
		if !there(resource) || !there(resource+"/status") {
			lacks = append(lacks, resource)
		}
	}
	if len(lacks) > 0 {
		s.Add("serving", bootstrap.Fail, fmt.Sprintf("%s is somebody else's here: it lacks %s, with a status, of Knative Serving's", servingv1.GroupVersion, strings.Join(lacks, ", ")),
			"remove those CustomResourceDefinitions, or use another cluster; devbox does not change them")
		return
	}
	// Knative's own has kinds for its parts to speak by, of which devbox's has none.
	s.guest.Upstream = len(s.versions("networking.internal.knative.dev")) > 0
	s.Add("serving", bootstrap.OK, "Knative Serving is there", "")
}

// versions are those in which the cluster has an API group.
func (s *survey) versions(group string) []string {
	groups, err := s.clients.Discovery().ServerGroups()
	if err != nil {
		return nil
	}
	var versions []string
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			if g.Name == group {
				versions = append(versions, v.Version)
			}
		}
	}
	return versions
}

// notInstalled says what is missing for services to run.
func (s *survey) notInstalled() {
	missing := []string{"Knative Serving (the kinds of " + servingv1.GroupVersion.String() + ")"}
	if len(s.versions("networking.istio.io")) == 0 {
		missing = append(missing, "Istio, or another ingress of Knative's")
	}
	s.Add("serving", bootstrap.Fail, "the cluster has no "+strings.Join(missing, " and no "),
		"`"+bootstrap.Command(s.Name, "up --install")+"` puts devbox's own there, where you administer the cluster; or install Knative Serving as https://knative.dev/docs/install says")
}

// place asks for the box's namespace. Who may not read it finds out by rights.
func (s *survey) place(ctx context.Context) {
	namespace, err := s.clients.CoreV1().Namespaces().Get(ctx, s.guest.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		s.Add("namespace", bootstrap.Fail, fmt.Sprintf("the cluster has no namespace %s", s.guest.Namespace),
			"`kubectl --context "+s.guest.Context+" create namespace "+s.guest.Namespace+"`, or give another with --namespace")
	case apierrors.IsForbidden(err): // that is for cluster administrators in many a cluster
	case err != nil:
		s.Add("namespace", bootstrap.Fail, fmt.Sprintf("asking for namespace %s: %v", s.guest.Namespace, err), "")
	case namespace.DeletionTimestamp != nil:
		s.Add("namespace", bootstrap.Fail, fmt.Sprintf("namespace %s is being removed", s.guest.Namespace), "wait until it is gone, and make it again")
	default:
		s.Add("namespace", bootstrap.OK, "namespace "+s.guest.Namespace, "")
	}
}

// names asks whether what is to be made would be somebody else's.
func (s *survey) names(ctx context.Context) {
	services := s.objects.Resource(servingv1.GroupVersion.WithResource("services")).Namespace(s.guest.Namespace)
	for _, base := range s.Services {
		name := s.guest.ServiceName(base)
		now, err := services.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			var refused error
			if s.install == nil { // else the kind is still to come
				refused = s.tries(ctx, services, name)
			}
			if refused != nil {
				s.Add("serving", bootstrap.Fail, fmt.Sprintf("the cluster would not take service %s: %v", name, last(refused)),
					"where its services.serving.knative.dev are somebody else's, or of a Knative Serving too old, devbox does not change them: use another cluster, or upgrade it")
				return
			}
			s.Would = append(s.Would, fmt.Sprintf("create services.serving.knative.dev %s in namespace %s", name, s.guest.Namespace))
			continue
		}
		if err != nil {
			s.Add("names", bootstrap.Fail, fmt.Sprintf("looking for service %s: %v", name, err), "")
			return
		}
		if now.GetLabels()[servingv1.GuestLabel] != s.guest.ID {
			s.Add("names", bootstrap.Fail, fmt.Sprintf("namespace %s has a service %s already, %s", s.guest.Namespace, name, whose(now)),
				"--user NAME makes the names of your services yours; or take another --namespace")
			return
		}
		s.Would = append(s.Would, fmt.Sprintf("change services.serving.knative.dev %s in namespace %s", name, s.guest.Namespace))
	}
	if s.guest.PullSecret == "" {
		return
	}
	if _, err := s.clients.CoreV1().Secrets(s.guest.Namespace).Get(ctx, s.guest.PullSecret, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		s.Add("pull secret", bootstrap.Fail, fmt.Sprintf("namespace %s has no Secret %s", s.guest.Namespace, s.guest.PullSecret),
			"`kubectl --context "+s.guest.Context+" -n "+s.guest.Namespace+" create secret docker-registry "+s.guest.PullSecret+"` makes one")
	}
}

// tries asks whether the API server would take a Service, by a dry run: it looks
// at the kind's schema, and asks the webhooks and policies that there are.
func (s *survey) tries(ctx context.Context, services dynamic.ResourceInterface, name string) error {
	service := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"image": "devbox.invalid/" + name + ":v1"}},
		}}},
	}}
	service.SetGroupVersionKind(servingv1.Kind("Service"))
	service.SetName(name)
	service.SetLabels(map[string]string{servingv1.GuestLabel: s.guest.ID})
	service.SetAnnotations(map[string]string{servingv1.GuestAnnotation: s.guest.Owner})
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var refused error
	err := bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		_, err := services.Create(ctx, service, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict, FieldManager: "devbox",
		})
		if apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) {
			return err // of a moment
		}
		refused = err
		return nil
	})
	return cmp.Or(refused, err)
}

// isMine says whether a namespace is there that the box has made.
func (s *survey) isMine(ctx context.Context, name string) bool {
	there, err := s.clients.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	return err == nil && there.Labels[servingv1.GuestLabel] == s.guest.ID
}

// whose says in words whose an object is.
func whose(o metav1.Object) string {
	if owner := o.GetAnnotations()[servingv1.GuestAnnotation]; owner != "" {
		return "which is of " + owner
	}
	return "which devbox did not make"
}

// nodes asks which machines the cluster has. Who may not list them is taken to
// have such as this one.
func (s *survey) nodes(ctx context.Context) {
	list, err := s.clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		if len(s.guest.Platforms) == 0 {
			s.guest.Platforms = []string{thisMachines}
			s.Add("nodes", bootstrap.Warn, fmt.Sprintf("the cluster's nodes are not known (%v): images are built for %s", last(err), thisMachines),
				"where they are others, say so with --platform")
		}
		return
	}
	all := platforms(list.Items)
	if len(s.Guest.Platforms) == 0 {
		s.guest.Platforms = all
	}
	for _, p := range all {
		if !slices.Contains(s.guest.Platforms, p) {
			s.Add("nodes", bootstrap.Warn, fmt.Sprintf("nodes of %s are not built for: a pod that comes to one of them fails (%s)", p, strings.Join(nodesOf(list.Items, p), ", ")),
				"add it to --platform, or leave that out")
		}
	}
	s.Add("nodes", bootstrap.OK, fmt.Sprintf("%d nodes of %s", len(list.Items), strings.Join(all, ", ")), "")
}

// platforms are those of the nodes that take pods of services, each once.
func platforms(nodes []corev1.Node) []string {
	var all []string
	for i := range nodes {
		if p := platformOf(&nodes[i]); p != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

func nodesOf(nodes []corev1.Node, platform string) []string {
	var names []string
	for i := range nodes {
		if platformOf(&nodes[i]) == platform {
			names = append(names, nodes[i].Name)
		}
	}
	return names
}

// platformOf is what a node runs, "" where it takes no Linux containers.
func platformOf(n *corev1.Node) string {
	info := n.Status.NodeInfo
	os, arch := info.OperatingSystem, info.Architecture
	if n.Labels[corev1.LabelOSStable] != "" {
		os = n.Labels[corev1.LabelOSStable]
	}
	if n.Labels[corev1.LabelArchStable] != "" {
		arch = n.Labels[corev1.LabelArchStable]
	}
	if os != "linux" || arch == "" || n.Spec.Unschedulable {
		return ""
	}
	return os + "/" + arch
}
