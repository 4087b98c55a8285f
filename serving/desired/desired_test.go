package desired_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

var update = flag.Bool("update", false, "write the golden files again")

var (
	queue = desired.Queue{
		Image: "devbox.local/queue:1", DrainQuietPeriod: time.Second,
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("25m")}},
	}
	hosting = config.DefaultNames("example.com")
	someDay = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// Each testdata/NAME.in.yaml is a Service; NAME.golden.yaml are the children
// that come of it and of each other, in the order they are made.
func TestChildren(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal(inputs, err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(filepath.Base(input), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			svc := read(t, input)
			untouched := svc.DeepCopy()
			config, route := desired.Configuration(svc), desired.Route(svc)
			config.UID, config.Generation, route.UID = "config-uid", 2, "route-uid"
			rev := desired.Revision(config, servingv1.KnativeDefaults(), someDay)
			rev.UID = "revision-uid"
			pod := desired.Pod(rev, queue, desired.Place{Node: "devbox-control-plane"})

			objects := []any{config, route, rev, pod}
			for _, s := range desired.PlaceholderServices(route, hosting) {
				objects = append(objects, s)
			}
			golden(t, filepath.Join("testdata", name+".golden.yaml"), objects...)
			equal(t, "the owner after its children were made", untouched, svc)
		})
	}
}

