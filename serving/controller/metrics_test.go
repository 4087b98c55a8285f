package controller

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/tally"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/documented"
)

// exposed is what the controller exposes.
func (r *running) exposed() string {
	w := httptest.NewRecorder()
	r.controller.health().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// say is what a session tells of an edit, of a service called as the namespace.
func (r *running) say() {
	r.Helper()
	session := tally.New()
	session.Take(event.Event{Kind: event.Changed, Service: r.namespace})
	session.Take(event.Event{Kind: event.RevisionLive, Service: r.namespace, Phases: []event.Phase{{Name: "build", Duration: time.Second}}})
	text, err := session.Text()
	if err != nil {
		r.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.controller.health().ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/loop", bytes.NewReader(text)))
	if w.Code != http.StatusOK {
		r.Fatalf("%d %s", w.Code, w.Body)
	}
}

// numbers are the lines of the namespace in what the controller exposes.
func (r *running) numbers() string {
	var ours strings.Builder
	for line := range strings.Lines(r.exposed()) {
		if strings.Contains(line, r.namespace) {
			ours.WriteString(line)
		}
	}
	return ours.String()
}

// tells waits until the controller exposes want, or does not any more.
func (r *running) tells(want string, does bool) {
	r.Helper()
	for strings.Contains(r.numbers(), want) != does {
		select {
		case <-r.ctx.Done():
			r.Fatalf("%s: not %t of\n%s", want, does, r.numbers())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestMetrics has a revision with a pod that comes, answers, and goes with it.
func TestMetrics(t *testing.T) {
	r := run(t, "")
	svc := r.hello()
	pod := r.pod("hello-00001")
	labels := fmt.Sprintf(`{configuration_name="hello",namespace_name=%q,revision_name="hello-00001",service_name="hello"} `, r.namespace)
	r.tells("autoscaler_pending_pods"+labels+"1\n", true)
	r.tells("autoscaler_desired_pods"+labels+"1\n", true)
	r.answers(pod)
	r.tells("autoscaler_actual_pods"+labels+"1\n", true)
	for _, want := range []string{
		"autoscaler_requested_pods" + labels + "1\n", "autoscaler_not_ready_pods" + labels + "0\n",
		"autoscaler_pending_pods" + labels + "0\n", "autoscaler_terminating_pods" + labels + "0\n",
		"autoscaler_panic_mode" + labels + "0\n", "autoscaler_target_concurrency_per_pod" + labels + "70\n",
		"autoscaler_stable_request_concurrency" + labels + "0\n", "autoscaler_excess_burst_capacity" + labels,
	} {
		r.tells(want, true)
	}
	if got := r.numbers(); strings.Contains(got, "requests_per_second") {
		t.Errorf("a revision that is scaled by concurrency has requests a second:\n%s", got)
	}
	// What a session has counted is beside it.
	r.say()
	r.tells(`devbox_loop_edits_total{outcome="live",service_name="`+r.namespace+`"} 1`, true)

	// Upstream's newer names come and go as upstream's key says.
	otel := fmt.Sprintf(`kn_revision_pods_count{k8s_namespace_name=%q,kn_configuration_name="hello",kn_revision_name="hello-00001",kn_service_name="hello"} 1`, r.namespace)
	config := r.tune(observabilityConfig, map[string]string{"metrics-protocol": "prometheus", "request-metrics-protocol": "prometheus"})
	r.tells(otel, true)
	r.tells("autoscaler_actual_pods"+labels+"1\n", true)
	before := svc.DeepCopy()
	svc.Spec.Template.Annotations = map[string]string{servingv1.AutoscalingPrefix + "metric": "rps"}
	if err := r.Patch(r.ctx, svc, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	if got := r.variable(r.pod("hello-00002"), "SERVING_REQUEST_METRICS_PROTOCOL"); got != "prometheus" {
		t.Errorf("the pod's protocol is %q", got)
	}
	r.change(config, "metrics-protocol", "grpc")
	if got := r.refused(config); !strings.Contains(got, `metrics-protocol: "grpc" must be prometheus or none`) {
		t.Errorf("said of a protocol that there is not: %s", got)
	}
	r.tells(otel, true)
	r.tells(strings.Replace(`autoscaler_target_requests_per_second`+labels+"140\n", "00001", "00002", 1), true)
	documented.Check(t, "controller", r.exposed())
	r.change(config, "metrics-protocol", "none")
	r.tells("kn_revision_", false)

	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: "hello-00001", Namespace: r.namespace}}
	if err := r.Delete(r.ctx, svc); err != nil {
		t.Fatal(err)
	}
	if err := client.IgnoreNotFound(r.Delete(r.ctx, rev)); err != nil { // it may have gone with its service
		t.Fatal(err)
	}
	r.tells(`revision_name="hello-00001"`, false)
}

// variable is one of queue-proxy's in a pod.
func (r *running) variable(p *corev1.Pod, name string) string {
	for _, c := range p.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == servingv1.QueueContainer && e.Name == name {
				return e.Value
			}
		}
	}
	return ""
}

func TestCountPods(t *testing.T) {
	now := metav1.NewTime(noon)
	pod := func(name string, phase corev1.PodPhase, ending bool) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{servingv1.RevisionUIDLabel: "a"}}}
		p.Status.Phase = phase
		if ending {
			p.DeletionTimestamp = &now
		}
		return p
	}
	counts := countPods([]corev1.Pod{
		pod("answers", corev1.PodRunning, false), pod("silent", corev1.PodRunning, false), pod("silent", corev1.PodRunning, false),
		pod("new", corev1.PodPending, false), pod("unseen", "", false), pod("answers", corev1.PodRunning, true),
		pod("failed", corev1.PodFailed, false), pod("failed", corev1.PodFailed, true), pod("over", corev1.PodSucceeded, false),
	}, func(p *corev1.Pod) bool { return p.Name == "answers" })
	want := podCounts{alive: 5, answering: 1, silent: 2, pending: 2, ending: 1}
	if got := counts[types.UID("a")]; got != want || len(counts) != 1 {
		t.Errorf("got %+v of %d revisions, want %+v", got, len(counts), want)
	}
}

// TestHealth asks for what kubelet and a reader of numbers ask for.
func TestHealth(t *testing.T) {
	r := run(t, "")
	r.pod(r.hello().Name + "-00001")
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/other": 404} {
		w := httptest.NewRecorder()
		r.controller.health().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if got := r.numbers(); got == "" {
		t.Error("no numbers")
	}
}
