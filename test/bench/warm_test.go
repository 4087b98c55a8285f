//go:build e2e

package bench

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	istio "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/serving/ingress"
	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

// gateway is where a client at straight's place reaches it: without the port
// on this machine, which leads into the node.
func (s *subject) gateway(b *testing.B) string {
	b.Helper()
	if s.Engine() != "kind" {
		return s.Gateway
	}
	envoy := s.ReadyPodsOf("istio-system", "istio=ingressgateway")
	if len(envoy) != 1 {
		b.Fatalf("there are %d gateways; want one", len(envoy))
	}
	return "http://" + envoy[0].Status.PodIP
}

// from is a caller in the box's node.
func (s *subject) from(url, host string) *load.Caller {
	return load.Over(&http.Transport{DialContext: s.Dial(), MaxIdleConnsPerHost: 100}, url, host)
}

// rate is of what is measured while nothing is short, in requests a second.
const rate = 50

// sideBySide sends requests to a service of its own the whole way, and as many
// straight to the pod.
func (s *subject) sideBySide(b *testing.B, name string, lasts time.Duration) (way, straight load.Results) {
	b.Helper()
	host := s.Service(b, name, s.image, 0, map[string]string{"min-scale": "1"})
	pod := s.straight(b, s.pod(b, name))
	road := s.from(s.gateway(b), host).Start(rate)
	time.Sleep(time.Second / rate / 2) // so that the two take turns
	bare := s.from(pod, host).Start(rate)
	time.Sleep(lasts)
	return road.Stop(), bare.Stop()
}

// ways are those to a pod that are measured in turns.
type ways struct {
	straight, gateway, road way
}

// way is one of them, and what was measured of it.
type way struct {
	name   string
	caller *load.Caller // nil where the engine has no such way
	took   []time.Duration
	rates  []time.Duration // of one request, as the machine has one each
}

// ways makes a service of one pod, and finds the ways to it.
func (s *subject) ways(b *testing.B, name string) *ways {
	b.Helper()
	host := s.Service(b, name, s.image, 0, map[string]string{"min-scale": "1", "max-scale": "1"})
	pod := s.pod(b, name)
	w := &ways{
		straight: way{name: "straight to the pod", caller: s.from(s.straight(b, pod), host)},
		gateway:  way{name: "the gateway straight to the pod"},
		road:     way{name: "the whole road", caller: s.from(s.gateway(b), host)},
	}
	if s.Engine() == "kind" {
		w.gateway.caller = s.from(s.gateway(b), s.gatewayTo(b, pod))
	}
	return w
}

// all are the ways that there are.
func (w *ways) all() []*way {
	if w.gateway.caller == nil {
		return []*way{&w.straight, &w.road}
	}
	return []*way{&w.straight, &w.gateway, &w.road}
}

// others are those that the whole road is measured against.
func (w *ways) others() []*way { return w.all()[:len(w.all())-1] }

// add keeps what came of requests.
func (w *way) add(b *testing.B, all load.Results) {
	b.Helper()
	if failed := all.Failed(); len(failed) > 0 {
		b.Fatalf("%s: %d requests failed:\n%s", w.name, len(failed), failed.List())
	}
	for _, r := range all {
		w.took = append(w.took, r.Took)
	}
	slices.Sort(w.took)
}

// percentile is the time that so many of a hundred requests took at most.
func (w *way) percentile(p int) time.Duration { return w.took[(len(w.took)-1)*p/100] }

