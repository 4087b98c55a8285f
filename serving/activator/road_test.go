package activator

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
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
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/queue"
)

const host = "hello.default.example.com"

// box is the whole request road in one process, over real connections:
// activator, then for each pod a queue-proxy and a user server. Only the API
// server is missing; its objects are given to the table directly.
type box struct {
	t         testing.TB
	activator *activator
	url       string
	told      *heard

	mu      sync.Mutex
	objects objects
}

func newBox(t testing.TB) *box {
	t.Helper()
	return newBoxIn(t, func(to teller) *meshed { return &meshed{tell: to, gate: mesh.NewGate(nil)} })
}

// newBoxIn is a box whose activator has a part in a mesh.
func newBoxIn(t testing.TB, in func(teller) *meshed) *box {
	b := &box{t: t, told: &heard{}}
	log := slog.New(slog.DiscardHandler)
	a := &activator{log: log, mesh: in(b.told)}
	http1, h2c := a.mesh.transports()
	a.roads = newRoads(b.told, newRoom(defaultHoldMemory), (&prober{transport: http1, log: log}).run)
	a.forward = &forwarder{roads: a.roads, drain: &a.drain, http1: http1, h2c: h2c, log: log}
	b.activator = a

	listener := listen(t)
	b.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		server := proxy.Server{Listener: a.mesh.gate.Listener(listener), Handler: a.mesh.handler(a.forward.handler()), Drain: &a.drain, Limit: time.Second, Log: log}
		if err := server.Serve(ctx); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		serving.Wait()
		b.change(func(o *objects) { *o = objects{} })
		a.roads.probers.Wait()
	})
	return b
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// change edits what the API server would say.
func (b *box) change(f func(*objects)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.objects)
	b.activator.roads.apply(context.Background(), build(b.objects))
}

// route gives the host to a split.
func (b *box) route(split ...servingv1.TrafficTarget) {
	b.change(func(o *objects) { o.routes = []servingv1.Route{makeRoute("hello", split...)} })
}

// sidecar is a pod's network side: a queue-proxy and the server behind it.
type sidecar struct {
	box  *box
	pod  corev1.Pod
	user *http.Server
	term func()        // SIGTERM
	done chan struct{} // closed when queue-proxy has ended
}

// podConfig is what differs between pods.
type podConfig struct {
	queue    queue.Config
	lateUser bool          // the user server starts with startUser
	envoy    *tls.Config   // of a sidecar in front of queue-proxy, which runs as hello
	shaken   *atomic.Int64 // handshakes that were made with it
}

// pod starts a pod and shows it to the activator.
func (b *box) pod(name, revision string, user http.Handler, change ...func(*podConfig)) *sidecar {
	b.t.Helper()
	var c podConfig
	c.queue = queue.Config{ListenHost: "127.0.0.1", Timeout: 30 * time.Second, DrainQuiet: 100 * time.Millisecond}
	for _, f := range change {
		f(&c)
	}
	ports := freePorts(b.t, 6)
	c.queue.ServingPort, c.queue.AdminPort, c.queue.AutometricPort, c.queue.UsermetricPort = ports[0], ports[1], ports[2], ports[3]
	c.queue.UserAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[4]))

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &sidecar{box: b, user: &http.Server{Addr: c.queue.UserAddress, Handler: user, Protocols: &protocols}, done: make(chan struct{})}
	if !c.lateUser {
		s.startUser()
	}
	ctx, term := context.WithCancel(context.Background())
	s.term = term
	go func() {
		defer close(s.done)
		if err := queue.Run(ctx, c.queue, slog.New(slog.DiscardHandler)); err != nil {
			b.t.Errorf("queue-proxy: %v", err)
		}
	}()
	b.t.Cleanup(func() {
		term()
		_ = s.user.Close()
		<-s.done
	})
	s.pod = makePod(name, revision, "127.0.0.1", func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "queue-port", ContainerPort: int32(ports[0])}}}}
	})
	if c.envoy != nil {
		b.envoy(&s.pod, ports[5], ports[0], c)
	}
	b.change(func(o *objects) { o.pods = append(without(o.pods, s.pod.UID), s.pod) })
	return s
}

