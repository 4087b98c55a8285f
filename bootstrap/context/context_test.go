package context

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/charts"
	"github.com/kind-in-a-box/devbox/charts/istio"
	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	bed.MainBare(m)
}

var all = bootstrap.Engines{Engine{}}

// desk is a user with a kubeconfig, a registry and a configuration directory of
// his own.
type desk struct {
	*testing.T
	bed       *bed.Bed
	namespace string
	registry  string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, bed: bed.Start(t)}
	d.namespace = d.bed.Namespace(t)
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(images.Close)
	d.registry = strings.TrimPrefix(images.URL, "http://") + "/alice"
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("KO_DOCKER_REPO", "")
	d.sits("alice")
	d.contexts(nil)
	return d
}

// sits makes another configuration directory the user's.
func (d *desk) sits(who string) {
	d.Helper()
	dir := filepath.Join(d.TempDir(), who)
	d.Setenv("HOME", dir)
	d.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
}

// contexts writes a kubeconfig: with team, which leads to the server as its
// administrator, and what else there is to be.
func (d *desk) contexts(change func(*clientcmdapi.Config)) {
	d.Helper()
	config, err := clientcmd.LoadFromFile(d.bed.Kubeconfig())
	if err != nil {
		d.Fatal(err)
	}
	for _, there := range config.Contexts {
		config.Contexts = map[string]*clientcmdapi.Context{"team": there}
	}
	config.Contexts["team"].Namespace = d.namespace
	if change != nil {
		change(config)
	}
	file := filepath.Join(d.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		d.Fatal(err)
	}
	d.Setenv("KUBECONFIG", file)
}

// as makes a context whose user the administrator impersonates.
func (d *desk) as(user string) {
	d.Helper()
	d.contexts(func(c *clientcmdapi.Config) {
		admin := c.AuthInfos[c.Contexts["team"].AuthInfo].DeepCopy()
		admin.Impersonate, admin.ImpersonateGroups = user, []string{"system:authenticated"}
		c.AuthInfos[user] = admin
		c.Contexts["team"].AuthInfo = user
	})
}

// config is what up is asked for.
func (d *desk) config() bootstrap.Config {
	return bootstrap.Config{
		Name: "ctx", Engine: "context", Services: []string{"hello"}, Events: func(event.Event) {},
		Guest: bootstrap.Guest{Context: "team", Registry: d.registry, Given: "http://127.0.0.1:18380"},
	}
}

// kinds has the server serve these kinds of serving.knative.dev and no others.
func (d *desk) kinds(crds ...*apiextensionsv1.CustomResourceDefinition) {
	d.Helper()
	var there apiextensionsv1.CustomResourceDefinitionList
	d.must(d.bed.Client().List(d.Context(), &there))
	wanted := map[string]bool{}
	for _, crd := range crds {
		wanted[crd.Name] = true
	}
	for i := range there.Items {
		if !wanted[there.Items[i].Name] {
			d.must(client.IgnoreNotFound(d.bed.Client().Delete(d.Context(), &there.Items[i])))
		}
	}
	d.bed.Install(d, crds...)
	d.until("the kinds are as wanted", func() bool {
		d.must(d.bed.Client().List(d.Context(), &there))
		return len(there.Items) == len(crds)
	})
}

// serving has the server serve the kinds of the serving stack.
func (d *desk) serving() {
	d.Helper()
	crds, err := charts.CRDs()
	d.must(err)
	d.kinds(crds...)
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) until(what string, is func() bool) {
	d.Helper()
	for late := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			d.Fatalf("not in a minute: %s", what)
		}
	}
}