// warm sends requests all ways at the same rate, side by side, so that all meet
// the same machine.
func (s *subject) warm(b *testing.B) {
	const lasts = 60 * time.Second
	w := s.ways(b, "warm")
	var loads []*load.Load
	for _, way := range w.all() {
		loads = append(loads, way.caller.Start(rate))
		time.Sleep(time.Second / rate / time.Duration(len(w.all()))) // so that they take turns
	}
	time.Sleep(lasts)
	for i, way := range w.all() {
		way.add(b, loads[i].Stop())
	}
	for _, p := range []struct {
		percent int
		goal    string
	}{{50, "+1 ms"}, {99, "+3 ms"}} {
		for _, other := range w.others() {
			a, r := w.road.percentile(p.percent), other.percentile(p.percent)
			goal := ""
			if other == &w.straight {
				goal = p.goal
				b.ReportMetric((a-r).Seconds()*1000, fmt.Sprintf("ms-more/p%d", p.percent))
			}
			note(b, row{
				what:     fmt.Sprintf("a request by gateway, activator and queue-proxy, p%d of %d at %d a second", p.percent, len(w.road.took), rate),
				measured: milliseconds(a), against: other.name + ", in turn with it: " + milliseconds(r),
				ratio: fmt.Sprintf("%.2f (%+.2f ms)", ratio(a, r), (a-r).Seconds()*1000), goal: goal,
			})
		}
	}
}

// one sends one request after another, most as many as the road carries.
func (s *subject) one(b *testing.B) {
	s.turns(b, "one", 1, "one request after another: requests a second", "")
}
func (s *subject) most(b *testing.B) {
	s.turns(b, "most", 32, "the most requests a second that the road carries, 32 clients on the same cores", "0.5")
}

// turns has clients send one request after another, all ways in turns.
func (s *subject) turns(b *testing.B, name string, clients int, what, goal string) {
	b.Helper()
	const rounds, lasts = 5, 5 * time.Second
	w := s.ways(b, name)
	for range rounds {
		for _, way := range w.all() {
			all := way.caller.Saturate(clients, lasts)
			way.add(b, all)
			way.rates = append(way.rates, lasts/time.Duration(len(all)))
		}
	}
	road := median(w.road.rates)
	for _, other := range w.others() {
		r := row{
			what:     fmt.Sprintf("%s, median of %d times %s", what, rounds, lasts),
			measured: fmt.Sprintf("%s (p50 %s)", perSecond(road), milliseconds(w.road.percentile(50))),
			against:  fmt.Sprintf("%s: %s (p50 %s)", other.name, perSecond(median(other.rates)), milliseconds(other.percentile(50))),
			ratio:    fmt.Sprintf("%.2f", ratio(median(other.rates), road)),
		}
		if other == &w.gateway {
			r.goal = goal
		}
		note(b, r)
	}
	b.ReportMetric(1/road.Seconds(), "requests/s")
}

func perSecond(each time.Duration) string { return fmt.Sprintf("%.0f", 1/each.Seconds()) }

// gatewayTo leads a host from the gateway to a pod with nothing in between.
func (s *subject) gatewayTo(b *testing.B, pod *corev1.Pod) (host string) {
	b.Helper()
	name := "straight-" + pod.Labels["app"]
	host = name + ".default.example.com"
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: name}}
	service.Spec.Selector = map[string]string{"app": pod.Labels["app"]}
	service.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString(pod.Spec.Containers[0].Ports[0].Name)}}
	route := &networkingv1.VirtualService{ObjectMeta: service.ObjectMeta, Spec: istio.VirtualService{
		Hosts: []string{host}, Gateways: []string{ingress.Gateway},
		Http: []*istio.HTTPRoute{{Route: []*istio.HTTPRouteDestination{{Destination: &istio.Destination{Host: name + "." + pod.Namespace + ".svc.cluster.local"}}}}},
	}}
	kinds := runtime.NewScheme()
	if err := ingress.AddToScheme(kinds); err != nil {
		b.Fatal(err)
	}
	if err := corev1.AddToScheme(kinds); err != nil {
		b.Fatal(err)
	}
	api, err := client.New(s.REST(), client.Options{Scheme: kinds})
	if err != nil {
		b.Fatal(err)
	}
	for _, object := range []client.Object{service, route} {
		if err := api.Create(b.Context(), object); err != nil {
			b.Fatal(err)
		}
	}
	c := s.Caller(host, "/")
	box.Eventually(b, "the gateway leads to the pod", func() bool { return c.Send(time.Now()).OK() })
	return host
}
