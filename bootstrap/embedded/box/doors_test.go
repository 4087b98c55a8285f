package box

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// watching is a pod of a part that listens where the server does.
func watching(t *testing.T, name, url string, ready corev1.ConditionStatus) runtime.Object {
	t.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "watch", Name: name + "-1", Labels: map[string]string{"app": name}}}
	pod.Annotations = map[string]string{servingv1.PortsAnnotation: servingv1.FormatPorts(map[string]int32{servingv1.UserPortName: int32(number)})}
	pod.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: servingv1.UserPortName, ContainerPort: 1}}}}
	pod.Status.PodIP = host
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	return pod
}

// TestDoors: a part is reached by its name and by its path, at the port that
// the node has chosen; one that is not there, not ready or not a part says so.
func TestDoors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL.RequestURI(), body)
	}))
	defer server.Close()
	pods := fake.NewClientset(watching(t, "zipkin", server.URL, corev1.ConditionTrue), watching(t, "prometheus", server.URL, corev1.ConditionFalse),
		watching(t, "stranger", server.URL, corev1.ConditionTrue))
	d := newDoors(pods, "watch", []string{"zipkin", "prometheus", "grafana"}, (&net.Dialer{}).DialContext, slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	mux.Handle("/parts/{part}/", d.inside())
	inside := httptest.NewServer(mux)
	defer inside.Close()
	front := httptest.NewServer(d.front(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the activator's") })))
	defer front.Close()

	for _, c := range []struct {
		url, host string
		status    int
		want      string
	}{
		{front.URL + "/zipkin/?q=a%2Fb", "zipkin.localhost:8080", http.StatusOK, "POST zipkin.localhost:8080 /zipkin/?q=a%2Fb spans"},
		{front.URL + "/a%2Fb", "zipkin.localhost", http.StatusOK, "POST zipkin.localhost /a%2Fb spans"},
		{front.URL + "/", "hello.default.localhost:8080", http.StatusOK, "the activator's"},
		{front.URL + "/", "stranger.localhost:8080", http.StatusOK, "the activator's"},
		{front.URL + "/", "prometheus.localhost", http.StatusNotFound, "no prometheus that answers"},
		{front.URL + "/", "grafana.localhost", http.StatusNotFound, "`devbox up --with observability`"},
		{inside.URL + "/parts/zipkin/api/v2/spans", "127.0.0.1", http.StatusOK, "POST 127.0.0.1 /api/v2/spans spans"},
		{inside.URL + "/parts/stranger/", "127.0.0.1", http.StatusNotFound, "no stranger"},
	} {
		status, body := post(t, c.url, c.host)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s of %s: %d %q, want %d %q", c.url, c.host, status, body, c.status, c.want)
		}
	}
	server.Close()
	if status, body := post(t, front.URL, "zipkin.localhost"); status != http.StatusBadGateway || !strings.Contains(body, "does not answer") {
		t.Errorf("a part that has just ended: %d %q", status, body)
	}
}

func post(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("spans"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
