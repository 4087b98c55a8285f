package activator

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// asking returns a request whose way is to be told.
func (b *box) asking(path string) *http.Request {
	req := b.request(b.t.Context(), http.MethodGet, path, nil)
	req.Header.Set(proxy.Trace, "1")
	return req
}

// hops sends a request, and returns status and body, and the hops that told.
func (b *box) hops(c *http.Client, req *http.Request) (string, []proxy.Hop) {
	b.t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(resp), proxy.Hops(resp.Header)
}

// liar is a container that says what it was not asked, and writes down the
// headers that it got.
func liar(got chan<- http.Header) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		w.Header().Set(proxy.HopReport, `{"name":"activator","pod":"forged"}`)
		fmt.Fprint(w, "ok")
	})
}

// named has a pod's queue-proxy know whose it is.
func named(pod, revision string) func(*podConfig) {
	return func(c *podConfig) { c.queue.Labels.Pod, c.queue.Labels.Revision = pod, revision }
}

// TestHops follows a request from zero over every hop, in each protocol.
func TestHops(t *testing.T) {
	for name, h2c := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.activator.forward.pod = "activator-1"
			b.route(to("hello-00001", 100))
			got := make(chan http.Header, 1)
			go func() {
				b.waiting("hello-00001", 1)
				b.pod("p", "hello-00001", liar(got), named("p", "hello-00001"))
			}()
			req := b.asking("/")
			req.Header.Set(proxy.Timing, "1")
			began := time.Now()
			answer, hops := b.hops(newClient(t, h2c), req)
			took := time.Since(began)
			if answer != "200 ok" || len(hops) != 2 {
				t.Fatalf("got %q and %+v", answer, hops)
			}
			for _, header := range []string{proxy.Trace, proxy.Timing, proxy.HopReport} {
				if seen := <-got; seen[header] != nil {
					t.Errorf("the container sees %s", header)
				} else {
					got <- seen
				}
			}
			first, second := hops[0], hops[1]
			if first.Name != proxy.Activator || first.Pod != "activator-1" || first.Revision != "hello-00001" {
				t.Errorf("the first is %+v", first)
			}
			if second.Name != queueProxy || second.Pod != "p" || second.Revision != "hello-00001" {
				t.Errorf("the second is %+v", second)
			}
			if "http://"+first.Listen != b.url || first.Peer == "" || first.Protocol != name || first.ProtocolSent != "HTTP/1.1" {
				t.Errorf("where it came in: %+v", first)
			}
			if first.To != second.Listen || first.From != second.Peer || second.To == "" {
				t.Errorf("one sends from %s to %s, and the other hears from %s on %s", first.From, first.To, second.Peer, second.Listen)
			}
			if !slices.Contains(first.Received, proxy.Timing) || slices.Contains(first.Sent, proxy.Timing) || !slices.Contains(first.Sent, proxy.ProxyRequest) {
				t.Errorf("the activator made of %v %v", first.Received, first.Sent)
			}
			if !slices.Equal(first.Sent, second.Received) {
				t.Errorf("sent are %v, and received %v", first.Sent, second.Received)
			}
			if slices.Contains(second.Sent, proxy.Trace) || !slices.Contains(second.Sent, "Forwarded") || !slices.Contains(second.Sent, "Host") {
				t.Errorf("the container is sent %v", second.Sent)
			}
			if first.Waited <= 0 || first.FirstByte < first.Waited+second.FirstByte || first.FirstByte > took || second.Waited != 0 {
				t.Errorf("in %s: %+v", took, hops)
			}
		})
	}
}

