//go:build e2e

package bench

import (
	"fmt"
	"net/http"
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

// warm sends requests the whole way and straight to the pod, side by side at
// the same rate, so that both meet the same machine.
func (s *subject) warm(b *testing.B) {
	const lasts = 60 * time.Second
	ours, bare := s.sideBySide(b, "warm", lasts)
	if failed := append(ours.Failed(), bare.Failed()...); len(failed) > 0 {
		b.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
	for _, p := range []struct {
		percent int
		goal    string
	}{{50, "+1 ms"}, {99, "+3 ms"}} {
		a, r := ours.Percentile(p.percent), bare.Percentile(p.percent)
		b.ReportMetric((a-r).Seconds()*1000, fmt.Sprintf("ms-more/p%d", p.percent))
		note(b, row{
			what:     fmt.Sprintf("a request by gateway, activator and queue-proxy, p%d of %d at %d a second", p.percent, len(ours), rate),
			measured: milliseconds(a), against: "straight to the pod, in turn with it: " + milliseconds(r), ratio: fmt.Sprintf("%.2f (%+.2f ms)", ratio(a, r), (a-r).Seconds()*1000), goal: p.goal,
		})
	}
}

// most finds how many requests a second the road carries, in turn with the
// gateway straight to the pod, and with nothing in between.
func (s *subject) most(b *testing.B) {
	const clients, rounds, lasts = 32, 5, 5 * time.Second
	host := s.Service(b, "most", s.image, 0, map[string]string{"min-scale": "1", "max-scale": "1"})
	pod := s.pod(b, "most")
	ways := []struct {
		name   string
		caller *load.Caller
		rates  []time.Duration // of one request, as the machine has one each
	}{
		{name: "nothing in between", caller: s.from(s.straight(b, pod), host)},
		{name: "the whole road", caller: s.from(s.gateway(b), host)},
	}
	if s.Engine() == "kind" {
		ways = append(ways, ways[1])
		ways[2].name, ways[2].caller = "the gateway straight to the pod", s.from(s.gateway(b), s.gatewayTo(b, pod))
	}
	for range rounds {
		for i := range ways {
			all := ways[i].caller.Saturate(clients, lasts)
			if failed := all.Failed(); len(failed) > 0 {
				b.Fatalf("%s: %d requests failed:\n%s", ways[i].name, len(failed), failed.List())
			}
			ways[i].rates = append(ways[i].rates, lasts/time.Duration(len(all)))
		}
	}
	road := median(ways[1].rates)
	for i, way := range ways {
		if i == 1 {
			continue
		}
		r := ratio(median(way.rates), road)
		note(b, row{
			what:     fmt.Sprintf("the most requests a second that the road carries, %d clients on the same cores, median of %d times %s", clients, rounds, lasts),
			measured: perSecond(road), against: way.name + ": " + perSecond(median(way.rates)), ratio: fmt.Sprintf("%.2f", r),
		})
	}
	b.ReportMetric(1/road.Seconds(), "requests/s")
}

func perSecond(each time.Duration) string { return fmt.Sprintf("%.0f", 1/each.Seconds()) }

// gatewayTo leads a host from the gateway to a pod with nothing in between.
func (s *subject) gatewayTo(b *testing.B, pod *corev1.Pod) (host string) {
	b.Helper()
	const name = "straight"
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