// refused expects up to be refused by one finding, which has these words, and
// nothing to have been made.
func (d *desk) refused(cfg bootstrap.Config, words ...string) {
	d.Helper()
	_, err := all.Up(d.Context(), cfg)
	missing, ok := errors.AsType[*bootstrap.PrerequisiteError](err)
	if !ok || len(missing.Findings) != 1 {
		d.Fatalf("Up = %v, want one finding", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			d.Errorf("it is refused with\n%s\nwithout %q", err, w)
		}
	}
	if _, err := all.Load(cfg.Name); !errors.Is(err, bootstrap.ErrNoBox) {
		d.Errorf("there is a box all the same: %v", err)
	}
}

func (d *desk) service(name string, change func(*servingv1.Service)) {
	d.Helper()
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: name}}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: "localhost:1/nothing@sha256:" + strings.Repeat("0", 64)}}
	change(s)
	// For a moment after a kind was made, policies do not know it.
	d.until("a service can be made", func() bool {
		err := d.bed.Client().Create(d.Context(), s)
		if !apierrors.IsServiceUnavailable(err) {
			d.must(err)
		}
		return err == nil
	})
}

// services are those that the namespace has.
func (d *desk) services() []string {
	d.Helper()
	var list servingv1.ServiceList
	d.must(d.bed.Client().List(d.Context(), &list, client.InNamespace(d.namespace)))
	names := []string{}
	for _, s := range list.Items {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

func TestContextThatIsNotThere(t *testing.T) {
	d := newDesk(t)
	d.contexts(func(c *clientcmdapi.Config) { c.Contexts["shop"] = c.Contexts["team"].DeepCopy() })
	cfg := d.config()
	cfg.Guest.Context = "prod"
	d.refused(cfg, `no context "prod"`, "it has shop, team", "--context")
	cfg.Guest.Context = "" // the current one is not taken unasked
	d.refused(cfg, "no context is named", "it has shop, team")
	d.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	d.refused(cfg, "nor any other", "KUBECONFIG")
}

func TestClusterThatIsAway(t *testing.T) {
	d := newDesk(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	d.contexts(func(c *clientcmdapi.Config) { c.Clusters[c.Contexts["team"].Cluster].Server = gone.URL })
	d.refused(d.config(), "context team does not answer at "+gone.URL, "connection refused", "kubectl --context team version")
	d.contexts(func(c *clientcmdapi.Config) { c.AuthInfos[c.Contexts["team"].AuthInfo].Token = "stale" })
	d.refused(d.config(), "does not know you", "log in to it")
}

func TestServingThatIsNotOurs(t *testing.T) {
	d := newDesk(t)
	d.kinds()
	d.refused(d.config(), "has no Knative Serving", "serving.knative.dev/v1", "no Istio")

	crds, err := charts.CRDs()
	d.must(err)
	foreign := slices.DeleteFunc(crds, func(c *apiextensionsv1.CustomResourceDefinition) bool {
		return c.Name != "services.serving.knative.dev"
	})[0]
	foreign.Spec.Versions = foreign.Spec.Versions[:1]
	foreign.Spec.Versions[0].Name = "v1alpha1"
	d.kinds(foreign)
	d.refused(d.config(), "in v1alpha1, and not in v1", "upgrade")

	d.kinds()
	crds, err = charts.CRDs()
	d.must(err)
	d.kinds(slices.DeleteFunc(crds, func(c *apiextensionsv1.CustomResourceDefinition) bool {
		return c.Name != "services.serving.knative.dev"
	})...)
	d.refused(d.config(), "somebody else's here", "routes, configurations, revisions")

	d.kinds()
	d.kinds(foreignKinds(t, map[string]apiextensionsv1.JSONSchemaProps{"colour": {Type: "string"}})...)
	d.refused(d.config(), "would not take service hello", `unknown field "spec.template"`, "somebody else's")
}

// foreignKinds are Knative's by their names, of another schema, and not devbox's
// by anything.
func foreignKinds(t *testing.T, spec map[string]apiextensionsv1.JSONSchemaProps) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crds, err := charts.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range crds {
		crd.Labels, crd.Annotations = nil, nil
		open := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
		of := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: spec}
		if spec == nil {
			of = open
		}
		crd.Spec.Versions[0].Schema.OpenAPIV3Schema = &apiextensionsv1.JSONSchemaProps{
			Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": of, "status": open},
		}
		crd.Spec.Versions[0].SelectableFields, crd.Spec.Versions[0].AdditionalPrinterColumns = nil, nil
	}
	return crds
}

// TestUpstreamsServing is taken for what it is, by the kinds that it has besides.
func TestUpstreamsServing(t *testing.T) {
	d := newDesk(t)
	d.kinds()
	internal := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "ingresses.networking.internal.knative.dev"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "networking.internal.knative.dev", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "ingresses", Singular: "ingress", Kind: "Ingress", ListKind: "IngressList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1alpha1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
				OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)},
			}}},
		},
	}
	d.kinds(append(foreignKinds(t, nil), internal)...)
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	cfg := d.config()
	cfg.Guest.Given = gateway.URL
	box, err := all.Up(t.Context(), cfg)
	d.must(err)
	if !box.Guest.Upstream {
		t.Errorf("the box is %+v, want that the serving there is upstream's", box.Guest)
	}
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
	d.kinds()
	d.serving()
	box, err = all.Up(t.Context(), cfg)
	d.must(err)
	if box.Guest.Upstream {
		t.Errorf("the box is %+v, want that the serving there is devbox's", box.Guest)
	}
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
}

