//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

// TestMesh leads a box into Istio's mesh and out of it while a client sends 50
// requests a second, and looks in between who speaks to whom, and how. The
// other stories hold in the mesh too: DEVBOX_MESH=true tells them there.
func TestMesh(t *testing.T) {
	b := box.New(t, "devbox-mesh")
	dir := box.Program(t, filepath.Join("..", "subject"))
	m := &meshed{Box: b, t: t, dir: dir, main: filepath.Join(dir, "main.go")}
	if b.Engine() != "kind" {
		m.refused(t)
		return
	}
	talker, err := filepath.Abs(filepath.Join("..", "talker")) // in its place: it needs this module's libraries
	if err != nil {
		t.Fatal(err)
	}
	m.up = b.Up("--port", "18083", "--mesh=false", dir, talker)
	for _, name := range []string{"subject", "talker"} {
		m.up.Wait(name+"'s first revision", soon, func(e event.Event) bool { return live(e) && e.Service == name })
	}
	for _, story := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"into the mesh, and no request fails on the way", m.in},
		{"each end knows the other by its certificate", m.identities},
		{"what is in the clear is refused", m.strict},
		{"pods call services by their names, and what is outside", m.calls},
		{"to zero pods and back on a request", m.zeroAndBack},
		{"gRPC and WebSockets pass", m.protocols},
		{"the first service of a namespace leads it into the mesh", m.namespace},
		{"a policy that comes later is named", m.policy},
		{"an edit answers, and no request fails on the way", m.edit},
		{"out of the mesh, and no request fails on the way", m.out},
	} {
		if !t.Run(story.name, story.tell) {
			t.FailNow()
		}
	}
}

const (
	subjectHost = "subject.default.example.com"
	perSecond   = 50

	gatewayID = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"
	podID     = "spiffe://cluster.local/ns/default/sa/default"
)

type meshed struct {
	*box.Box
	t         *testing.T // of all stories
	up        *box.Session
	dir, main string
}

// refused: there is no Istio, which is said before anything is touched.
func (m *meshed) refused(t *testing.T) {
	out, code := m.Run("up", "--mesh", "--detach", m.dir)
	if code != 3 || !strings.Contains(out, "no Istio") {
		t.Errorf("devbox up --mesh: exit %d, want 3 and that there is no Istio:\n%s", code, out)
	}
	if _, err := os.Stat(filepath.Join(m.Folder(), "box.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the box was made all the same: %v", err)
	}
}

// lead runs `devbox up` with a flag while a client sends requests, none of
// which may fail.
func (m *meshed) lead(t *testing.T, flag string) {
	t.Helper()
	m.up.Interrupt()
	client := m.Caller(subjectHost, "/").Start(perSecond)
	start := time.Now()
	m.up = m.Up(flag, m.dir)
	done := m.up.Wait("the mesh step", soon, func(e event.Event) bool { return e.Kind == event.StepDone && e.Step == "mesh" })
	m.up.Wait("the service", soon, live)
	took := time.Since(start)
	time.Sleep(2 * time.Second) // what is said last has been heard by all
	noneFailed(t, client)
	t.Logf("devbox up %s in %s, of it the mesh's step %s: %s", flag, took.Round(time.Second), done.Duration.Round(time.Millisecond), done.Message)
}

func noneFailed(t *testing.T, client *load.Load) {
	t.Helper()
	all := client.Stop()
	failed := all.Failed()
	if len(failed) > 0 || len(all) < perSecond {
		t.Errorf("%d of %d requests failed:\n%s", len(failed), len(all), failed.List())
	}
	t.Logf("%d requests, %d failed, the slowest took %s", len(all), len(failed), all.Percentile(100))
}

// pod is the subject's one pod.
func (m *meshed) pod(t *testing.T) *corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	box.Eventually(t, "the subject has one pod, which is ready", func() bool {
		pods = m.ReadyPodsOf(metav1.NamespaceDefault, box.Of("subject"))
		return len(pods) == 1 && len(m.PodsOf(metav1.NamespaceDefault, box.Of("subject"))) == 1
	})
	return &pods[0]
}

// sidecar is the pod's, nil where it has none.
func sidecar(pod *corev1.Pod) *corev1.Container {
	for i, c := range pod.Spec.InitContainers {
		if c.Name == "istio-proxy" {
			return &pod.Spec.InitContainers[i]
		}
	}
	return nil
}

