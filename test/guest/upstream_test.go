//go:build e2e

package guest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kind-in-a-box/devbox/charts"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/test/box"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	bed.MainBare(m)
}

// upstream plays Knative's own Serving, of which the image is not to be had here:
// its kinds, with what its webhook fills in; its controller, which makes
// revisions and has no word of devbox's; and its gateway, which knows hosts and
// answers Knative's probe without the name of a revision.
type upstream struct {
	*testing.T
	client    client.Client
	namespace string

	mu        sync.Mutex
	templates map[string]string // of Services, as they were last seen
	revisions int
	hosts     map[string]bool // that the gateway knows
}

func newUpstream(t *testing.T) (u *upstream, gateway string) {
	t.Helper()
	b := bed.Start(t)
	b.Install(t, upstreamKinds(t)...)
	u = &upstream{T: t, client: b.Client(), namespace: b.Namespace(t), templates: map[string]string{}, hosts: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(u.answer))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { u.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return u, server.URL
}

// upstreamKinds are Knative's with its default of spec.traffic, and one that only
// its own parts use.
func upstreamKinds(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crds, err := charts.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	open := func() apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}
	}
	for _, crd := range crds {
		target, spec := open(), open()
		if crd.Spec.Names.Kind == "Service" {
			spec.Properties = map[string]apiextensionsv1.JSONSchemaProps{"traffic": {
				Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &target},
				Default: &apiextensionsv1.JSON{Raw: []byte(`[{"latestRevision":true,"percent":100}]`)},
			}}
		}
		crd.Labels, crd.Annotations = map[string]string{"app.kubernetes.io/name": "knative-serving"}, nil
		for i := range crd.Spec.Versions {
			v := &crd.Spec.Versions[i]
			v.SelectableFields, v.AdditionalPrinterColumns = nil, nil
			v.Schema.OpenAPIV3Schema = &apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": spec, "status": open()},
			}
		}
	}
	whole := open()
	return append(crds, &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "ingresses.networking.internal.knative.dev"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "networking.internal.knative.dev", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "ingresses", Singular: "ingress", Kind: "Ingress", ListKind: "IngressList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1alpha1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &whole},
			}},
		},
	})
}

// answer is the gateway.
func (u *upstream) answer(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	known := u.hosts[r.Host]
	u.mu.Unlock()
	switch {
	case !known:
		http.NotFound(w, r)
	case r.Header.Get("K-Network-Probe") == "activator":
		_, _ = io.WriteString(w, "activator")
	default:
		_, _ = io.WriteString(w, "hello")
	}
}

