package context

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/rollout"
	"github.com/kind-in-a-box/devbox/charts"
	"github.com/kind-in-a-box/devbox/charts/istio"
	"github.com/kind-in-a-box/devbox/internal/push"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// servingRelease is the name of the serving stack's release.
const servingRelease = "serving"

// install is what is to be put into the cluster, for which the user has asked.
type install struct {
	istio   bool            // Istio too
	ingress *corev1.Service // of the Istio that is there, where it is
}

// toInstall is the rights that it takes, in the whole cluster.
var toInstall = []right{
	{"", "namespaces", "", []string{"create", "patch", "delete"}},
	{"apiextensions.k8s.io", "customresourcedefinitions", "", []string{"create", "delete"}},
	{"rbac.authorization.k8s.io", "clusterroles", "", []string{"create", "delete"}},
	{"rbac.authorization.k8s.io", "clusterrolebindings", "", []string{"create", "delete"}},
	{"apps", "deployments", "", []string{"create", "delete"}},
	{"", "secrets", "", []string{"create", "delete", "patch"}}, // Helm's records, and the pull secret
}

// settleInstall looks whether the serving stack can be put into the cluster, and
// with it Istio where there is none.
func (s *survey) settleInstall(ctx context.Context) {
	s.install = &install{istio: len(s.versions("networking.istio.io")) == 0 || s.isMine(ctx, istio.Namespace)}
	if len(s.versions("apps")) == 0 {
		s.Add("serving", bootstrap.Fail, "the cluster has no Deployments, as which the serving stack runs", "")
		return
	}
	if !s.install.istio {
		if !s.findIngress(ctx) {
			return
		}
	}
	for _, namespace := range s.install.namespaces() {
		there, err := s.clients.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if err == nil && there.Labels[servingv1.GuestLabel] != s.guest.ID {
			s.Add("serving", bootstrap.Fail, fmt.Sprintf("there is a namespace %s, %s", namespace, whose(there)),
				"what is in it could be overwritten: remove it, or finish by hand what was begun there")
			return
		}
	}
	refused, err := s.refused(ctx, "", toInstall)
	if err != nil {
		s.Add("rights", bootstrap.Fail, fmt.Sprintf("asking what you may do: %v", err), "")
		return
	}
	if refused != "" {
		s.Add("rights", bootstrap.Fail, "--install: in the whole cluster you may not "+refused, "have an administrator install Knative Serving")
		return
	}
	s.settleImages()
	s.Would = append(s.Would, "push to "+s.guest.Registry+"/devbox-serving", "push to "+s.guest.Registry+"/devbox-queue")
	for _, namespace := range s.install.namespaces() {
		s.Would = append(s.Would, "create namespaces "+namespace)
	}
	for _, release := range s.install.releases() {
		s.Would = append(s.Would, "install the chart "+release+", with its kinds and its rights in the whole cluster")
	}
	s.Add("serving", bootstrap.OK, "to be installed: "+strings.Join(s.install.releases(), ", "), "")
}

// findIngress finds the gateway of the Istio that is there, and says whether it
// has.
func (s *survey) findIngress(ctx context.Context) bool {
	var found []corev1.Service
	var err error
	if at, named := serviceOf(s.guest.Given); named {
		var service *corev1.Service
		if service, err = s.clients.CoreV1().Services(at.Namespace).Get(ctx, at.Name, metav1.GetOptions{}); err == nil {
			found = append(found, *service)
		}
	} else if usual, absent := s.clients.CoreV1().Services(istio.Namespace).Get(ctx, istio.Gateway, metav1.GetOptions{}); absent == nil {
		found = append(found, *usual)
	} else {
		found, err = s.istioGateways(ctx)
	}
	switch {
	case err != nil:
		s.Add("istio", bootstrap.Fail, fmt.Sprintf("looking for the ingress gateway of the Istio that is there: %v", last(err)), "say which it is with --gateway NAMESPACE/NAME")
	case len(found) == 0:
		s.Add("istio", bootstrap.Fail, "there is an Istio without an ingress gateway, which the serving stack needs: no Service with a port for HTTP leads to pods with a label istio",
			"install Istio's chart \"gateway\", as "+istio.Gateway+" in namespace "+istio.Namespace+" for one")
	case len(found) > 1:
		s.Add("istio", bootstrap.Fail, "there is an Istio with several gateways: "+strings.Join(namesOf(found), ", "), "say which one the serving stack is to use with --gateway NAMESPACE/NAME")
	case found[0].Spec.Selector["istio"] == "" || httpPort(&found[0]) == nil:
		s.Add("istio", bootstrap.Fail, fmt.Sprintf("Service %s is no ingress gateway of Istio's: it has no port for HTTP, or leads to no pods with a label istio", namesOf(found)[0]),
			"say which one is with --gateway NAMESPACE/NAME")
	default:
		s.install.ingress = &found[0]
		s.Add("istio", bootstrap.OK, "the Istio that is there, by "+namesOf(found)[0], "")
		return true
	}
	return false
}