func (m *meshed) in(t *testing.T) {
	m.lead(t, "--mesh")
	pod := m.pod(t)
	c := sidecar(pod)
	if c == nil || c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Errorf("the pod's sidecar is %+v; want one of Kubernetes' own", c)
	}
	if len(pod.Spec.Volumes) > 0 || len(pod.Spec.InitContainers) != 1 {
		t.Errorf("the pod has %d volumes and %d init containers, for which a start would wait", len(pod.Spec.Volumes), len(pod.Spec.InitContainers))
	}
	if first := pod.Spec.Containers[0]; first.Name != servingv1.QueueContainer || first.Lifecycle == nil || first.Lifecycle.PostStart == nil {
		t.Errorf("the first container is %+v; want queue-proxy, which waits for the sidecar", first)
	}
	if out, code := m.Run("status"); code != 0 || !strings.Contains(out, "in the mesh") {
		t.Errorf("devbox status: exit %d, want that the box is in the mesh:\n%s", code, out)
	}
}

// identities: the activator says with whom its sessions are, and the container
// hears from the sidecar who has shown which certificate.
func (m *meshed) identities(t *testing.T) {
	req, err := http.NewRequest(http.MethodGet, m.Gateway+"/client", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = subjectHost
	req.Header.Set(proxy.Trace, "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var activator proxy.Hop
	for _, hop := range proxy.Hops(res.Header) {
		if hop.Name == proxy.Activator {
			activator = hop
		}
	}
	if in := activator.Inbound; in == nil || in.Peer != gatewayID {
		t.Errorf("requests come to the activator within %+v; want TLS with %s", in, gatewayID)
	}
	if out := activator.Outbound; out == nil || out.Peer != podID {
		t.Errorf("requests go to the pod within %+v; want TLS with %s", out, podID)
	}
	_, body, err := m.Get(subjectHost, "/client")
	for _, want := range []string{"By=" + podID, "URI=spiffe://cluster.local/ns/knative-serving/sa/activator", "URI=" + gatewayID} {
		if err != nil || !strings.Contains(body, want) {
			t.Errorf("the container is told that its clients are %q (%v); want %s among them", body, err, want)
		}
	}
	t.Logf("X-Forwarded-Client-Cert at the container: %s", body)
}

// outside makes a service of the subject's image whose pods are not in the mesh.
func (m *meshed) outside(t *testing.T) (host string) {
	t.Helper()
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "outside"}}
	s.Spec.Template.Labels = map[string]string{"sidecar.istio.io/inject": "false"}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: m.Image("subject")}}
	return m.Deploy(t, s)
}

// get has a service's container ask a URL, and returns what came of it.
func (m *meshed) get(t *testing.T, host, target string) string {
	t.Helper()
	status, body, err := m.Get(host, "/get?url="+url.QueryEscape(target))
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET of %s: status %d, error %v", host, status, err)
	}
	return body
}

const activatorAddress = "http://activator.knative-serving.svc.cluster.local/"

func (m *meshed) strict(t *testing.T) {
	outside := m.outside(m.t) // calls asks it, too
	for name, target := range map[string]string{
		"to a pod of the mesh": "http://" + m.pod(t).Status.PodIP + ":8012/",
		"to the activator":     activatorAddress,
	} {
		if said := m.get(t, outside, target); !strings.Contains(said, "connection reset") && !strings.Contains(said, "EOF") {
			t.Errorf("from a pod outside the mesh %s in the clear: %q; want a connection that is closed at once", name, said)
		}
	}
}

func (m *meshed) calls(t *testing.T) {
	nodes, err := m.Kubernetes().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatal(len(nodes.Items), err)
	}
	for name, target := range map[string]string{
		"itself, by its name":            "http://subject.default.svc.cluster.local/",
		"a service that is at zero pods": "http://outside.default.svc.cluster.local/",
		"the registry, outside the mesh": fmt.Sprintf("http://%s:5001/v2/", nodes.Items[0].Status.Addresses[0].Address),
	} {
		if said := m.get(t, subjectHost, target); said != "200 OK" {
			t.Errorf("from a pod of the mesh, %s: %q", name, said)
		}
	}
}

// zeroAndBack: the first thing that the container does is a call, for which
// its sidecar has to be there.
func (m *meshed) zeroAndBack(t *testing.T) {
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "cold"}}
	s.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/window": "6s"}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{
		Image: m.Image("subject"), Env: []servingv1.EnvVar{{Name: "AT_START", Value: "http://subject.default.svc.cluster.local/"}},
	}}
	host := m.Deploy(t, s)
	m.Zero(t, "cold")
	r := m.Caller(host, "/start").Send(time.Now())
	if !r.OK() || strings.TrimSpace(r.Body) != "200 OK" {
		t.Errorf("from zero pods: %s; want that what it asked for first was answered", r)
	}
	t.Logf("from zero pods to an answer: %s", r.Took.Round(time.Millisecond))
}