func TestNamespaceThatIsNotThere(t *testing.T) {
	d := newDesk(t)
	d.serving()
	cfg := d.config()
	cfg.Guest.Namespace = "nobodys"
	d.refused(cfg, "no namespace nobodys", "create namespace nobodys", "--namespace")
	cfg.Guest.Namespace, cfg.Guest.PullSecret = "", "pull"
	d.refused(cfg, "namespace "+d.namespace+" has no Secret pull", "create secret docker-registry pull")
}

// TestRightsByHalf: what the user may not do is named, before anything is
// written: verb, resource and namespace.
func TestRightsByHalf(t *testing.T) {
	d := newDesk(t)
	d.serving()
	d.as("bob")
	d.refused(d.config(), "in namespace "+d.namespace+" you may not get, list, watch, create, patch, delete services.serving.knative.dev",
		"nor get, list, watch, delete revisions.serving.knative.dev", "get pods/log")
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{"serving.knative.dev"}, Resources: []string{"services", "revisions", "routes"}, Verbs: []string{"get", "list", "watch", "create", "patch", "delete"}},
		{APIGroups: []string{""}, Resources: []string{"pods", "pods/log"}, Verbs: []string{"get", "list", "watch"}},
	}
	half := slices.Clone(rules)
	half[0].Verbs = []string{"get", "list", "watch", "create", "delete"}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: "devbox"}, Rules: half}
	d.must(d.bed.Client().Create(t.Context(), role))
	d.must(d.bed.Client().Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: "devbox"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "devbox"},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "bob"}},
	}))
	var err error
	d.until("RBAC has heard of the Role", func() bool {
		_, err = all.Up(t.Context(), d.config())
		return err != nil && !strings.Contains(err.Error(), "get, list")
	})
	if want := "you may not patch services.serving.knative.dev"; !strings.Contains(err.Error(), want) {
		t.Errorf("Up = %v, want %q", err, want)
	}
	role.Rules = rules
	d.must(d.bed.Client().Update(t.Context(), role))
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	cfg := d.config()
	cfg.Guest.Given = gateway.URL
	var box *bootstrap.Box
	d.until("RBAC has heard of the other Role", func() bool {
		box, err = all.Up(t.Context(), cfg)
		return err == nil
	})
	// Nodes are not his to list: he is told that images are for such as his own machine.
	if got := box.Guest.Platforms; !slices.Equal(got, []string{thisMachines}) {
		t.Errorf("platforms %v, want %s alone", got, thisMachines)
	}
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
}

