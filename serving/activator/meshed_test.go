package activator

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/mesh/meshtest"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

const (
	activatorID = "spiffe://cluster.local/ns/knative-serving/sa/activator"
	gatewayID   = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"
	helloID     = "spiffe://cluster.local/ns/default/sa/hello"
)

// newMeshBox is a box whose activator is in the authority's mesh.
func newMeshBox(t testing.TB) (*box, *meshtest.Authority) {
	t.Helper()
	ca := meshtest.New(t)
	ca.Accounts = map[string]string{"token": activatorID}
	identity := mesh.NewIdentity(mesh.Config{
		Authority: ca.Listen(), Namespace: servingv1.Namespace, Account: account, Log: slog.New(slog.DiscardHandler),
		Token: func(context.Context) (string, error) { return "token", nil },
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { identity.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	b := newBoxIn(t, func(to teller) *meshed {
		return &meshed{tell: to, identity: identity, gate: mesh.NewGate(identity.Server())}
	})
	b.mode(ca, "off", false)
	identity.Want(true, ca.Roots())
	b.until("a certificate", identity.Ready)
	return b, ca
}

// mode is what config-mesh says, and its annotation of what the gateway does.
func (b *box) mode(ca *meshtest.Authority, mode string, gateway bool) {
	config := corev1.ConfigMap{Data: map[string]string{"mtls": mode}}
	config.Name = mesh.ConfigName
	if gateway {
		config.Annotations = map[string]string{mesh.GatewayAnnotation: mesh.GatewayTLS}
	}
	roots := corev1.ConfigMap{Data: map[string]string{"root-cert.pem": ca.Roots()}}
	roots.Name = mesh.RootsName
	b.activator.mesh.apply([]corev1.ConfigMap{roots, config}, true)
}

// envoy puts a sidecar before a pod's queue-proxy: what comes to it within TLS
// goes there.
func (b *box) envoy(pod *corev1.Pod, port, to int, c podConfig) {
	l, err := tls.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), c.envoy)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go pass(in, net.JoinHostPort("127.0.0.1", strconv.Itoa(to)), c.shaken)
		}
	}()
	pod.Spec.Containers[0].Ports[0].ContainerPort = int32(port)
	pod.Spec.ServiceAccountName = "hello"
	pod.Labels[mesh.TLSModeLabel] = mesh.TLSModeIstio
}

// pass copies both ways, as Envoy does for what is not HTTP.
func pass(in net.Conn, to string, shaken *atomic.Int64) {
	defer in.Close()
	if in.(*tls.Conn).Handshake() != nil {
		return
	}
	if shaken != nil {
		shaken.Add(1)
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(out, in); out.Close() }()
	_, _ = io.Copy(in, out)
}

func inMesh(c *tls.Config) func(*podConfig) { return func(p *podConfig) { p.envoy = c } }

// TestPodsWithASidecar are reached within TLS, in every protocol.
func TestPodsWithASidecar(t *testing.T) {
	for name, h2c := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			b, ca := newMeshBox(t)
			b.route(to("hello-00001", 100))
			got := make(chan http.Header, 1)
			b.revisionSpeaks(h2c)
			b.pod("p", "hello-00001", liar(got), inMesh(ca.Server(helloID)), named("p", "hello-00001"))
			answer, hops := b.hops(newClient(t, h2c), b.asking("/"))
			if answer != "200 ok" || len(hops) != 2 {
				t.Fatalf("got %q and %+v", answer, hops)
			}
			if out := hops[0].Outbound; out == nil || out.Version != "TLS 1.3" || out.Peer != helloID || hops[0].ProtocolSent != name {
				t.Errorf("the activator tells of %+v in %s, want a session with %s in %s", out, hops[0].ProtocolSent, helloID, name)
			}
			if hops[0].Inbound != nil {
				t.Errorf("the activator tells of a session with the client: %+v", hops[0].Inbound)
			}
		})
	}
}

// revisionSpeaks says whether the container of hello-00001 speaks HTTP/2.
func (b *box) revisionSpeaks(h2c bool) {
	rev := servingv1.Revision{}
	rev.Name, rev.Namespace = "hello-00001", "default"
	rev.Spec.Containers = []servingv1.Container{{}}
	if h2c {
		rev.Spec.Containers[0].Ports = []servingv1.ContainerPort{{Name: "h2c", ContainerPort: 8080}}
	}
	b.change(func(o *objects) { o.revisions = []servingv1.Revision{rev} })
}

