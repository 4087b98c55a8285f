package activator

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/trace"
	"github.com/kind-in-a-box/devbox/test/documented"
)

// exposed is what the activator of the box exposes.
func (b *box) exposed() string {
	var text strings.Builder
	b.activator.roads.writeMetrics(&text)
	return text.String()
}

func (b *box) exposes(want ...string) {
	b.t.Helper()
	text := b.exposed()
	for _, w := range want {
		if !strings.Contains(text, w+"\n") {
			b.t.Errorf("no %s in\n%s", w, withoutBuckets(text))
		}
	}
}

func withoutBuckets(text string) string {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "_bucket{") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// TestColdStartMetrics: a burst at a service without pods is as many held
// requests, and one cold start.
func TestColdStartMetrics(t *testing.T) {
	const burst = 200
	b := newBox(t)
	b.change(func(o *objects) {
		rev := servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: "hello-00001", Namespace: "default", Labels: map[string]string{
			servingv1.ServiceLabel: "hello", servingv1.ConfigurationLabel: "hello",
		}}}
		o.revisions = append(o.revisions, rev)
	})
	b.route(to("hello-00001", 100))
	var clients sync.WaitGroup
	for i := range burst {
		clients.Go(func() {
			req, err := http.NewRequest(http.MethodGet, fmt.Sprint(b.url, "/", i), nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Host = host
			req.Header.Set(fmt.Sprint("X-Name-", i), "value") // which is no label
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	rev := b.activator.roads.all()[types.NamespacedName{Namespace: "default", Name: "hello-00001"}]
	for rev.waits() < burst {
		time.Sleep(time.Millisecond)
	}
	labels := `{namespace_name="default",service_name="hello",configuration_name="hello",revision_name="hello-00001"`
	b.exposes("activator_requests_held"+labels+"} 200", "activator_request_concurrency"+labels+"} 200", "activator_pods"+labels+"} 0")

	b.pod("p", "hello-00001", says("hello"))
	clients.Wait()
	for rev.count.InFlight() > 0 {
		time.Sleep(time.Millisecond)
	}
	b.pod("q", "hello-00001", says("hello")) // nobody waits for it
	b.answers("hello-00001", 2)
	b.get(http.DefaultClient, "/")
	b.exposes(
		"activator_request_count"+labels+`,response_code="200",response_code_class="2xx"} 201`,
		"activator_held_latencies_count"+labels+"} 200",
		"activator_cold_start_latencies_count"+labels+`,phase="created"} 1`,
		"activator_cold_start_latencies_count"+labels+`,phase="listening"} 1`,
		"activator_cold_start_latencies_count"+labels+`,phase="first_byte"} 1`,
		"activator_cold_start_latencies_count"+labels+`,phase="total"} 1`,
		"activator_pods"+labels+"} 2",
	)
	if strings.Contains(b.exposed(), "value") || strings.Contains(b.exposed(), "X-Name") {
		t.Error("what clients send is in the metrics")
	}
	if strings.Contains(b.exposed(), "kn_revision") {
		t.Error("upstream's newer names are there, and nobody has asked for them")
	}
	b.activator.tracer = trace.New(proxy.Activator, mostSpans, slog.New(slog.DiscardHandler))
	b.activator.tune([]corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: trace.ObservabilityConfig}, Data: map[string]string{"metrics-protocol": "prometheus"}}})
	otel := `{k8s_namespace_name="default",kn_service_name="hello",kn_configuration_name="hello",kn_revision_name="hello-00001"`
	b.exposes("kn_revision_request_concurrency"+otel+"} 0", "http_server_request_duration_seconds_count"+otel+"} 201")
	var whole strings.Builder
	b.activator.roads.writeMetrics(&whole)
	(&meshed{gate: mesh.NewGate(nil)}).writeMetrics(&whole)
	proxy.WriteProcess(&whole)
	documented.Check(t, "activator", whole.String())
}

// TestSeriesGoWithTheirRevision: ten thousand revisions, each with requests and
// all codes, one after the other.
func TestSeriesGoWithTheirRevision(t *testing.T) {
	b := newBox(t)
	roads, busy := b.activator.roads, map[*revision]bool{}
	most := 0
	for n := range 10_000 {
		name := fmt.Sprintf("hello-%05d", n)
		roads.apply(context.Background(), &table{
			hosts:     map[string]destination{host: {split: []share{{types.NamespacedName{Namespace: "default", Name: name}, 100}}}},
			revisions: map[types.NamespacedName]revisionSpec{{Namespace: "default", Name: name}: {service: "hello"}},
		})
		road, _ := roads.find(host)
		for code := 100; code < 600; code++ {
			road.pick(nil).responses.Observe(code, time.Millisecond)
		}
		for _, rev := range roads.all() {
			roads.reportOne(rev, time.Now(), busy)
		}
		most = max(most, len(roads.all()))
	}
	if most > 2 || len(busy) > 0 {
		t.Errorf("%d revisions were there at a time, %d are thought busy", most, len(busy))
	}
	if text := b.exposed(); strings.Count(text, "\n") > 500 || strings.Contains(text, "hello-00001") {
		t.Errorf("%d lines are left", strings.Count(text, "\n"))
	}
}

// BenchmarkExposition is what one look at the numbers of a hundred revisions
// costs, each of which has had answers, held requests and cold starts.
func BenchmarkExposition(b *testing.B) {
	box := newBox(b)
	t := &table{hosts: map[string]destination{}, revisions: map[types.NamespacedName]revisionSpec{}}
	for n := range 100 {
		t.revisions[types.NamespacedName{Namespace: "default", Name: fmt.Sprintf("hello-%05d", n)}] = revisionSpec{service: "hello"}
	}
	box.activator.roads.apply(b.Context(), t)
	for _, rev := range box.activator.roads.all() {
		rev.responses.Observe(http.StatusOK, time.Millisecond)
		rev.heldFor.Observe(time.Second)
		for i := range rev.colds {
			rev.colds[i].Observe(time.Second)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		box.activator.roads.writeMetrics(io.Discard)
	}
}