// TestTwoUsersWithOneName: the second is refused, whoever the first is, and
// nothing of his is removed by a down.
func TestTwoUsersWithOneName(t *testing.T) {
	d := newDesk(t)
	d.serving()
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	cfg := d.config()
	cfg.Guest.Given = gateway.URL
	alice, err := all.Up(t.Context(), cfg)
	d.must(err)
	d.service("hello", func(s *servingv1.Service) {
		s.Labels = map[string]string{servingv1.GuestLabel: alice.Guest.ID}
		s.Annotations = map[string]string{servingv1.GuestAnnotation: alice.Guest.Owner}
	})
	d.service("billing", func(*servingv1.Service) {})
	_, err = all.Up(t.Context(), cfg) // her own is no obstacle
	d.must(err)

	d.sits("bob")
	d.refused(cfg, "has a service hello already, which is of "+alice.Guest.Owner, "--user", "--namespace")
	billing := cfg
	billing.Services = []string{"billing"}
	d.refused(billing, "billing already, which devbox did not make")
	cfg.Guest.User = "bob"
	bob, err := all.Up(t.Context(), cfg)
	d.must(err)
	d.service("hello-bob", func(s *servingv1.Service) { s.Labels = map[string]string{servingv1.GuestLabel: bob.Guest.ID} })
	d.must(d.bed.Client().Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: d.namespace, Name: "bobs", Labels: map[string]string{servingv1.GuestLabel: bob.Guest.ID},
	}}))
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
	if got := d.services(); !slices.Equal(got, []string{"billing", "hello"}) {
		t.Errorf("after bob's down there is %v, want what was not his", got)
	}
	err = d.bed.Client().Get(t.Context(), client.ObjectKey{Namespace: d.namespace, Name: "bobs"}, &corev1.ConfigMap{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("his ConfigMap: %v, want that it is gone", err)
	}
}

// TestDownOfAClusterThatIsAway says what stays, and keeps the record of it.
func TestDownOfAClusterThatIsAway(t *testing.T) {
	d := newDesk(t)
	d.serving()
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	cfg := d.config()
	cfg.Guest.Given = gateway.URL
	box, err := all.Up(t.Context(), cfg)
	d.must(err)
	file, err := os.ReadFile(box.Kubeconfig)
	d.must(err)
	there, err := clientcmd.Load(file)
	d.must(err)
	for _, c := range there.Clusters {
		c.Server = "https://127.0.0.1:1"
	}
	d.must(clientcmd.WriteToFile(*there, box.Kubeconfig))
	err = all.Down(t.Context(), cfg.Name, cfg.Events)
	if err == nil || !strings.Contains(err.Error(), "what box ctx made there stays") {
		t.Errorf("Down = %v, want that it says what stays", err)
	}
	if _, err := all.Load(cfg.Name); err != nil {
		t.Errorf("the record is gone: %v", err)
	}
	d.must(os.WriteFile(box.Kubeconfig, file, 0o600))
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
}

// TestRegistryThatRefuses: each refusal is said with what to do about it.
func TestRegistryThatRefuses(t *testing.T) {
	d := newDesk(t)
	d.serving()
	for code, words := range map[int][]string{
		http.StatusUnauthorized:        {"does not know you (401)", "docker login"},
		http.StatusForbidden:           {"does not let you push to team/hello (403)", "another --registry"},
		http.StatusNotFound:            {"has no repository team/hello", "make it there"},
		http.StatusInternalServerError: {"fails (500 Internal Server Error)", "try again later"},
	} {
		refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(code)
			}
		}))
		cfg := d.config()
		cfg.Guest.Registry = strings.TrimPrefix(refusing.URL, "http://") + "/team"
		d.refused(cfg, words...)
		refusing.Close()
	}
	cfg := d.config()
	cfg.Guest.Registry = ""
	d.refused(cfg, "no registry is named", "--registry HOST/PATH")
	cfg.Guest.Registry = "alice/images"
	d.refused(cfg, "does not begin with a host", "docker.io/alice/images")
	cfg.Guest.Registry = "127.0.0.1:1/alice"
	d.refused(cfg, "127.0.0.1:1 does not answer", "connection refused", "look whether it runs")
}