// TestUpgradesInTheMesh: what follows the upgrade passes both ways.
func TestUpgradesInTheMesh(t *testing.T) {
	b, ca := newMeshBox(t)
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		fmt.Fprint(c, "echo "+line)
	}), inMesh(ca.Server(helloID)))
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", host)
	from := bufio.NewReader(c)
	resp, err := http.ReadResponse(from, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	fmt.Fprint(c, "hello\n")
	if line, err := from.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestAPodOfAnotherAccountIsGivenNothing, though it has the pod's address and
// a certificate of the mesh.
func TestAPodOfAnotherAccountIsGivenNothing(t *testing.T) {
	b, ca := newMeshBox(t)
	b.route(to("hello-00001", 100))
	var asked atomic.Int64
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	b.pod("p", "hello-00001", count, inMesh(ca.Server("spiffe://cluster.local/ns/default/sa/other")))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if resp, err := newClient(t, false).Do(b.request(ctx, http.MethodGet, "/", nil)); err == nil {
		t.Errorf("got %s, want the request to be held", read(resp))
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the container has seen %d requests", n)
	}
}

// TestProbesKeepTheirSession: a container that comes up late costs one
// handshake, or two where a probe ran out of time.
func TestProbesKeepTheirSession(t *testing.T) {
	b, ca := newMeshBox(t)
	b.route(to("hello-00001", 100))
	var shaken atomic.Int64
	s := b.pod("p", "hello-00001", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), inMesh(ca.Server(helloID)), func(c *podConfig) {
		c.lateUser, c.shaken = true, &shaken
	})
	time.AfterFunc(time.Second, s.startUser)
	if answer := b.get(newClient(t, false), "/"); answer != "200 " {
		t.Errorf("got %q", answer)
	}
	if n := shaken.Load(); n > 3 {
		t.Errorf("%d handshakes were made with one pod that took a second to start", n)
	}
}

// viaTLS is a client that goes to the activator within TLS, as Envoy does.
func viaTLS(t testing.TB, session *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return tls.Client(c, session), nil
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestWhatTheActivatorTakes follows it from the clear to strict and back.
func TestWhatTheActivatorTakes(t *testing.T) {
	b, ca := newMeshBox(t)
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get(proxy.ClientCert))
	}))
	ask := func(c *http.Client, said string) (*http.Response, error) {
		req := b.request(t.Context(), http.MethodGet, "/", nil)
		req.Header.Set(proxy.ClientCert, said)
		return c.Do(req)
	}
	took := func(c *http.Client) string {
		resp, err := ask(c, "URI=forged")
		if err != nil {
			return "refused"
		}
		if resp.Close {
			return read(resp) + ", the last"
		}
		return read(resp)
	}
	old := newClient(t, false)
	for i, step := range []struct {
		mode               string
		gateway            bool
		clear, tls, oldOne string
	}{
		{"off", false, "200 ", "refused", "200 "},
		{"strict", false, "200 ", "200 By=" + activatorID + ";URI=" + helloID, "200 "}, // the gateway is not so far yet
		{"strict", true, "refused", "200 By=" + activatorID + ";URI=" + helloID, "200 , the last"},
		{"off", true, "200 ", "200 By=" + activatorID + ";URI=" + helloID, "200 "},
		{"off", false, "200 ", "refused", "200 "},
	} {
		b.mode(ca, step.mode, step.gateway)
		if got := took(newClient(t, false)); got != step.clear {
			t.Errorf("step %d, in the clear: %q, want %q", i, got, step.clear)
		}
		if got := took(viaTLS(t, ca.Client(helloID))); got != step.tls {
			t.Errorf("step %d, within TLS: %q, want %q", i, got, step.tls)
		}
		if got := took(old); got != step.oldOne {
			t.Errorf("step %d, over a connection that was there before: %q, want %q", i, got, step.oldOne)
		}
	}
	b.mode(ca, "strict", true)
	resp, err := ask(viaTLS(t, ca.Client(gatewayID)), "By=gateway;URI=someone")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read(resp), "200 By=gateway;URI=someone,By="+activatorID+";URI="+gatewayID; got != want {
		t.Errorf("what the gateway says of its client: %q, want %q", got, want)
	}
	told := slices.DeleteFunc(b.told.take(), func(word string) bool { return !strings.HasPrefix(word, "takes") })
	if want := []string{"takes clear=true tls=false", "takes clear=true tls=true", "takes clear=false tls=true", "takes clear=true tls=true", "takes clear=true tls=false", "takes clear=false tls=true"}; !slices.Equal(told, want) {
		t.Errorf("the controller was told %q, want %q", told, want)
	}
}

