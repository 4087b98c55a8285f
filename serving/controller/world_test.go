package controller

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/autoscaler"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	bed.Main(m)
}

// world is a namespace of a real API server and the reconcilers over it,
// which run when the test says so. The test is kubelet, activator, autoscaler
// and gateway.
type world struct {
	*testing.T
	client.Client
	namespace string

	services       *services
	configurations *configurations
	revisions      *revisions
	routes         *routes
	mappings       *mappings
	wanted         wanted
	writes         *atomic.Int64 // requests that may change something
	events         *events.FakeRecorder
	clock          *clocktesting.FakeClock
}

// wanted is an autoscaler that wants what the test says: one pod of what
// traffic can reach where it says nothing.
type wanted struct{ pods map[string]int32 }

func (w wanted) Track(key types.NamespacedName, r autoscaler.Revision) (int32, string) {
	n, ok := w.pods[key.Name]
	switch {
	case ok:
		return n, "the test says so"
	case r.Reachable:
		return 1, "traffic can reach it"
	}
	return 0, "no route leads here"
}

func (wanted) Forget(types.NamespacedName) {}

func newWorld(t *testing.T) *world {
	t.Helper()
	b := bed.Start(t)
	scheme, err := newScheme(true)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		T: t, namespace: b.Namespace(t), wanted: wanted{map[string]int32{}}, writes: new(atomic.Int64),
		events: events.NewFakeRecorder(100), clock: clocktesting.NewFakeClock(noon),
	}
	counted := b.REST()
	counted.Wrap(func(to http.RoundTripper) http.RoundTripper { return counting{to, w.writes} })
	c, err := client.New(counted, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w.Client = c
	common := newApplier(c, c)
	scaler := newScaler()
	scaler.decider = w.wanted
	force := newInForce("example.com")
	w.services, w.configurations = &services{common}, &configurations{common, force}
	ways := &entrances{applier: common}
	w.routes, w.mappings = &routes{entrances: ways, force: force, clock: w.clock}, &mappings{ways}
	answers := newAnswers()
	secrets, err := typedv1.NewForConfig(b.REST())
	if err != nil {
		t.Fatal(err)
	}
	queue := desired.Queue{Image: "devbox.local/queue:1", DrainQuietPeriod: time.Second}
	fleet := newFleet(c, w.events, queue, &observability{}, force, answers, nil)
	fleet.failures = flowcontrol.NewFakeBackOff(firstBackOff, lastBackOff, w.clock)
	fleet.standbys = newStandbys(c, c, fleet, nil, "", force, func(types.NamespacedName) {})
	w.revisions = &revisions{
		applier: common, scaler: scaler, answers: answers, digests: newDigests(nil, force.podsOfAll, secrets),
		fleet: fleet, events: w.events, force: force, deadline: time.Minute,
	}
	return w
}

// counting counts the requests that are not for reading.
type counting struct {
	to     http.RoundTripper
	writes *atomic.Int64
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		c.writes.Add(1)
	}
	return c.to.RoundTrip(r)
}

// settle reconciles everything again and again until nothing changes any
// more: that it ends says that no reconcile writes for nothing.
func (w *world) settle() {
	w.Helper()
	before := w.versions()
	for range 30 {
		w.resync()
		after := w.versions()
		if maps.Equal(before, after) {
			return
		}
		before = after
	}
	w.Fatalf("the world does not come to rest: %v", before)
}

// resync reconciles everything once.
func (w *world) resync() {
	w.Helper()
	each(w, &servingv1.ServiceList{}, w.services)
	each(w, &servingv1.ConfigurationList{}, w.configurations)
	each(w, &servingv1.RevisionList{}, w.revisions)
	each(w, &servingv1.RouteList{}, w.routes)
	each(w, &servingv1beta1.DomainMappingList{}, w.mappings)
}

// each reconciles every object of a kind.
func each[T client.Object](w *world, list client.ObjectList, r reconcile.ObjectReconciler[T]) {
	w.Helper()
	for _, obj := range w.list(list) {
		if o, ok := obj.(T); ok {
			if _, err := r.Reconcile(w.Context(), o); err != nil {
				w.Logf("reconciling %T %s: %v", o, o.GetName(), err)
			}
		}
	}
}

func (w *world) list(list client.ObjectList) []client.Object {
	w.Helper()
	if err := w.List(w.Context(), list, client.InNamespace(w.namespace)); err != nil {
		w.Fatal(err)
	}
	var out []client.Object
	switch l := list.(type) {
	case *servingv1.ServiceList:
		out = objects(l.Items)
	case *servingv1.ConfigurationList:
		out = objects(l.Items)
	case *servingv1.RevisionList:
		out = objects(l.Items)
	case *servingv1.RouteList:
		out = objects(l.Items)
	case *servingv1beta1.DomainMappingList:
		out = objects(l.Items)
	case *corev1.PodList:
		out = objects(l.Items)
	case *corev1.ServiceList:
		out = objects(l.Items)
	default:
		w.Fatalf("nobody lists %T", list)
	}
	return out
}

