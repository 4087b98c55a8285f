package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/ingress"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/test/bed"
)

// running is a Controller at work, seen from outside: what the test waits for
// it sees on watches. The test is kubelet, activator and gateway.
type running struct {
	*testing.T
	client.WithWatch
	ctx        context.Context
	controller *Controller
	namespace  string
}

func run(t *testing.T, gateway string) *running {
	t.Helper()
	b := bed.Start(t)
	b.Install(t, virtualServices())
	scheme, err := newScheme(true)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(b.REST(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ctrl, err := New(b.REST(), Config{
		QueueImage: "devbox.local/queue:1", Domain: "example.com", Gateway: gateway,
		ProgressDeadline: time.Minute, DrainQuietPeriod: time.Second, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var working sync.WaitGroup
	working.Go(func() {
		if err := ctrl.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); working.Wait() })
	if !ctrl.manager.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the controller's cache has not come up in a minute")
	}
	ctrl.Receive("the test", stream.Message{})
	return &running{t, c, ctx, ctrl, b.Namespace(t)}
}

// virtualServices is as much of Istio as the server needs to store what the
// controller writes.
func virtualServices() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "virtualservices.networking.istio.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "networking.istio.io",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Kind: "VirtualService", ListKind: "VirtualServiceList", Plural: "virtualservices", Singular: "virtualservice",
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: new(true),
				}},
			}},
		},
	}
}

// until waits for an object of the namespace that is as wanted.
func until[T client.Object](r *running, list client.ObjectList, what string, wanted func(T) bool) T {
	r.Helper()
	events, err := r.Watch(r.ctx, list, client.InNamespace(r.namespace))
	if err != nil {
		r.Fatalf("waiting for %s: %v", what, err)
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		if obj, ok := e.Object.(T); ok && wanted(obj) {
			return obj
		}
	}
	r.Fatalf("no sign of %s", what)
	panic("unreachable")
}

func (r *running) pod(revision string) *corev1.Pod {
	r.Helper()
	return until(r, &corev1.PodList{}, "a pod of "+revision, func(p *corev1.Pod) bool {
		return p.Labels[servingv1.RevisionLabel] == revision && p.DeletionTimestamp.IsZero()
	})
}

func (r *running) answers(p *corev1.Pod) {
	r.controller.Receive("the test", stream.Message{Pod: &stream.Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Revision: p.Labels[servingv1.RevisionLabel], Answers: true,
	}})
}

func (r *running) routed(revision string) {
	r.Helper()
	until(r, &servingv1.RouteList{}, "traffic for "+revision, func(route *servingv1.Route) bool {
		return len(route.Status.Traffic) == 1 && route.Status.Traffic[0].RevisionName == revision
	})
}

func (r *running) ready(revision string) *servingv1.Service {
	r.Helper()
	return until(r, &servingv1.ServiceList{}, "a Service that is ready with "+revision, func(s *servingv1.Service) bool {
		return s.IsReady() && s.Status.LatestReadyRevisionName == revision
	})
}

// hello makes a service of that name, with the image dev.local/hello:0.
func (r *running) hello() *servingv1.Service {
	r.Helper()
	svc := &servingv1.Service{}
	svc.Name, svc.Namespace = "hello", r.namespace
	svc.Spec.Template.Spec.Containers = []servingv1.Container{{Image: "dev.local/hello:0"}}
	if err := r.Create(r.ctx, svc); err != nil {
		r.Fatal(err)
	}
	return svc
}

func (r *running) edit(svc *servingv1.Service, image string) {
	r.Helper()
	before := svc.DeepCopy()
	svc.Spec.Template.Spec.Containers = []servingv1.Container{{Image: image}}
	if err := r.Patch(r.ctx, svc, client.MergeFrom(before)); err != nil {
		r.Fatal(err)
	}
}

// write is how long it takes to write an object and to see it on a watch: the
// measure of everything the controller does.
func (r *running) write(n int) time.Duration {
	r.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("written-", n), Namespace: r.namespace}}
	began := time.Now()
	if err := r.Create(r.ctx, cm); err != nil {
		r.Fatal(err)
	}
	until(r, &corev1.ConfigMapList{}, cm.Name, func(seen *corev1.ConfigMap) bool { return seen.Name == cm.Name })
	return time.Since(began)
}

// gatewayStub is an ingress gateway with the activator behind it, which knows the
// hosts it has been told.
type gatewayStub struct {
	mu    sync.Mutex
	hosts map[string]bool
}

func (g *gatewayStub) know(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts[host] = true
}

func (g *gatewayStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.hosts[r.Host] {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(probeActivator))
}