// TestLoadBalancer: its address is the way in where it answers, and else a
// port-forward is, which is said.
func TestLoadBalancer(t *testing.T) {
	d := newDesk(t)
	d.serving()
	front := httptest.NewServer(http.NotFoundHandler())
	defer front.Close()
	d.gatewayService("ingress", "front", strings.TrimPrefix(front.URL, "http://127.0.0.1:"))
	cfg := d.config()
	cfg.Guest.Given = ""
	var warned []string
	cfg.Events = func(e event.Event) {
		if e.Kind == event.Warning {
			warned = append(warned, e.Message)
		}
	}
	box, err := all.Up(t.Context(), cfg)
	d.must(err)
	if box.Gateway() != front.URL || len(warned) > 0 {
		t.Errorf("the way in is %s, want the load balancer's %s; warned of %q", box.Gateway(), front.URL, warned)
	}
	front.Close()
	box, err = all.Up(t.Context(), cfg)
	d.must(err)
	if to := box.Guest.Forward; to == nil || to.Namespace != "ingress" || to.Selector != "istio=front" || to.Port != 8080 {
		t.Errorf("the way in is %s, by %+v; want a port-forward to the gateway's pods", box.Gateway(), to)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "the load balancer of Service ingress/front does not answer from here, so a port-forward is the way in: ") {
		t.Errorf("warned of %q, want that the load balancer does not answer", warned)
	}
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))

	d.gatewayService("other", "back", "80")
	d.refused(cfg, "several gateways of Istio's: ingress/front, other/back", "--gateway NAMESPACE/NAME")
	cfg.Guest.Given = "other/middle"
	d.refused(cfg, "--gateway other/middle", "not found")
	cfg.Guest.Given = "ftp://front"
	d.refused(cfg, "is no URL of a gateway", "http://HOST:PORT", "NAMESPACE/NAME")
	cfg.Guest.Given = "other/back"
	_, err = all.Up(t.Context(), cfg)
	d.must(err)
	cfg.Guest.Given = "" // it is remembered
	box, err = all.Up(t.Context(), cfg)
	d.must(err)
	if to := box.Guest.Forward; to == nil || to.Namespace != "other" {
		t.Errorf("the next up goes in by %+v, want the Service that was given", to)
	}
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
}

// gatewayService makes the Service of an Istio gateway with a load balancer at
// 127.0.0.1, and a pod of it.
func (d *desk) gatewayService(namespace, name, port string) {
	d.Helper()
	number, err := strconv.Atoi(port)
	d.must(err)
	ctx, api := d.Context(), d.bed.Client()
	d.must(client.IgnoreAlreadyExists(api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})))
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"istio": name},
		Ports: []corev1.ServicePort{{Name: "status-port", Port: 15021}, {Name: "http2", Port: int32(number), TargetPort: intstr.FromInt32(8080)}},
	}}
	d.must(api.Create(ctx, service))
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "127.0.0.1"}}
	d.must(api.Status().Update(ctx, service))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: service.Spec.Selector},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "envoy", Image: "envoy"}}},
	}
	d.must(api.Create(ctx, pod))
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	d.must(api.Status().Update(ctx, pod))
	d.Cleanup(func() {
		for _, o := range []client.Object{service, pod} {
			d.must(api.Delete(context.Background(), o, client.GracePeriodSeconds(0)))
		}
	})
}