func objects[T any](items []T) []client.Object {
	var out []client.Object
	for i := range items {
		if o, ok := any(&items[i]).(client.Object); ok {
			out = append(out, o)
		}
	}
	return out
}

// versions are the resource versions of everything there is.
func (w *world) versions() map[string]string {
	w.Helper()
	out := map[string]string{}
	for _, list := range []client.ObjectList{
		&servingv1.ServiceList{}, &servingv1.ConfigurationList{}, &servingv1.RevisionList{},
		&servingv1.RouteList{}, &servingv1beta1.DomainMappingList{}, &corev1.PodList{}, &corev1.ServiceList{},
	} {
		for _, o := range w.list(list) {
			out[fmt.Sprintf("%T %s", o, o.GetName())] = o.GetResourceVersion()
		}
	}
	return out
}

// get reads an object of the namespace.
func get[T client.Object](w *world, into T, name string) T {
	w.Helper()
	if err := w.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, into); err != nil {
		w.Fatal(err)
	}
	return into
}

// deploy makes or changes a Service, the way kubectl would.
func (w *world) deploy(name, image string, change ...func(*servingv1.Service)) {
	w.Helper()
	svc := &servingv1.Service{}
	svc.Name, svc.Namespace = name, w.namespace
	err := w.Get(w.Context(), client.ObjectKeyFromObject(svc), svc)
	if client.IgnoreNotFound(err) != nil {
		w.Fatal(err)
	}
	svc.Spec.Template.Spec.Containers = []servingv1.Container{{Image: image}}
	for _, c := range change {
		c(svc)
	}
	if svc.UID == "" {
		err = w.Create(w.Context(), svc)
	} else {
		err = w.Update(w.Context(), svc)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.settle()
}

// pods are the revision's pods that are not on their way out.
func (w *world) pods(revision string) []*corev1.Pod {
	w.Helper()
	var out []*corev1.Pod
	for _, o := range w.list(&corev1.PodList{}) {
		if pod, ok := o.(*corev1.Pod); ok && pod.Labels[servingv1.RevisionLabel] == revision && pod.DeletionTimestamp.IsZero() {
			out = append(out, pod)
		}
	}
	return out
}

// kubelet writes pod's status.
func (w *world) kubelet(pod *corev1.Pod, change func(*corev1.Pod)) {
	w.Helper()
	change(pod)
	if err := w.Status().Update(w.Context(), pod); err != nil {
		w.Fatal(err)
	}
	w.settle()
}

// activator says that all pods of a revision answer.
func (w *world) activator(revision string) { w.Helper(); w.answer(revision, true) }

// silent says that none does.
func (w *world) silent(revision string) { w.Helper(); w.answer(revision, false) }

func (w *world) answer(revision string, answers bool) {
	w.Helper()
	for _, pod := range w.pods(revision) {
		w.revisions.answers.receive(stream.Message{Pod: &stream.Pod{
			Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Revision: revision, Answers: answers,
		}})
	}
	w.settle()
}

// live deploys an image and has its revision answer.
func (w *world) live(name, image, revision string, change ...func(*servingv1.Service)) {
	w.Helper()
	w.deploy(name, image, change...)
	w.activator(revision)
	w.expect("traffic of "+name, w.traffic(name), "["+revision+" 100 latest]")
}

func (w *world) traffic(route string) string {
	w.Helper()
	return split(get(w, &servingv1.Route{}, route))
}

func (w *world) expect(what string, got, want any) {
	w.Helper()
	if g, s := fmt.Sprint(got), fmt.Sprint(want); g != s {
		w.Errorf("%s: %s, want %s", what, g, s)
	}
}

// told are the reasons of the events so far.
func (w *world) told() []string {
	var out []string
	for {
		select {
		case e := <-w.events.Events:
			out = append(out, strings.Fields(e)[1])
		default:
			slices.Sort(out)
			return slices.Compact(out)
		}
	}
}

// node makes the cluster's one node. It is every world's, so a test that has
// one does not run beside others.
func (w *world) node(name string) {
	w.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := w.Create(w.Context(), node); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := w.Delete(context.WithoutCancel(w.Context()), node); err != nil {
			w.Error(err)
		}
	})
	node.Spec.Taints = nil // the server's own: a new node is not ready
	if err := w.Update(w.Context(), node); err != nil {
		w.Fatal(err)
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if err := w.Status().Update(w.Context(), node); err != nil {
		w.Fatal(err)
	}
}