// values say which Istio the serving stack is told of; a box's own is the
// chart's default.
func (i *install) values() map[string]any {
	if i.ingress == nil {
		return map[string]any{"own": true}
	}
	selector := map[string]any{}
	for k, v := range i.ingress.Spec.Selector {
		selector[k] = v
	}
	port := int(httpPort(i.ingress).Port)
	return map[string]any{
		"own": false, "namespace": i.ingress.Namespace, "selector": selector, "port": port,
		"gateway": fmt.Sprintf("http://%s.%s.svc.cluster.local:%d", i.ingress.Name, i.ingress.Namespace, port),
	}
}

// settleImages says where Istio's images come from.
func (s *survey) settleImages() {
	s.Box.Images = images.Released("")
	if s.ImagesDir == "" || !s.install.istio {
		return
	}
	set, err := images.FromLayout(s.ImagesDir)
	if err != nil {
		s.Add("images", bootstrap.Fail, err.Error(), "make it again: `make lab` prints a directory that is complete")
		return
	}
	s.Box.Images = set
}

// namespaces are those that are made for it.
func (i *install) namespaces() []string {
	if i.istio {
		return []string{istio.Namespace, servingv1.Namespace}
	}
	return []string{servingv1.Namespace}
}

// releases are what is installed, in its order.
func (i *install) releases() []string {
	if i.istio {
		return []string{istio.Base, istio.Istiod, istio.Gateway, servingRelease}
	}
	return []string{servingRelease}
}

// ownArchitecture says whether all nodes run what is compiled here: the serving
// stack's images are for this machine's architecture.
func (s *survey) ownArchitecture(context.Context) {
	for _, p := range s.guest.Platforms {
		if s.install != nil && p != thisMachines {
			s.Add("nodes", bootstrap.Fail, fmt.Sprintf("--install: the serving stack is compiled for %s, and the cluster has nodes of %s", runtime.GOARCH, p),
				"install it from a machine like the nodes, or have an administrator install Knative Serving")
			return
		}
	}
}

// installer puts it there.
type installer struct {
	*up
	charts *helm.Client
	refs   map[string]string // images by what they are for
}

// installAll is the step.
func (u *up) installAll(ctx context.Context, say func(string)) (string, error) {
	client, err := helm.New(u.access.rest)
	if err != nil {
		return "", err
	}
	i := &installer{up: u, charts: client, refs: map[string]string{}}
	say("building the serving stack")
	if err := i.images(ctx, say); err != nil {
		return "", err
	}
	for _, name := range u.install.namespaces() {
		if err := i.namespace(ctx, name); err != nil {
			return "", err
		}
	}
	if u.install.istio {
		if err := i.istio(ctx, say); err != nil {
			return "", err
		}
	}
	if err := i.serving(ctx, say); err != nil {
		return "", err
	}
	u.installed = true
	u.ready.Open()
	return strings.Join(u.install.releases(), ", "), nil
}