// TestInstallOntoAnIstio: the one that is there is used, whatever it is called,
// and stays when the serving stack goes.
func TestInstallOntoAnIstio(t *testing.T) {
	d := newDesk(t)
	d.kinds()
	base, err := istio.Charts(istio.Options{Pilot: "pilot", Proxy: "proxy"})
	d.must(err)
	base[0].Values["global"].(map[string]any)["istioNamespace"] = "mesh"
	releases, err := helm.New(d.bed.REST())
	d.must(err)
	d.must(client.IgnoreAlreadyExists(d.bed.Client().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "mesh"}})))
	_, err = releases.Apply(t.Context(), helm.Release{Name: "mesh-base", Namespace: "mesh", Chart: base[0].Files, Values: base[0].Values})
	d.must(err)
	defer d.kinds()
	ends := d.running()
	defer ends()
	cfg := d.config()
	cfg.Guest.Given, cfg.Guest.Install, cfg.Guest.PullSecret = "", true, "pull"
	cfg.Platform = platform
	d.must(d.bed.Client().Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
	}))
	d.until("Istio's kinds are served", func() bool {
		_, err := all.Up(t.Context(), cfg)
		return err != nil && strings.Contains(err.Error(), "there is an Istio without an ingress gateway")
	})
	d.gatewayService("front", "mesh-in", "80")
	would, _, err := all.Plan(t.Context(), cfg)
	d.must(err)
	if slices.Contains(would, "create namespaces istio-system") || !slices.Contains(would, "create namespaces knative-serving") {
		t.Errorf("the plan is %q, want the serving stack alone", would)
	}
	_, err = all.Up(t.Context(), cfg)
	d.must(err)
	if got := d.object("Gateway", "v1", "knative-serving", "knative-ingress-gateway"); !strings.Contains(got, `"selector":{"istio":"mesh-in"}`) {
		t.Errorf("the Gateway is %s, want the pods of the gateway that is there", got)
	}
	d.object("EnvoyFilter", "v1alpha3", "front", "activator")
	pod := d.deployment("knative-serving", "controller").Spec.Template.Spec
	if want := "--gateway=http://mesh-in.front.svc.cluster.local:80"; !slices.Contains(pod.Containers[0].Args, want) {
		t.Errorf("the controller is told %q, want %s", pod.Containers[0].Args, want)
	}
	if len(pod.ImagePullSecrets) != 1 || pod.ImagePullSecrets[0].Name != "pull" {
		t.Errorf("the controller's image is taken with %v, want the pull secret", pod.ImagePullSecrets)
	}
	var secret corev1.Secret
	d.must(d.bed.Client().Get(t.Context(), client.ObjectKey{Namespace: "knative-serving", Name: "pull"}, &secret))
	if secret.Type != corev1.SecretTypeDockerConfigJson {
		t.Errorf("the copy of the pull secret is of type %s", secret.Type)
	}
	err = d.bed.Client().Get(t.Context(), client.ObjectKey{Name: istio.Namespace}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s: %v, want that there is none", istio.Namespace, err)
	}

	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
	d.must(d.bed.Client().Get(t.Context(), client.ObjectKey{Namespace: "front", Name: "mesh-in"}, &corev1.Service{}))
	d.until("Istio's kinds alone are left", func() bool {
		var kinds apiextensionsv1.CustomResourceDefinitionList
		d.must(d.bed.Client().List(t.Context(), &kinds))
		left := map[string]int{}
		for _, k := range kinds.Items {
			left[k.Annotations["meta.helm.sh/release-name"]]++
		}
		err := d.bed.Client().Get(t.Context(), client.ObjectKey{Name: "knative-serving"}, &corev1.Namespace{})
		return left["mesh-base"] > 0 && left["serving"] == 0 && apierrors.IsNotFound(err)
	})
}

// object is one of Istio's as JSON.
func (d *desk) object(kind, version, namespace, name string) string {
	d.Helper()
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("networking.istio.io/" + version)
	u.SetKind(kind)
	d.must(d.bed.Client().Get(d.Context(), client.ObjectKey{Namespace: namespace, Name: name}, u))
	text, err := u.MarshalJSON()
	d.must(err)
	return string(text)
}