// run is the controller.
func (u *upstream) run(ctx context.Context) {
	for ctx.Err() == nil {
		var list servingv1.ServiceList
		if err := u.client.List(ctx, &list, client.InNamespace(u.namespace)); err != nil {
			if ctx.Err() == nil {
				u.Errorf("listing the services: %v", err)
			}
			return
		}
		for i := range list.Items {
			if s := &list.Items[i]; s.Status.ObservedGeneration < s.Generation {
				if err := u.reconcile(ctx, s); err != nil && ctx.Err() == nil {
					u.Errorf("service %s: %v", s.Name, err)
					return
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// reconcile makes the Service's revision, where its template is new, and its status.
func (u *upstream) reconcile(ctx context.Context, s *servingv1.Service) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	template, err := json.Marshal(s.Spec.Template)
	if err != nil {
		return err
	}
	latest := s.Status.LatestCreatedRevisionName
	if u.templates[s.Name] != string(template) {
		u.templates[s.Name] = string(template)
		u.revisions++
		latest = fmt.Sprintf("%s-%05d", s.Name, u.revisions)
		if err := u.revise(ctx, s, latest); err != nil {
			return err
		}
	}
	host := fmt.Sprintf("%s.%s.example.com", s.Name, s.Namespace)
	u.hosts[host] = true
	s.Status = servingv1.ServiceStatus{}
	s.Status.ObservedGeneration, s.Status.URL = s.Generation, "http://"+host
	s.Status.LatestCreatedRevisionName, s.Status.LatestReadyRevisionName = latest, latest
	for _, t := range s.Spec.Traffic {
		t.LatestRevision = new(t.RevisionName == "")
		t.RevisionName = cmp.Or(t.RevisionName, latest)
		if t.Tag != "" {
			u.hosts[t.Tag+"-"+host] = true
			t.URL = "http://" + t.Tag + "-" + host
		}
		s.Status.Traffic = append(s.Status.Traffic, t)
	}
	s.Status.Conditions = ready(servingv1.ServiceConfigurationsReady, servingv1.ServiceRoutesReady, servingv1.ConditionReady)
	if err := u.client.Status().Update(ctx, s); !apierrors.IsConflict(err) { // whoever has written in between is seen the next time
		return client.IgnoreNotFound(err)
	}
	return nil
}

func (u *upstream) revise(ctx context.Context, s *servingv1.Service, name string) error {
	rev := &servingv1.Revision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: name, Annotations: s.Spec.Template.Annotations,
			Labels:          map[string]string{servingv1.ServiceLabel: s.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: servingv1.GroupVersion.String(), Kind: "Service", Name: s.Name, UID: s.UID, Controller: new(true)}},
		},
		Spec: s.Spec.Template.Spec,
	}
	rev.Spec.Containers[0].Name = servingv1.UserContainer
	if err := u.client.Create(ctx, rev); err != nil {
		return err
	}
	rev.Status.ObservedGeneration = rev.Generation
	rev.Status.Conditions = ready(servingv1.RevisionContainerHealthy, servingv1.RevisionResourcesAvailable, servingv1.ConditionReady)
	return u.client.Status().Update(ctx, rev)
}

func ready(types ...servingv1.ConditionType) []servingv1.Condition {
	var all []servingv1.Condition
	for _, t := range types {
		all = append(all, servingv1.Condition{Type: t, Status: corev1.ConditionTrue})
	}
	return all
}

// TestUpstream deploys to such a cluster and has each command do its work there.
func TestUpstream(t *testing.T) {
	u, gateway := newUpstream(t)
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(images.Close)
	kubeconfig := bed.Start(t).Kubeconfig()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	carol := box.Known(t, "carol", kubeconfig)
	up := func() []string {
		return []string{
			"up", "--image", image(t), "--context", config.CurrentContext, "--namespace", u.namespace,
			"--registry", strings.TrimPrefix(images.URL, "http://") + "/carol", "--gateway", gateway,
		}
	}
	host := "hello." + u.namespace + ".example.com"
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{up(), 0, []string{"hello-00001 live", "curl -H 'Host: " + host + "' " + gateway}},
		{up(), 0, []string{"hello-00002 live"}},
		{[]string{"status"}, 0, []string{"hello-00002"}},
		{[]string{"services"}, 0, []string{"http://" + host, "hello-00002", "True"}},
		{[]string{"revisions", "hello"}, 0, []string{"hello-00001", "hello-00002"}},
		{[]string{"describe", "hello"}, 0, []string{"hello-00002 (@latest)", "RoutesReady"}},
		{[]string{"describe", "hello", "hello-00001"}, 0, []string{"hello-00001 of service hello", "0%"}},
		{[]string{"url", "hello"}, 0, []string{"http://" + host + "\n"}},
		{[]string{"wait", "hello"}, 0, []string{"hello-00002"}},
		{[]string{"traffic", "hello", "--to", "hello-00001=90", "--to", "@latest=10", "--tag", "hello-00001=old"}, 0, []string{"90%", "10%", "hello-00002 (@latest)", "old-" + host}},
		{[]string{"hold", "--release", "hello"}, 0, []string{"hello-00002 serves, and every save that follows"}},
		{[]string{"rollback", "hello"}, 0, []string{"hello-00001 serves, until `devbox hold --release hello --name carol`"}},
		{up(), 0, []string{"hello-00003", "it gets 0% of the traffic"}},
		{[]string{"traffic", "hello"}, 0, []string{"100%", "hello-00001"}},
		{[]string{"hold", "--release", "hello"}, 0, []string{"hello-00003"}},
		{[]string{"hold", "hello"}, 0, []string{"hello-00003"}},
		{[]string{"rollback", "hello", "hello-00009"}, 2, []string{"hello-00009"}},
		{[]string{"load", "hello", "--duration", "1s", "--rate", "20"}, 0, []string{"100"}},
		{[]string{"exec", "hello", "--name", "carol", "--", "true"}, 1, []string{"no pod of hello is ready"}},
		{[]string{"down"}, 0, nil},
	} {
		out, code := carol.Run(c.args...)
		if code != c.code {
			t.Errorf("devbox %s: exit %d, want %d\n%s", strings.Join(c.args, " "), code, c.code, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("devbox %s: want %q in\n%s", strings.Join(c.args, " "), want, out)
			}
		}
	}
	var left servingv1.ServiceList
	if err := u.client.List(t.Context(), &left, client.InNamespace(u.namespace)); err != nil || len(left.Items) > 0 {
		t.Errorf("after the down there is %+v, error %v", left.Items, err)
	}
}

// image is an archive of an image that is like no other.
func image(t *testing.T) string {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hello.tar")
	if err := tarball.WriteToFile(file, name.MustParseReference("hello:v1"), img); err != nil {
		t.Fatal(err)
	}
	return file
}