// TestSidecarsThatRefuse: the controller is told how, and that it is over.
func TestSidecarsThatRefuse(t *testing.T) {
	deny := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "RBAC: access denied", http.StatusForbidden)
	})
	for name, test := range map[string]struct {
		within bool
		answer http.Handler
		want   stream.Refusal
	}{
		"it speaks no TLS":        {false, says("ok"), stream.RefusesTLS},
		"it denies the activator": {true, deny, stream.RefusesPeer},
		"its container is not up": {true, http.NotFoundHandler(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, ca := newMeshBox(t)
			server := httptest.NewUnstartedServer(test.answer)
			if test.within {
				server.Listener = tls.NewListener(server.Listener, ca.Server(helloID))
			}
			server.Start()
			t.Cleanup(server.Close)
			p := &pod{podSpec: podSpec{name: "p", uid: "p", account: "hello", address: server.Listener.Addr().String()}}
			http1, _ := b.activator.mesh.transports()
			p.revision = &revision{key: types.NamespacedName{Namespace: "default", Name: "r"}}
			err := (&prober{transport: http1, log: slog.New(slog.DiscardHandler)}).ask(t.Context(), p)
			if got := refusal(err); err == nil || got != test.want {
				t.Errorf("%v: got %q, want %q", err, got, test.want)
			}
		})
	}
}

// TestRefusalsAreTold once each, and again to a controller that listens anew.
func TestRefusalsAreTold(t *testing.T) {
	r, told, pods := newRevision(0, "a")
	for _, how := range []stream.Refusal{stream.RefusesTLS, stream.RefusesTLS, stream.RefusesPeer} {
		r.refuses(pods[0], how)
	}
	told.expect(t, "pod a false tls", "pod a false peer")
	if all := r.snapshot(); len(all) != 1 || all[0].Pod.Refusal != stream.RefusesPeer {
		t.Errorf("the snapshot is %+v", all)
	}
	r.opened(pods[0])
	told.expect(t, "pod a true")
}

// TestASidecarThatDeniesLater answers its probe no more, once a request has met
// a policy that was not there before; one that denies a single request goes on.
func TestASidecarThatDeniesLater(t *testing.T) {
	for name, everything := range map[string]bool{"everything": true, "one request": false} {
		t.Run(name, func(t *testing.T) {
			b, ca := newMeshBox(t)
			b.route(to("hello-00001", 100))
			var policy atomic.Bool
			var probes atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Server", envoyServer)
				probe := r.Header.Get(proxy.NetworkProbe) != ""
				if probe {
					probes.Add(1)
				}
				if policy.Load() && (everything || r.URL.Path == "/denied") {
					w.WriteHeader(http.StatusForbidden)
					fmt.Fprint(w, denied)
					return
				}
				fmt.Fprint(w, map[bool]string{false: "ok", true: proxy.Queue}[probe])
			}))
			server.Listener = tls.NewListener(server.Listener, ca.Server(helloID))
			server.Start()
			t.Cleanup(server.Close)
			b.standIn(server, "hello")
			client := newClient(t, false)
			ask := func(path string) string {
				resp, err := client.Do(b.request(t.Context(), http.MethodGet, path, nil))
				if err != nil {
					t.Fatal(err)
				}
				return read(resp)
			}
			if got := ask("/denied"); got != "200 ok" {
				t.Fatalf("before the policy: %q", got)
			}
			policy.Store(true)
			before := probes.Load()
			if got := ask("/denied"); got != "403 "+denied {
				t.Errorf("what the policy denies: %q", got)
			}
			b.until("a probe", func() bool { return probes.Load() > before })
			if !everything {
				if got := ask("/"); got != "200 ok" {
					t.Errorf("what the policy does not deny: %q", got)
				}
				return
			}
			b.until("the controller is told", func() bool {
				return slices.Contains(b.told.take(), "pod p false peer")
			})
		})
	}
}