// platform is a serving stack of which nothing runs.
func platform(context.Context) (bootstrap.Platform, error) {
	serving, err := random.Image(64, 1)
	if err != nil {
		return bootstrap.Platform{}, err
	}
	queue, err := random.Image(64, 1)
	return bootstrap.Platform{Serving: serving, Queue: queue}, err
}

// TestInstall puts the serving stack, and Istio with it, into a cluster that has
// neither, and takes both away again, but while somebody uses them.
func TestInstall(t *testing.T) {
	d := newDesk(t)
	d.kinds()
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	cfg := d.config()
	cfg.Guest.Given = gateway.URL
	cfg.Platform = platform
	d.refused(cfg, "has no Knative Serving", "and no Istio", "--install")
	d.as("bob")
	bobs := cfg
	bobs.Guest.Install = true
	d.refused(bobs, "--install: in the whole cluster you may not", "create, patch, delete namespaces", "create, delete customresourcedefinitions.apiextensions.k8s.io")
	d.contexts(nil)

	ends := d.running()
	cfg.Guest.Install = true
	would, _, err := all.Plan(t.Context(), cfg)
	d.must(err)
	for _, want := range []string{"create namespaces istio-system", "create namespaces knative-serving", "create services.serving.knative.dev hello in namespace " + d.namespace, "push to " + d.registry + "/hello"} {
		if !slices.Contains(would, want) {
			t.Errorf("the plan is %q, without %q", would, want)
		}
	}
	d.refused(func() bootstrap.Config { c := cfg; c.Guest.Install = false; return c }(), "has no Knative Serving") // a plan makes nothing
	_, err = all.Up(t.Context(), cfg)
	d.must(err)
	image := d.deployment("knative-serving", "controller").Spec.Template.Spec.Containers[0].Image
	if !strings.HasPrefix(image, d.registry+"/devbox-serving@sha256:") {
		t.Errorf("the controller's image is %s, want one of the user's registry", image)
	}
	d.deployment("istio-system", "istiod")
	_, err = all.Up(t.Context(), cfg) // once more is nothing
	d.must(err)

	d.service("billing", func(*servingv1.Service) {})
	err = all.Down(t.Context(), cfg.Name, cfg.Events)
	if want := "stays: somebody needs it, for service billing in namespace " + d.namespace; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Down = %v, want %q", err, want)
	}
	d.deployment("knative-serving", "controller") // for whom billing is
	d.must(d.bed.Client().DeleteAllOf(t.Context(), &servingv1.Service{}, client.InNamespace(d.namespace)))
	d.must(all.Down(t.Context(), cfg.Name, cfg.Events))
	ends()
	d.until("nothing is left of it", func() bool {
		var kinds apiextensionsv1.CustomResourceDefinitionList
		d.must(d.bed.Client().List(t.Context(), &kinds))
		var namespaces corev1.NamespaceList
		d.must(d.bed.Client().List(t.Context(), &namespaces))
		return len(kinds.Items) == 0 && !slices.ContainsFunc(namespaces.Items, func(n corev1.Namespace) bool {
			return n.Name == "knative-serving" || n.Name == "istio-system"
		})
	})
}

func (d *desk) deployment(namespace, name string) *appsv1.Deployment {
	d.Helper()
	var there appsv1.Deployment
	d.must(d.bed.Client().Get(d.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &there))
	return &there
}

// running plays the controllers of a cluster: every Deployment runs.
func (d *desk) running() (end func()) {
	d.Helper()
	ctx, cancel := context.WithCancel(d.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			var list appsv1.DeploymentList
			if d.bed.Client().List(ctx, &list) != nil {
				return
			}
			for i := range list.Items {
				o := &list.Items[i]
				if o.Status.ObservedGeneration == o.Generation {
					continue
				}
				o.Status = appsv1.DeploymentStatus{ObservedGeneration: o.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
				_ = d.bed.Client().Status().Update(ctx, o) // it is looked at again
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() { cancel(); <-ended }
}