// images brings the images into the user's registry: the serving stack's, and
// those of Istio that are in a directory.
func (i *installer) images(ctx context.Context, say func(string)) error {
	built, err := i.Platform(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]v1.Image{"serving": built.Serving, "queue": built.Queue}
	if i.install.istio && i.Box.Images.Layout != "" {
		for _, role := range []images.Role{images.Pilot, images.Proxy} {
			if wanted[string(role)], err = i.Box.Images.Open(role); err != nil {
				return err
			}
		}
	}
	for name, img := range wanted {
		say("pushing " + name)
		if i.refs[name], err = push.User(i.guest.Registry).Image(ctx, "devbox-"+name, img); err != nil {
			return err
		}
	}
	return nil
}

// namespace makes one that is the box's.
func (i *installer) namespace(ctx context.Context, name string) error {
	_, err := i.clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        name,
		Labels:      map[string]string{servingv1.GuestLabel: i.guest.ID},
		Annotations: map[string]string{servingv1.GuestAnnotation: i.guest.Owner},
	}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making namespace %s: %w", name, err)
	}
	return i.pullSecret(ctx, name)
}

// pullSecret copies the box's pull secret to a namespace that is the box's: what
// runs there takes its images from the same registry.
func (i *installer) pullSecret(ctx context.Context, namespace string) error {
	if i.guest.PullSecret == "" {
		return nil
	}
	theirs, err := i.clients.CoreV1().Secrets(i.guest.Namespace).Get(ctx, i.guest.PullSecret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the pull secret: %w", err)
	}
	ours := applycorev1.Secret(theirs.Name, namespace).WithType(theirs.Type).WithData(theirs.Data)
	if _, err := i.clients.CoreV1().Secrets(namespace).Apply(ctx, ours, metav1.ApplyOptions{FieldManager: "devbox", Force: true}); err != nil {
		return fmt.Errorf("copying the pull secret to namespace %s: %w", namespace, err)
	}
	return nil
}

// adjust has the pods of a chart's Deployments take their images with the pull
// secret, after what else is done to it.
func (i *installer) adjust(first func(map[string]any) error) func(map[string]any) error {
	return func(object map[string]any) error {
		if first != nil {
			if err := first(object); err != nil {
				return err
			}
		}
		if i.guest.PullSecret == "" || object["kind"] != "Deployment" {
			return nil
		}
		secrets := []any{map[string]any{"name": i.guest.PullSecret}}
		return unstructured.SetNestedSlice(object, secrets, "spec", "template", "spec", "imagePullSecrets")
	}
}

// istio installs Istio as a box of devbox's own has it, but for the way in: a
// load balancer's, where the cluster has some.
func (i *installer) istio(ctx context.Context, say func(string)) error {
	all, err := istio.Charts(istio.Options{
		Pilot:         cmp.Or(i.refs[string(images.Pilot)], i.Box.Images.Ref(images.Pilot)),
		Proxy:         cmp.Or(i.refs[string(images.Proxy)], i.Box.Images.Ref(images.Proxy)),
		UpstreamEnvoy: i.Box.Images.UpstreamEnvoy,
	})
	if err != nil {
		return err
	}
	all[2].Values["service"] = map[string]any{"type": "LoadBalancer", "ports": []any{
		map[string]any{"name": "http2", "port": 80, "targetPort": 80},
	}}
	for _, c := range all {
		say("installing " + c.Release)
		if _, err := i.charts.Apply(ctx, helm.Release{Name: c.Release, Namespace: istio.Namespace, Chart: c.Files, Values: c.Values, Adjust: i.adjust(c.Adjust)}); err != nil {
			return err
		}
		if c.Release == istio.Base {
			continue
		}
		say("waiting for " + c.Release)
		if err := rollout.Await(ctx, i.clients, istio.Namespace, c.Release); err != nil {
			return err
		}
	}
	return nil
}