func TestRevisionName(t *testing.T) {
	for name, c := range map[string]struct{ own, want string }{
		"of the generation":    {"", "hello-00007"},
		"of the template":      {"hello-blue", "hello-blue"},
		"of the template only": {"hello-00001", "hello-00001"},
	} {
		config := &servingv1.Configuration{}
		config.Name, config.Generation, config.Spec.Template.Name = "hello", 7, c.own
		if got := desired.RevisionName(config); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestPodRunsTheResolvedImage(t *testing.T) {
	rev := &servingv1.Revision{}
	rev.Name = "hello-00001"
	rev.Spec.Containers = []servingv1.Container{{Name: "a", Image: "r/a:1"}, {Name: "b", Image: "devbox.local/b:1"}}
	rev.Status.ContainerStatuses = []servingv1.ContainerStatus{{Name: "a", ImageDigest: "r/a@sha256:1"}, {Name: "b"}}
	pod := desired.Pod(rev, queue, desired.Place{})
	for i, want := range []string{"r/a@sha256:1", "devbox.local/b:1", queue.Image} {
		if got := pod.Spec.Containers[i].Image; got != want {
			t.Errorf("container %d runs %s, want %s", i, got, want)
		}
	}
	if pod.Spec.NodeName != "" {
		t.Errorf("bound to %q without being asked", pod.Spec.NodeName)
	}
}

// The label that people's own selectors go by is theirs, where they set it.
func TestAppLabelIsTheUsers(t *testing.T) {
	for name, c := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"theirs": {map[string]string{"app": "shop", "tier": "web"}, "shop"},
		"none":   {map[string]string{"tier": "web"}, "hello-00001"},
	} {
		rev := &servingv1.Revision{}
		rev.Name, rev.Labels = "hello-00001", c.labels
		rev.Spec.Containers = []servingv1.Container{{Image: "devbox.local/a:1"}}
		labels := desired.Pod(rev, queue, desired.Place{}).Labels
		if labels["app"] != c.want || labels["tier"] != "web" || labels[servingv1.RevisionLabel] != "hello-00001" {
			t.Errorf("%s: the pod's labels are %v", name, labels)
		}
	}
}

// A template does not say where its pods listen: that is the node's to say.
func TestPortsAreTheNodesToSay(t *testing.T) {
	rev := &servingv1.Revision{}
	rev.Annotations = map[string]string{servingv1.PortsAnnotation: `{"queue-port": 5001}`, "mine": "stays"}
	rev.Spec.Containers = []servingv1.Container{{Image: "devbox.local/a:1"}}
	equal(t, "the pod's annotations", map[string]string{"mine": "stays"}, desired.Pod(rev, queue, desired.Place{}).Annotations)
}

// A request log is asked for by two variables, and by none where there is to
// be none: the golden files have none.
func TestRequestLog(t *testing.T) {
	for template, want := range map[string]string{
		"{{.Request.Method}} {{.Response.Code}}": "{{.Request.Method}} {{.Response.Code}}",
		"$$ is not $(SERVING_POD)":               "$$$$ is not $$(SERVING_POD)", // to kubelet
	} {
		q := queue
		q.LogTemplate, q.LogProbes = template, true
		rev := &servingv1.Revision{}
		rev.Spec.Containers = []servingv1.Container{{Image: "devbox.local/a:1"}}
		env := desired.Pod(rev, q, desired.Place{}).Spec.Containers[1].Env
		equal(t, "what was added for "+template, []corev1.EnvVar{
			{Name: "SERVING_REQUEST_LOG_TEMPLATE", Value: want}, {Name: "SERVING_ENABLE_PROBE_REQUEST_LOG", Value: "true"},
		}, env[len(env)-2:])
	}
}

// Tracing is asked for in the same way.
func TestTracing(t *testing.T) {
	q := queue
	q.Tracing = trace.Settings{Protocol: trace.OTLP, Endpoint: "http://collector:4318/$(X)", Rate: 0.1}
	rev := &servingv1.Revision{}
	rev.Spec.Containers = []servingv1.Container{{Image: "devbox.local/a:1"}}
	env := desired.Pod(rev, q, desired.Place{}).Spec.Containers[1].Env
	equal(t, "what was added", []corev1.EnvVar{
		{Name: "TRACING_PROTOCOL", Value: "http/protobuf"}, {Name: "TRACING_ENDPOINT", Value: "http://collector:4318/$$(X)"},
		{Name: "TRACING_SAMPLING_RATE", Value: "0.1"},
	}, env[len(env)-3:])
}

func TestHosts(t *testing.T) {
	route := &servingv1.Route{}
	route.Name, route.Namespace, route.UID = "hello", "default", "route"
	h := desired.NewHosting(route, hosting, nil)
	route.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "a", Tag: "blue"}, {RevisionName: "b"}}
	equal(t, "hosts", []string{
		"hello.default.example.com", "hello.default.localhost",
		"blue-hello.default.example.com", "blue-hello.default.localhost",
	}, desired.Hosts(route, h))
	equal(t, "URL", "http://blue-hello.default.example.com", desired.URL(route, "blue", h))

	placeholders := desired.PlaceholderServices(route, hosting)
	labelled := func(i int) desired.Hosting {
		s := *placeholders[i].DeepCopy()
		s.Labels[servingv1.VisibilityLabel] = servingv1.VisibilityClusterLocal
		return desired.NewHosting(route, hosting, []corev1.Service{s})
	}
	equal(t, "hosts with a local tag", []string{"hello.default.example.com", "hello.default.localhost"}, desired.Hosts(route, labelled(1)))
	equal(t, "URL of a local tag", "http://blue-hello.default.svc.cluster.local", desired.URL(route, "blue", labelled(1)))
	equal(t, "hosts of a local tag", []string{
		"blue-hello.default.svc.cluster.local", "blue-hello.default.svc", "blue-hello.default",
	}, desired.AllHosts(route, "blue", labelled(1)))
	equal(t, "hosts with a local route and a public tag",
		[]string{"blue-hello.default.example.com", "blue-hello.default.localhost"}, desired.Hosts(route, labelled(0)))
	placeholders[1].OwnerReferences = nil
	equal(t, "URL where the label is on another's Service", "http://blue-hello.default.example.com", desired.URL(route, "blue", labelled(1)))

	route.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
	equal(t, "hosts of a cluster-local route", []string(nil), desired.Hosts(route, h))
	equal(t, "URL of a cluster-local route", "http://hello.default.svc.cluster.local", desired.URL(route, "", h))
}

