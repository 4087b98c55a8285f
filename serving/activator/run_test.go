package activator_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/serving/activator"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/stream"
	"github.com/kind-in-a-box/devbox/serving/stream/account"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

// world is an API server, an activator that watches it, and the controller's
// end of the stream.
type world struct {
	t         *testing.T
	bed       *bed.Bed
	namespace string
	url       string
	health    string
	api       *cable // to the API server
	stream    *cable // to the controller
	stop      func() error

	gone  atomic.Int64 // streams that have ended
	mu    sync.Mutex
	heard []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, bed: bed.Start(t)}
	w.namespace = w.bed.Namespace(t)
	controller := httptest.NewUnstartedServer(stream.Handler(w, account.Only(w.bed.Client(), w.namespace, "activator", stream.Audience)))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	controller.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	controller.Start()
	w.stream = newCable(t, controller.Listener.Addr().String())
	api := w.bed.REST()
	w.api, api = cableTo(t, api)
	config := activator.Config{
		REST:          api,
		Address:       freeAddress(t),
		HealthAddress: freeAddress(t),
		Stream:        "http://" + w.stream.address + stream.Path,
		StreamToken:   filepath.Join(t.TempDir(), "token"),
		Quiet:         10 * time.Millisecond,
		Log:           slog.New(slog.DiscardHandler),
	}
	if err := os.WriteFile(config.StreamToken, []byte(w.token("activator", stream.Audience)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.url, w.health = "http://"+config.Address, "http://"+config.HealthAddress
	serving, leave := context.WithCancel(ctx)
	returned := make(chan error, 1)
	go func() { returned <- activator.Run(serving, config) }()
	w.stop = sync.OnceValue(func() error {
		leave()
		return <-returned
	})
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("the activator ended with %v", err)
		}
		cancel()
		controller.Close()
	})
	w.until("the activator is ready", func() bool { return get(w.health+"/readyz", "") == "200" })
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// token is a ServiceAccount's, for an audience.
func (w *world) token(account, audience string) string {
	w.t.Helper()
	a := &corev1.ServiceAccount{ObjectMeta: w.meta(account)}
	if err := w.bed.Client().Create(w.t.Context(), a); client.IgnoreAlreadyExists(err) != nil {
		w.t.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
	if err := w.bed.Client().SubResource("token").Create(w.t.Context(), a, request); err != nil {
		w.t.Fatal(err)
	}
	return request.Status.Token
}

// Receive implements stream.Receiver.
func (w *world) Receive(_ string, m stream.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case m.Pod != nil && m.Pod.Namespace == w.namespace:
		w.heard = append(w.heard, fmt.Sprintf("pod %s of %s answers: %t", m.Pod.Name, m.Pod.Revision, m.Pod.Answers))
	case m.Held != nil && m.Held.Namespace == w.namespace:
		w.heard = append(w.heard, fmt.Sprintf("held for %s: %d", m.Held.Revision, m.Held.Requests))
	case m.Stats != nil && m.Stats.Namespace == w.namespace && m.Stats.Requests > 0:
		w.heard = append(w.heard, fmt.Sprintf("requests for %s: %.0f", m.Stats.Revision, m.Stats.Requests))
	}
}

// Gone implements stream.Receiver.
func (w *world) Gone(string) { w.gone.Add(1) }

// heardTimes is how often the controller heard line.
func (w *world) heardTimes(line string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, heard := range w.heard {
		if heard == line {
			n++
		}
	}
	return n
}

func (w *world) hears(line string) {
	w.t.Helper()
	w.until("the controller hears "+line, func() bool { return w.heardTimes(line) > 0 })
}

func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("it has not come to this: %s; heard %q", what, w.heard)
		}
	}
}

func get(url, host string) string {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, body))
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.bed.Client().Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) writeStatus(o client.Object) {
	w.t.Helper()
	if err := w.bed.Client().Status().Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) revision(name string) {
	r := &servingv1.Revision{ObjectMeta: w.meta(name)}
	r.Spec.Containers = []servingv1.Container{{Image: "localhost:5001/hello"}}
	w.create(r)
}