// TestNoHopsUnasked has a container that talks of hops to one who did not ask.
func TestNoHopsUnasked(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", liar(make(chan http.Header, 1)))
	resp, err := newClient(t, false).Do(b.request(t.Context(), http.MethodGet, "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(resp); got != "200 ok" || resp.Header[proxy.HopReport] != nil {
		t.Errorf("got %q with %q", got, resp.Header[proxy.HopReport])
	}
}

// TestHopsOfErrors has answers that the proxies make by themselves.
func TestHopsOfErrors(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	for name, test := range map[string]struct {
		prepare func() *http.Request
		status  string
		hops    int
	}{
		"no route": {func() *http.Request {
			req := b.asking("/")
			req.Host = "nobody.example.com"
			return req
		}, "404", 1},
		"no pod in time": {func() *http.Request {
			b.change(func(o *objects) {
				o.revisions = []servingv1.Revision{makeRevision("hello-00001", func(r *servingv1.Revision) { r.Spec.TimeoutSeconds = new(int64(1)) })}
			})
			return b.asking("/")
		}, "504", 1},
		"a container too slow": {func() *http.Request {
			b.route(to("hello-00002", 100))
			b.pod("slow", "hello-00002", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
				func(c *podConfig) { c.queue.Timeout = 50 * time.Millisecond })
			return b.asking("/")
		}, "504", 2},
		"a container that hangs up": {func() *http.Request {
			b.route(to("hello-00003", 100))
			b.pod("gone", "hello-00003", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
			return b.asking("/")
		}, "502", 2},
	} {
		t.Run(name, func(t *testing.T) {
			answer, hops := b.hops(newClient(t, false), test.prepare())
			if !strings.HasPrefix(answer, test.status) || len(hops) != test.hops || hops[0].Received == nil {
				t.Errorf("got %q and %+v", answer, hops)
			}
		})
		b.route(to("hello-00001", 100))
	}
}

// TestHopsOfManyHeaders has more names than a report has room for.
func TestHopsOfManyHeaders(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", says("ok"))
	req := b.asking("/")
	for i := range 3000 {
		req.Header.Set(fmt.Sprintf("X-%d", i), "1")
	}
	answer, hops := b.hops(newClient(t, false), req)
	if answer != "200 ok" || len(hops) != 2 {
		t.Fatalf("got %q and %d hops", answer, len(hops))
	}
	if n := len(hops[0].Received); n != 101 || !strings.HasSuffix(hops[0].Received[100], " more") {
		t.Errorf("%d names: %q", n, hops[0].Received[n-1])
	}
}

// TestHopsOfAnUpgrade asks on a connection that is upgraded.
func TestHopsOfAnUpgrade(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
		_ = rw.Flush()
	}))
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n%s: 1\r\n\r\n", host, proxy.Trace)
	in := textproto.NewReader(bufio.NewReader(conn))
	if line, err := in.ReadLine(); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("got %q, %v", line, err)
	}
	header, err := in.ReadMIMEHeader()
	if hops := proxy.Hops(http.Header(header)); err != nil || len(hops) != 2 {
		t.Errorf("got %v, %v", hops, err)
	}
	if line, err := in.ReadLine(); line != "hello" {
		t.Errorf("got %q, %v", line, err)
	}
}

// queueProxy is what the sidecar calls itself.
const queueProxy = "queue-proxy"

// TestHopsOfGRPC asks of a call over HTTP/2 all the way.
func TestHopsOfGRPC(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) {
		r.Spec.Containers = []servingv1.Container{{Ports: []servingv1.ContainerPort{{Name: "h2c"}}}}
	})
	b.route(to("hello-00001", 100))
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	b.pod("p", "hello-00001", server, func(c *podConfig) { c.queue.UserH2C = true })
	conn, err := grpc.NewClient(strings.TrimPrefix(b.url, "http://"), grpc.WithAuthority(host), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 2 { // over a new connection, and over one that is there
		var header metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), proxy.Trace, "1")
		if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header)); err != nil {
			t.Fatal(err)
		}
		hops := proxy.Hops(http.Header{proxy.HopReport: header.Get(proxy.HopReport)})
		if len(hops) != 2 {
			t.Fatalf("got %v", header)
		}
		if hops[0].ProtocolSent != "HTTP/2.0" || hops[0].To != hops[1].Listen || !slices.Equal(hops[0].Sent, hops[1].Received) {
			t.Errorf("hops are %+v", hops)
		}
	}
}