// istioKinds are those of Istio's that the serving stack writes.
var istioKinds = []schema.GroupVersionResource{
	{Group: "networking.istio.io", Version: "v1", Resource: "gateways"},
	{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"},
	{Group: "networking.istio.io", Version: "v1", Resource: "destinationrules"},
	{Group: "networking.istio.io", Version: "v1alpha3", Resource: "envoyfilters"},
}

// serving installs the serving stack.
func (i *installer) serving(ctx context.Context, say func(string)) error {
	if err := i.charts.AwaitKinds(ctx, istioKinds...); err != nil {
		return err
	}
	files, err := fs.Sub(charts.Serving, "serving")
	if err != nil {
		return err
	}
	say("installing the serving stack")
	if _, err := i.charts.Apply(ctx, helm.Release{
		Name: servingRelease, Namespace: servingv1.Namespace, Chart: files,
		Values: map[string]any{
			"image": i.refs["serving"], "queueImage": i.refs["queue"], "domain": i.Box.Domain, "registryPort": 0,
			"istio": i.install.values(),
		},
		Adjust: i.adjust(nil),
	}); err != nil {
		return err
	}
	say("waiting for the serving stack")
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range []string{"controller", "activator"} {
		g.Go(func() error { return rollout.Await(ctx, i.clients, servingv1.Namespace, d) })
	}
	return g.Wait()
}

// uninstall takes away what an up with --install has put into the cluster of a
// box, unless somebody else uses it.
type uninstall struct {
	removal
	helm *helm.Client
	box  string // its name
}

// errInUse is why the serving stack stays.
var errInUse = errors.New("somebody needs it")

func (u *uninstall) all(ctx context.Context) error {
	mine, err := u.namespaces(ctx)
	if err != nil || len(mine) == 0 {
		return err
	}
	if err := u.unused(ctx); errors.Is(err, errInUse) {
		return &bootstrap.ClusterError{
			Step: "down", Err: fmt.Errorf("the box's services are removed; what --install has put into namespaces %s stays: %w", strings.Join(mine, " and "), err),
			Hint: "`" + bootstrap.Command(u.box, "down") + "` again when nobody has a service there any more",
		}
	} else if err != nil {
		return err
	}
	for _, r := range []struct{ release, namespace string }{
		{servingRelease, servingv1.Namespace}, {istio.Gateway, istio.Namespace}, {istio.Istiod, istio.Namespace}, {istio.Base, istio.Namespace},
	} {
		if !slices.Contains(mine, r.namespace) {
			continue
		}
		u.say("removing " + r.release)
		if err := u.helm.Remove(ctx, r.release, r.namespace); err != nil {
			return err
		}
		if err := u.kinds(ctx, r.release, r.namespace); err != nil {
			return err
		}
	}
	for _, name := range mine {
		u.say("removing namespace " + name)
		err := u.objects.Resource(namespacesResource).Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing namespace %s: %w", name, err)
		}
	}
	return nil
}

var (
	namespacesResource = corev1.SchemeGroupVersion.WithResource("namespaces")
	kindsResource      = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// namespaces are those that the box has made. Who may not list any has made none.
func (u *uninstall) namespaces(ctx context.Context) ([]string, error) {
	list, err := u.objects.Resource(namespacesResource).List(ctx, metav1.ListOptions{LabelSelector: u.selector})
	switch {
	case apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("listing the namespaces: %w", err)
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.Name)
	}
	return names, nil
}

// unused is an errInUse while anybody has a Service there.
func (u *uninstall) unused(ctx context.Context) error {
	list, err := u.objects.Resource(servingv1.GroupVersion.WithResource("services")).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil // the kinds are gone already
	}
	if err != nil {
		return fmt.Errorf("looking who else has services: %w", err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		return fmt.Errorf("%w, for service %s in namespace %s, %s", errInUse, o.Name, o.Namespace, whose(o))
	}
	return nil
}

// kinds removes those of a release, which outlive it.
func (u *uninstall) kinds(ctx context.Context, release, namespace string) error {
	list, err := u.objects.Resource(kindsResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the kinds: %w", err)
	}
	for _, o := range list.Items {
		if o.Annotations["meta.helm.sh/release-name"] != release || o.Annotations["meta.helm.sh/release-namespace"] != namespace {
			continue
		}
		if err := u.objects.Resource(kindsResource).Delete(ctx, o.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("removing kind %s: %w", o.Name, err)
		}
	}
	return nil
}