func read(t *testing.T, path string) *servingv1.Service {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var svc servingv1.Service
	if err := yaml.UnmarshalStrict(data, &svc); err != nil {
		t.Fatal(err)
	}
	svc.UID = "service-uid"
	return &svc
}

func golden(t *testing.T, path string, objects ...any) {
	t.Helper()
	var got bytes.Buffer
	for i, o := range objects {
		if i > 0 {
			got.WriteString("---\n")
		}
		got.Write(marshal(t, o))
	}
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s differs (write it again with -update and read the diff); got:\n%s", path, &got)
	}
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if w, g := marshal(t, want), marshal(t, got); !bytes.Equal(w, g) {
		t.Errorf("%s: want\n%s\ngot\n%s", what, w, g)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPodInTheMesh: who says that it is to have a sidecar, and what it needs for one.
func TestPodInTheMesh(t *testing.T) {
	const inject, exclude = "sidecar.istio.io/inject", "traffic.sidecar.istio.io/excludeInboundPorts"
	for name, c := range map[string]struct {
		labels, annotations map[string]string
		mesh                bool
		sidecar             string // the label that says what is expected
		ports               string
	}{
		"outside":                     {nil, nil, false, "", ""},
		"by its namespace":            {nil, nil, true, "sidecar", "8022,9090,9091"},
		"by its template":             {map[string]string{inject: "true"}, nil, false, "sidecar", "8022,9090,9091"},
		"by an annotation":            {nil, map[string]string{inject: "true"}, false, "sidecar", "8022,9090,9091"},
		"not, by its template":        {map[string]string{inject: "false"}, nil, true, "", ""},
		"with ports of its own":       {nil, map[string]string{exclude: "7000,9090"}, true, "sidecar", "7000,9090,8022,9091"},
		"by a template that pretends": {map[string]string{servingv1.MeshLabel: "sidecar"}, nil, false, "", ""},
	} {
		rev := &servingv1.Revision{}
		rev.Name, rev.Labels, rev.Annotations = "hello-00001", c.labels, c.annotations
		rev.Spec.Containers = []servingv1.Container{{Image: "devbox.local/hello:1"}}
		pod := desired.Pod(rev, queue, desired.Place{Mesh: c.mesh})
		if got := pod.Labels[servingv1.MeshLabel]; got != c.sidecar {
			t.Errorf("%s: expects %q, want %q", name, got, c.sidecar)
		}
		// Kubelet makes containers in their order: the user's are to find the sidecar ready.
		order, front := []string{servingv1.UserContainer, servingv1.QueueContainer}, ""
		if c.sidecar != "" {
			slices.Reverse(order)
			front = servingv1.UserContainer // to kubectl
		}
		if got := names(pod.Spec.Containers); !slices.Equal(got, order) {
			t.Errorf("%s: the containers are %q, want %q", name, got, order)
		}
		if got := pod.Annotations["kubectl.kubernetes.io/default-container"]; got != front {
			t.Errorf("%s: kubectl chooses %q, want %q", name, got, front)
		}
		if got := pod.Annotations[exclude]; got != c.ports {
			t.Errorf("%s: ports %q are left alone, want %q", name, got, c.ports)
		}
		if c.sidecar != "" && c.annotations[inject] != "" && pod.Labels[inject] != "true" {
			t.Errorf("%s: Istio's webhook does not see that it is asked", name)
		}
		if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
			t.Errorf("%s: the pod has a token of the API server's", name)
		}
	}
}

func names(containers []corev1.Container) []string {
	var names []string
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names
}

func TestNamespacesInTheMesh(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		want   bool
	}{
		{nil, false},
		{map[string]string{"istio-injection": "enabled"}, true},
		{map[string]string{"istio-injection": "disabled"}, false},
		{map[string]string{"istio.io/rev": "default"}, true},
		{map[string]string{"istio-injection": "disabled", "istio.io/rev": "default"}, false},
	} {
		if got := desired.InMesh(c.labels); got != c.want {
			t.Errorf("%v: %t, want %t", c.labels, got, c.want)
		}
	}
}
