package targets

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// api answers as an API server does that has these pods and nodes, and notes
// what it was asked for.
func api(t *testing.T, asked *string, pods []corev1.Pod, nodes []corev1.Node) http.Handler {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = r.URL.Path + "?" + r.URL.RawQuery
		w.Header().Set("Content-Type", "application/json")
		var list any = corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: pods}
		if r.URL.Path == "/api/v1/nodes" {
			list = corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, Items: nodes}
		}
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return Handler(client(t, server.URL))
}

func client(t *testing.T, url string) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(&rest.Config{Host: url, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, h http.Handler, path string) (int, []Group) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	var groups []Group
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &groups); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
	}
	return w.Code, groups
}

func TestPods(t *testing.T) {
	spec := corev1.PodSpec{Containers: []corev1.Container{
		{Name: "user-container", Ports: []corev1.ContainerPort{{Name: "user-port", ContainerPort: 8080}}},
		{Name: "queue-proxy", Ports: []corev1.ContainerPort{
			{Name: servingv1.HTTPPortName, ContainerPort: 8012},
			{Name: servingv1.AutometricPortName, ContainerPort: 9090}, {Name: servingv1.UsermetricPortName, ContainerPort: 9091},
		}},
	}}
	pod := func(name, ip string, leaving *metav1.Time) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, DeletionTimestamp: leaving},
			Spec:       spec, Status: corev1.PodStatus{PodIP: ip},
		}
	}
	moved := pod("moved", "127.0.0.1", nil)
	moved.Annotations = map[string]string{servingv1.PortsAnnotation: servingv1.FormatPorts(map[string]int32{servingv1.AutometricPortName: 20001})}
	var asked string
	h := api(t, &asked, []corev1.Pod{pod("a", "10.0.0.1", nil), moved, pod("six", "fd00::1", nil), pod("new", "", nil), pod("old", "10.0.0.3", new(metav1.Now()))}, nil)
	_, got := get(t, h, "/queue-proxy")
	of := func(pod, address string) Group {
		return Group{Targets: []string{address}, Labels: map[string]string{"namespace": "default", "pod": pod, "container": "queue-proxy"}}
	}
	want := []Group{of("a", "10.0.0.1:9090"), of("a", "10.0.0.1:9091"), of("moved", "127.0.0.1:20001"), of("moved", "127.0.0.1:9091"), of("six", "[fd00::1]:9090"), of("six", "[fd00::1]:9091")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets of queue-proxy:\n%s", diff)
	}
	if want := "/api/v1/pods?fieldSelector=status.phase%3DRunning&labelSelector=serving.knative.dev%2Frevision&resourceVersion=0"; asked != want {
		t.Errorf("the API server was asked for %s; want %s", asked, want)
	}
	if _, got := get(t, h, "/istiod"); got == nil || len(got) != 0 {
		t.Errorf("targets of istiod are %v; want a list of none", got)
	}
}

func TestNodes(t *testing.T) {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "box-control-plane"}}
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: "box-control-plane"},
		{Type: corev1.NodeInternalIP, Address: "172.18.0.2"}, {Type: corev1.NodeInternalIP, Address: "fc00::2"},
	}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	var asked string
	_, got := get(t, api(t, &asked, nil, []corev1.Node{node, {}}), "/nodes")
	want := []Group{{Targets: []string{"172.18.0.2:10250"}, Labels: map[string]string{"node": "box-control-plane"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets of nodes:\n%s", diff)
	}
}

// TestNoAPIServer: Prometheus keeps what it has where the answer is an error.
func TestNoAPIServer(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	h := Handler(client(t, server.URL))
	for _, path := range []string{"/serving", "/nodes"} {
		if code, _ := get(t, h, path); code != http.StatusBadGateway {
			t.Errorf("GET %s without an API server: %d, want %d", path, code, http.StatusBadGateway)
		}
	}
	if code, _ := get(t, h, "/nobody"); code != http.StatusNotFound {
		t.Errorf("GET of a job that nobody has: %d, want 404", code)
	}
}