// TestASidecarWithNobodyBehindIt is a pod that refuses: the request goes to it
// again when it answers its prober, and the client sees nothing of that.
func TestASidecarWithNobodyBehindIt(t *testing.T) {
	const words = "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		again  bool
	}{
		"nobody":           {503, nil, words + "remote connection failure", true},
		"nobody, gRPC":     {200, map[string]string{"Grpc-Status": "14", "Grpc-Message": words + "remote connection failure"}, "", true},
		"it ended halfway": {503, nil, words + "connection termination", false},
		"of its own":       {503, nil, "come again later", false},
		"another server":   {503, map[string]string{"Server": "nginx"}, words + "remote connection failure", false},
	} {
		t.Run(name, func(t *testing.T) {
			b, ca := newMeshBox(t)
			b.route(to("hello-00001", 100))
			var asked atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				switch {
				case r.Header.Get(proxy.NetworkProbe) != "":
					fmt.Fprint(w, proxy.Queue)
				case asked.Add(1) == 1:
					w.Header().Set("Server", envoyServer)
					for key, value := range test.header {
						w.Header().Set(key, value)
					}
					w.WriteHeader(test.status)
					fmt.Fprint(w, test.body)
				default:
					fmt.Fprintf(w, "took %s", body)
				}
			}))
			server.Listener = tls.NewListener(server.Listener, ca.Server(helloID))
			server.Start()
			t.Cleanup(server.Close)
			b.standIn(server, "hello")
			resp, err := newClient(t, false).Do(b.request(t.Context(), http.MethodPost, "/", strings.NewReader("body")))
			if err != nil {
				t.Fatal(err)
			}
			want, times := fmt.Sprint(test.status, " ", test.body), int64(1)
			if test.again {
				want, times = "200 took body", 2
			}
			if got := read(resp); got != want || asked.Load() != times {
				t.Errorf("got %q after %d requests, want %q after %d", got, asked.Load(), want, times)
			}
		})
	}
}

// TestASidecarThatLostItsServer: the request is lost with it, and none follows
// until the pod has answered its prober.
func TestASidecarThatLostItsServer(t *testing.T) {
	b, ca := newMeshBox(t)
	b.route(to("hello-00001", 100))
	var gone atomic.Bool
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", envoyServer)
		probe := r.Header.Get(proxy.NetworkProbe) != ""
		switch {
		case !probe && asked.Add(1) == 1:
			gone.Store(true)
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, terminated)
		case gone.Load() && probe: // it comes back with the second probe
			gone.Store(false)
			w.WriteHeader(http.StatusServiceUnavailable)
		case gone.Load():
			http.Error(w, "a request came before a probe was answered", http.StatusTeapot)
		case probe:
			fmt.Fprint(w, proxy.Queue)
		default:
			fmt.Fprint(w, "ok")
		}
	}))
	server.Listener = tls.NewListener(server.Listener, ca.Server(helloID))
	server.Start()
	t.Cleanup(server.Close)
	b.standIn(server, "hello")
	client := newClient(t, false)
	for _, want := range []string{"503 " + terminated, "200 ok"} {
		resp, err := client.Do(b.request(t.Context(), http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(resp); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// standIn shows the activator a server as the one pod, with a sidecar that runs
// as account; "" is without one.
func (b *box) standIn(server *httptest.Server, account string) {
	b.t.Helper()
	at, err := net.ResolveTCPAddr("tcp", server.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	pod := makePod("p", "hello-00001", "127.0.0.1", func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "queue-port", ContainerPort: int32(at.Port)}}}}
		p.Spec.ServiceAccountName = account
		if account != "" {
			p.Labels[mesh.TLSModeLabel] = mesh.TLSModeIstio
		}
	})
	b.change(func(o *objects) { o.pods = []corev1.Pod{pod} })
}

// BenchmarkSessions is one request after the other through the activator, in
// the clear and within TLS on both sides of it.
func BenchmarkSessions(b *testing.B) {
	for _, within := range []bool{false, true} {
		b.Run(map[bool]string{false: "clear", true: "tls"}[within], func(b *testing.B) {
			box, ca := newMeshBox(b)
			box.route(to("hello-00001", 100))
			server := httptest.NewUnstartedServer(says(proxy.Queue))
			account, client := "", newClient(b, false)
			if within {
				server.Listener = tls.NewListener(server.Listener, ca.Server(helloID))
				account, client = "hello", viaTLS(b, ca.Client(gatewayID))
				box.mode(ca, "strict", true)
			}
			server.Start()
			b.Cleanup(server.Close)
			box.standIn(server, account)
			box.answers("hello-00001", 1)
			b.ReportAllocs()
			for b.Loop() {
				if got := box.get(client, "/"); got != "200 "+proxy.Queue {
					b.Fatal(got)
				}
			}
		})
	}
}