// The whole edit road with everything running: how long it takes from the
// edit to the pod, and from the pod's answer to the traffic, is logged.
func TestRunning(t *testing.T) {
	stub := &gatewayStub{hosts: map[string]bool{}}
	server := httptest.NewServer(stub)
	defer server.Close()
	r := run(t, server.URL)

	svc := r.hello()
	r.answers(r.pod("hello-00001"))
	r.routed("hello-00001")
	until(r, &servingv1.RouteList{}, "a route that waits for the gateway", func(route *servingv1.Route) bool {
		c := route.Status.Condition(servingv1.RouteIngressReady)
		return c != nil && c.Status == corev1.ConditionUnknown
	})
	virtual, err := ingressHosts(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range virtual {
		stub.know(host)
	}
	if got := r.ready("hello-00001").Status.URL; got != "http://"+virtual[0] {
		t.Errorf("URL is %s, want that of %s", got, virtual[0])
	}

	var write, toPod, toTraffic []time.Duration
	for n := 2; n < 12; n++ {
		write = append(write, r.write(n))
		revision := servingv1.RevisionName("hello", int64(n))
		began := time.Now()
		r.edit(svc, fmt.Sprintf("dev.local/hello:%d", n))
		pod := r.pod(revision)
		toPod = append(toPod, time.Since(began))
		began = time.Now()
		r.answers(pod)
		r.routed(revision)
		toTraffic = append(toTraffic, time.Since(began))
		r.ready(revision)
	}
	for what, took := range map[string][]time.Duration{"one write seen": write, "edit to pod": toPod, "answer to traffic": toTraffic} {
		slices.Sort(took)
		t.Logf("%s: median %v, worst %v", what, took[len(took)/2], took[len(took)-1])
	}

	until(r, &servingv1.RevisionList{}, "an old revision without pods", func(rev *servingv1.Revision) bool {
		return rev.Name == "hello-00010" && *rev.Status.ActualReplicas == 0
	})

	before := svc.DeepCopy()
	svc.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
	if err := r.Patch(r.ctx, svc, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	until(r, &servingv1.ServiceList{}, "a Service that is only in the cluster", func(s *servingv1.Service) bool {
		return s.Status.URL == "http://hello."+r.namespace+".svc.cluster.local"
	})
	if _, err := ingressHosts(r); !apierrors.IsNotFound(err) {
		t.Errorf("the gateway still serves a cluster-local route: %v", err)
	}
}

// mapped waits for a condition of the DomainMapping of a host to be as wanted.
func (r *running) mapped(host string, t servingv1.ConditionType, status corev1.ConditionStatus, reason string) *servingv1beta1.DomainMapping {
	r.Helper()
	what := fmt.Sprintf("%s/%s with %s %s %s", r.namespace, host, t, status, reason)
	return until(r, &servingv1beta1.DomainMappingList{}, what, func(dm *servingv1beta1.DomainMapping) bool {
		c := dm.Status.Condition(t)
		return dm.Name == host && c != nil && c.Status == status && c.Reason == reason
	})
}

// TestRunningMappings: the gateway is told of a mapping's host while the mapping
// has it, and what a mapping waits for brings it back.
func TestRunningMappings(t *testing.T) {
	stub := &gatewayStub{hosts: map[string]bool{}}
	server := httptest.NewServer(stub)
	defer server.Close()
	r := run(t, server.URL)
	other := *r
	other.namespace = bed.Start(t).Namespace(t)
	host := "shop." + r.namespace + ".test"
	maps := func(r *running) *servingv1beta1.DomainMapping {
		dm := &servingv1beta1.DomainMapping{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: host}}
		dm.Spec.Ref = servingv1beta1.Reference{APIVersion: servingv1.GroupVersion.String(), Kind: "Service", Name: "hello"}
		if err := r.Create(r.ctx, dm); err != nil {
			t.Fatal(err)
		}
		return dm
	}
	told := func(r *running, dm *servingv1beta1.DomainMapping) bool {
		obj := ingress.Mapped(dm)
		err := r.Get(r.ctx, client.ObjectKeyFromObject(obj), obj)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return err == nil
	}

	first := maps(r)
	r.mapped(host, servingv1beta1.ReferenceResolved, corev1.ConditionFalse, servingv1beta1.ReasonResolveFailed)
	if told(r, first) {
		t.Error("the gateway is told of a host behind which there is nothing")
	}
	r.hello()
	r.answers(r.pod("hello-00001"))
	r.mapped(host, servingv1beta1.IngressReady, corev1.ConditionUnknown, "Uninitialized")
	stub.know(host)
	r.mapped(host, servingv1.ConditionReady, corev1.ConditionTrue, "")
	if !told(r, first) {
		t.Error("the gateway is not told of the host")
	}

	other.hello()
	other.answers(other.pod("hello-00001"))
	second := maps(&other)
	other.mapped(host, servingv1beta1.DomainClaimed, corev1.ConditionFalse, servingv1beta1.ReasonDomainAlreadyClaimed)
	if told(&other, second) {
		t.Error("the gateway is told of a host by who has not got it")
	}
	if err := r.Delete(r.ctx, first); err != nil {
		t.Fatal(err)
	}
	other.mapped(host, servingv1.ConditionReady, corev1.ConditionTrue, "")
	if !told(&other, second) {
		t.Error("the gateway is not told of the host by who has it now")
	}
}

// ingressHosts are the hosts that the gateway has been told of.
func ingressHosts(r *running) ([]string, error) {
	obj := ingress.VirtualService(&servingv1.Route{ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: r.namespace}}, nil)
	err := r.Get(r.ctx, client.ObjectKeyFromObject(obj), obj)
	return obj.Spec.GetHosts(), err
}