// pod starts a server in the place of queue-proxy and creates a pod with its
// address, as kubelet would.
func (w *world) pod(name, revision, answer string) *corev1.Pod {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("K-Network-Probe") == "queue" {
			fmt.Fprint(rw, "queue")
			return
		}
		fmt.Fprint(rw, answer)
	}))
	w.t.Cleanup(server.Close)
	p := &corev1.Pod{ObjectMeta: w.meta(name)}
	p.Labels = map[string]string{servingv1.RevisionLabel: revision}
	p.Annotations = map[string]string{servingv1.DecidedAnnotation: time.Now().Format(time.RFC3339Nano)}
	p.Spec.NodeName = "a-node" // so that a deletion waits for kubelet, who never comes
	p.Spec.Containers = []corev1.Container{{
		Name: "queue-proxy", Image: "queue",
		Ports: []corev1.ContainerPort{{Name: "queue-port", ContainerPort: int32(server.Listener.Addr().(*net.TCPAddr).Port)}},
	}}
	w.create(p)
	p.Status.PodIP = "127.0.0.1"
	p.Status.PodIPs = []corev1.PodIP{{IP: "127.0.0.1"}}
	w.writeStatus(p)
	return p
}

func TestRun(t *testing.T) {
	w := newWorld(t)
	host := "hello." + w.namespace + ".example.com"
	if got := get(w.url, host); !strings.HasPrefix(got, "404 ") {
		t.Errorf("before there is a route: %q", got)
	}

	all := int64(100)
	route := &servingv1.Route{ObjectMeta: w.meta("hello")}
	route.Spec.Traffic = []servingv1.TrafficTarget{{ConfigurationName: "hello", Percent: &all}}
	w.create(route)
	send := func(revision string) {
		t.Helper()
		route.Status.URL = "http://" + host
		route.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: revision, Percent: &all}}
		w.writeStatus(route)
	}
	w.revision("hello-00001")
	send("hello-00001")

	// From zero: the request waits, the controller hears of it, a pod comes.
	w.until("the route is known", func() bool { return probe(w.url, host) == "hello-00001" })
	first, timing := make(chan string, 1), make(chan string, 1)
	go func() {
		answer, steps := timed(w.url, host)
		first <- answer
		timing <- steps
	}()
	w.hears("held for hello-00001: 1")
	one := w.pod("one", "hello-00001", "one")
	w.hears("pod one of hello-00001 answers: true")
	if got := <-first; got != "200 one" {
		t.Errorf("from zero: %q", got)
	}
	if got, want := <-timing, "held decided created sandbox started listening pod"; got != want {
		t.Errorf("from zero: the time went into %q, want %q", got, want)
	}
	w.hears("requests for hello-00001: 1")

	// An edit: the pod answers before the route names its revision.
	w.revision("hello-00002")
	w.pod("two", "hello-00002", "two")
	w.hears("pod two of hello-00002 answers: true")
	if got := get(w.url, host); got != "200 one" {
		t.Errorf("before the switch: %q", got)
	}
	send("hello-00002")
	w.until("the route has switched", func() bool { return probe(w.url, host) == "hello-00002" })
	if got := get(w.url, host); got != "200 two" {
		t.Errorf("after the switch: %q", got)
	}

	metrics := get(w.health+"/metrics", "") + "\n"
	labels := fmt.Sprintf(`{namespace_name=%q,service_name="",configuration_name="",revision_name="hello-00001"`, w.namespace)
	for _, want := range []string{
		"activator_request_count" + labels + `,response_code="200",response_code_class="2xx"} 2`,
		"activator_request_latencies_count" + labels + `,response_code_class="2xx"} 2`,
		"activator_held_latencies_count" + labels + "} 1",
		"activator_requests_held" + labels + "} 0",
		"activator_request_concurrency" + labels + "} 0",
		"activator_pods" + labels + "} 1",
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}

	// The old pod leaves: from its deletion on it counts no more.
	if err := w.bed.Client().Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	w.hears("pod one of hello-00001 answers: false")

	if err := w.stop(); err != nil {
		t.Errorf("the activator ended with %v", err)
	}
	if got := get(w.url, host); !strings.Contains(got, "refused") {
		t.Errorf("after the end: %q", got)
	}
}

// timed is get, with the names of what the time went into.
func timed(url, host string) (answer, steps string) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error(), ""
	}
	req.Host = host
	req.Header.Set("Devbox-Timing", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error(), ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error(), ""
	}
	var names []string
	for metric := range strings.SplitSeq(resp.Header.Get("Server-Timing"), ", ") {
		name, _, _ := strings.Cut(metric, ";")
		names = append(names, name)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body), strings.Join(names, " ")
}

// probe asks which revision takes the host's traffic.
func probe(url, host string) string {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	req.Host = host
	req.Header.Set("K-Network-Probe", "activator")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	return resp.Header.Get("Knative-Serving-Revision")
}
