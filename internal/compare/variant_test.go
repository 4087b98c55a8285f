package compare

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func hello() *program {
	s := &servingv1.Service{}
	s.Name, s.Namespace = "hello", "default"
	s.Spec.Template.Annotations = map[string]string{servingv1.AutoscalingPrefix + "min-scale": "3"}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{
		Image: "ko://example.com/hello", Env: []servingv1.EnvVar{{Name: "TARGET", Value: "World"}},
	}}
	return &program{s, "localhost:5001/hello@sha256:1", "example.com"}
}

// TestSameProgram is that all variants run one image with one environment.
func TestSameProgram(t *testing.T) {
	p := hello()
	for _, v := range Variants {
		var c corev1.Container
		var labels map[string]string
		if v.Serving {
			s := p.service(v, soonAtZero)
			c, labels = s.Spec.Template.Spec.Kubernetes().Containers[0], s.Spec.Template.Labels
			if s.Spec.Template.Annotations[servingv1.AutoscalingPrefix+"min-scale"] != "" {
				t.Errorf("%s keeps the manifest's scale", v.Name)
			}
		} else {
			d := p.deployment(v)
			c, labels = d.Spec.Template.Spec.Containers[0], d.Spec.Template.Labels
			if !slices.Contains(c.Env, corev1.EnvVar{Name: "PORT", Value: "8080"}) || c.Ports[0].ContainerPort != 8080 || c.ReadinessProbe == nil || c.Name == "" {
				t.Errorf("%s: the container is %+v", v.Name, c)
			}
			if address := p.address(v).Spec; address.Ports[0].Name != "http" || address.Ports[0].TargetPort.IntVal != 8080 || address.Selector[owner] != v.Name {
				t.Errorf("%s: the address is %+v", v.Name, address)
			}
		}
		if c.Image != p.image || !slices.Contains(c.Env, corev1.EnvVar{Name: "TARGET", Value: "World"}) {
			t.Errorf("%s: the container is %+v", v.Name, c)
		}
		if want := map[bool]string{false: "false", true: "true"}[v.Sidecar]; labels[inject] != want || labels[owner] != v.Name {
			t.Errorf("%s: the labels are %v", v.Name, labels)
		}
	}
	if p.manifest.Spec.Template.Spec.Containers[0].Image != "ko://example.com/hello" {
		t.Error("the manifest was changed")
	}
}

// TestSquare is that each variant has every place equally often, and follows
// each other one once.
func TestSquare(t *testing.T) {
	order := square(Variants)
	n := len(Variants)
	places, follows := map[[2]any]int{}, map[[2]string]int{}
	for i, v := range order {
		places[[2]any{i % n, v.Name}]++
		if i%n > 0 {
			follows[[2]string{order[i-1].Name, v.Name}]++
		}
	}
	if len(places) != n*n || len(follows) != n*(n-1) {
		t.Errorf("%d places and %d pairs, want each of %d and %d once: %v", len(places), len(follows), n*n, n*(n-1), order)
	}
}

func TestTurn(t *testing.T) {
	first := map[string]bool{}
	for round := range len(Variants) {
		of := turn(round)
		first[of[0].Name] = true
		if len(of) != len(Variants) {
			t.Errorf("round %d has %d variants", round, len(of))
		}
	}
	if len(first) != len(Variants) {
		t.Errorf("only %v are ever first", first)
	}
}

// TestCurl sends a real request, as curl counts it.
func TestCurl(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "hello.example.com" {
			t.Errorf("it was sent to %s", r.Host)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	got, err := curl(context.Background(), server.URL, "hello.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != http.StatusTeapot || got.Lookup > got.Connect || got.Connect > got.StartTransfer || got.StartTransfer > got.Total || got.Connect == 0 {
		t.Errorf("the times are %+v", got)
	}
}

// TestPlaces are the containers of a pod that run, as a request passes them.
func TestPlaces(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	pod := &corev1.Pod{Status: corev1.PodStatus{
		InitContainerStatuses: []corev1.ContainerStatus{
			{Name: "istio-init", ContainerID: "containerd://1"},
			{Name: "istio-proxy", ContainerID: "containerd://2", State: running},
		},
		ContainerStatuses: []corev1.ContainerStatus{
			{Name: "user-container", ContainerID: "containerd://3", State: running},
			{Name: "queue-proxy", ContainerID: "containerd://4", State: running},
			{Name: "starting", State: running},
		},
	}}
	var got []string
	for _, p := range places(pod) {
		got = append(got, p.name+" "+p.id)
	}
	if diff := cmp.Diff([]string{"istio-proxy 2", "queue-proxy 4", "user-container 3"}, got); diff != "" {
		t.Errorf("the containers differ (-want +got):\n%s", diff)
	}
}

// TestTaken is what containers took, of which two may have one name.
func TestTaken(t *testing.T) {
	way := []place{{"gateway", true, "a"}, {"user-container", false, "b"}, {"user-container", false, "c"}, {"queue-proxy", false, "gone"}}
	got := taken(way,
		map[string]Usage{"a": {time.Second, 1}, "b": {time.Second, 1}, "gone": {time.Second, 1}},
		map[string]Usage{"a": {3 * time.Second, 10}, "b": {2 * time.Second, 20}, "c": {time.Second, 30}})
	want := map[string]Usage{"gateway": {2 * time.Second, 10}, "user-container": {2 * time.Second, 50}, "queue-proxy": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("taken is something else (-want +got):\n%s", diff)
	}
}

func TestFold(t *testing.T) {
	if got := fold("one two three", 7); got != "one two\nthree" {
		t.Errorf("folded to %q", got)
	}
	if strings.Contains(fold("a-word-that-is-too-long", 3), "\n") {
		t.Error("a word was broken")
	}
}