// startUser makes the user server listen.
func (s *sidecar) startUser() {
	s.box.t.Helper()
	l, err := net.Listen("tcp", s.user.Addr)
	if err != nil {
		s.box.t.Fatal(err)
	}
	go func() { _ = s.user.Serve(l) }()
}

// leaving shows the activator that the pod is being deleted.
func (s *sidecar) leaving() {
	s.box.change(func(o *objects) { o.pods = without(o.pods, s.pod.UID) })
}

func without(pods []corev1.Pod, uid types.UID) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return p.UID == uid })
}

// lastPort is the last that freePorts looked at.
var lastPort atomic.Int64

// freePorts are ports of 127.0.0.1 that nobody listens on, and that the
// system does not give away in the meantime: they lie below those that it
// takes for connections. Two test binaries begin at different ones.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	const from, many = 10000, 10000
	lastPort.CompareAndSwap(0, int64(os.Getpid()%many)+1)
	var ports []int
	for range many {
		port := from + int(lastPort.Add(1)%many)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no port is free")
	return nil
}

// until waits for something to become true.
func (b *box) until(what string, so func() bool) {
	b.t.Helper()
	until(b.t, what, so)
}

func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("it has not come to this: %s", what)
			return
		}
	}
}

// look reads something of a revision, under its lock.
func (b *box) look(name string, read func(*revision) int) int {
	rev := b.activator.roads.all()[types.NamespacedName{Namespace: "default", Name: name}]
	if rev == nil {
		return 0
	}
	rev.mu.Lock()
	defer rev.mu.Unlock()
	return read(rev)
}

// answers waits until the activator knows that n pods of a revision answer.
func (b *box) answers(name string, n int) {
	b.t.Helper()
	b.until(fmt.Sprintf("%d pods of %s answer", n, name), func() bool {
		return b.look(name, func(r *revision) int { return len(r.open) }) == n
	})
}

// waiting waits until n requests are held for a revision.
func (b *box) waiting(name string, n int) {
	b.t.Helper()
	b.until(fmt.Sprintf("%d requests are held for %s", n, name), func() bool {
		return b.look(name, func(r *revision) int { return r.waiting.Len() }) == n
	})
}

// newClient returns a client of one protocol.
func newClient(t testing.TB, h2c bool) *http.Client {
	transport := proxy.NewTransport(proxy.TransportConfig{H2C: h2c, Idle: time.Minute})
	transport.MaxResponseHeaderBytes = 10 << 20 // so that what the proxies bound is seen
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// request makes a request for the host.
func (b *box) request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Host = host
	return req
}

// get returns status and body of a GET.
func (b *box) get(c *http.Client, path string) string {
	resp, err := c.Do(b.request(b.t.Context(), http.MethodGet, path, nil))
	if err != nil {
		return err.Error()
	}
	return read(resp)
}

func read(resp *http.Response) string {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body)))
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

// load sends requests from n clients, each one after the other, until stop is
// called, which returns how many there were, those that were not answered
// with 200, and logs the slowest.
func (b *box) load(n int, make func(i int) *http.Request) (stop func() (total int, bad []string)) {
	c := newClient(b.t, false)
	ctx, cancel := context.WithCancel(context.Background())
	var (
		clients sync.WaitGroup
		mu      sync.Mutex
		total   int
		bad     []string
		slowest time.Duration
	)
	for range n {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				began := time.Now()
				resp, err := c.Do(make(i))
				result := ""
				if err != nil {
					result = err.Error()
				} else {
					result = read(resp)
				}
				mu.Lock()
				total++
				slowest = max(slowest, time.Since(began))
				if !strings.HasPrefix(result, "200 ") {
					bad = append(bad, result)
				}
				mu.Unlock()
			}
		})
	}
	return func() (int, []string) {
		cancel()
		clients.Wait()
		b.t.Logf("%d requests, the slowest took %s", total, slowest)
		return total, bad
	}
}