// protocols: a call and a stream of gRPC, HTTP/2 all the way, and a WebSocket,
// which stays open for as long as both ends like.
func (m *meshed) protocols(t *testing.T) {
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "calls"}}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{
		Image: m.Image("talker"), Ports: []servingv1.ContainerPort{{Name: "h2c"}},
	}}
	host := m.Deploy(t, s)
	for _, pod := range m.ReadyPodsOf(metav1.NamespaceDefault, box.Of("calls")) {
		if sidecar(&pod) == nil {
			t.Errorf("pod %s has no sidecar", pod.Name)
		}
	}
	if _, body, err := m.Get(host, "/"); err != nil || strings.TrimSpace(body) != "HTTP/2.0" {
		t.Errorf("the container is asked in %q (%v), want HTTP/2.0", body, err)
	}
	gateway := strings.TrimPrefix(m.Gateway, "http://")
	conn, err := grpc.NewClient(gateway, grpc.WithAuthority(host), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	client, asked := grpc_health_v1.NewHealthClient(conn), &grpc_health_v1.HealthCheckRequest{}
	if answer, err := client.Check(ctx, asked); err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("a call: %v, %v", answer, err)
	}
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("a call's error: %v, want NotFound", err)
	}
	stream, err := client.Watch(ctx, asked)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("on a stream that stays open: %v, %v", answer, err)
	}

	config, err := websocket.NewConfig("ws://talker.default.example.com/socket", "http://talker.default.example.com")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	ws, err := websocket.NewClient(config, raw)
	if err != nil {
		t.Fatalf("opening a WebSocket: %v", err)
	}
	for _, word := range []string{"one", "two"} {
		var back string
		if err := errors.Join(websocket.Message.Send(ws, word), websocket.Message.Receive(ws, &back)); err != nil || back != word {
			t.Errorf("over the WebSocket: %q, %v; want %q", back, err, word)
		}
	}
}

// namespace: nobody runs `devbox up` for it.
func (m *meshed) namespace(t *testing.T) {
	const name = "fresh"
	all := m.Kubernetes().CoreV1().Namespaces()
	if _, err := all.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "first"}}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: m.Image("subject")}}
	if err := m.Serving().Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	c := m.Caller("first.fresh.example.com", "/")
	box.Eventually(t, "it answers", func() bool { return c.Send(time.Now()).OK() })
	for _, pod := range m.PodsOf(name, box.Of("first")) {
		if sidecar(&pod) == nil {
			t.Errorf("pod %s has no sidecar", pod.Name)
		}
	}
}

// policy: the one that denies everything to a service whose pod answers is
// named in the revision's condition, and it answers again when that has gone.
func (m *meshed) policy(t *testing.T) {
	host := m.Service(t, "denied", m.Image("subject"), 0, nil)
	const policies = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies"
	rest := m.Kubernetes().RESTClient()
	body := `{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"name":"nobody"},` +
		`"spec":{"selector":{"matchLabels":{"serving.knative.dev/service":"denied"}}}}`
	if err := rest.Post().AbsPath(policies).Body([]byte(body)).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, "the revision's condition names the policy", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Gateway, nil); err == nil {
			req.Host = host
			if res, err := http.DefaultClient.Do(req); err == nil { // denied, and later held
				res.Body.Close()
			}
		}
		var rev servingv1.Revision
		if err := m.Serving().Get(t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "denied-00001"}, &rev); err != nil {
			t.Fatal(err)
		}
		ready := rev.Status.Condition(servingv1.ConditionReady)
		return ready != nil && strings.Contains(ready.Message, "AuthorizationPolicy default/nobody")
	})
	if err := rest.Delete().AbsPath(policies + "/nobody").Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	c := m.Caller(host, "/")
	box.Eventually(t, "it answers again", func() bool { return c.Send(time.Now()).OK() })
}

func (m *meshed) edit(t *testing.T) {
	client := m.Caller(subjectHost, "/").Start(perSecond)
	mark := m.up.Mark()
	box.Edit(t, m.main, `word = "one"`, `word = "two"`)
	e := m.up.WaitAfter(mark, "the new revision", soon, live)
	if r := m.Caller(subjectHost, "/").Send(time.Now()); !strings.Contains(r.Body, " two ") {
		t.Errorf("after the edit: %s; want the new word", r)
	}
	m.pod(t) // the old one drains while the client goes on
	noneFailed(t, client)
	t.Logf("live in %s %v", e.Duration, e.Phases)
}

func (m *meshed) out(t *testing.T) {
	m.lead(t, "--mesh=false")
	if c := sidecar(m.pod(t)); c != nil {
		t.Errorf("the pod still has the sidecar %+v", c)
	}
	rule := "/apis/security.istio.io/v1/namespaces/istio-system/peerauthentications/default"
	if _, err := m.Kubernetes().RESTClient().Get().AbsPath(rule).DoRaw(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("%s is still there: %v", rule, err)
	}
	if out, code := m.Run("status"); code != 0 || strings.Contains(out, "in the mesh") {
		t.Errorf("devbox status: exit %d, want that the box is not in the mesh:\n%s", code, out)
	}
	if said := m.get(t, subjectHost, activatorAddress); said != "404 Not Found" { // of a host of no route
		t.Errorf("the activator in the clear: %q", said)
	}
}
