package activator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func (b *box) revision(name string, change func(*servingv1.Revision)) {
	b.change(func(o *objects) { o.revisions = append(o.revisions, makeRevision(name, change)) })
}

// TestEditLosesNothing edits a service again and again under load, the way
// the controller does: the new pod answers, the route moves, the old pod gets
// its SIGTERM at the same time as the activator hears of it.
func TestEditLosesNothing(t *testing.T) {
	for name, body := range map[string]func() io.Reader{
		"GET":  func() io.Reader { return nil },
		"POST": func() io.Reader { return io.MultiReader(strings.NewReader("body")) }, // of unknown length: not to be sent twice
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			served := make(chan struct{})
			user := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case served <- struct{}{}:
				default:
				}
				_, _ = io.Copy(w, r.Body)
				fmt.Fprint(w, "ok")
			})
			old := b.pod("p0", "hello-00000", user)
			b.route(to("hello-00000", 100))
			stop := b.load(8, func(int) *http.Request { return b.request(context.Background(), name, "/", body()) })
			var leaving sync.WaitGroup
			const edits = 8
			for i := 1; i <= edits; i++ {
				for range 20 { // each revision is under load when it is replaced
					<-served
				}
				revision := fmt.Sprintf("hello-%05d", i)
				p := b.pod(fmt.Sprint("p", i), revision, user)
				b.answers(revision, 1)
				b.route(to(revision, 100))
				gone := old
				leaving.Go(func() { // kubelet, which does not wait for the activator
					gone.term()
					<-gone.done
					_ = gone.user.Close()
				})
				old.leaving()
				old = p
			}
			leaving.Wait()
			total, bad := stop()
			if len(bad) > 0 {
				t.Errorf("%d of %d requests failed, first: %s", len(bad), total, bad[0])
			}
		})
	}
}

// TestLeavingPodUnknownToTheActivator drains a pod of which the activator does
// not know that it leaves: it goes on being served until it is told.
func TestLeavingPodUnknownToTheActivator(t *testing.T) {
	b := newBox(t)
	p := b.pod("p", "hello-00001", says("hello"), func(c *podConfig) { c.queue.DrainQuiet = 300 * time.Millisecond })
	b.route(to("hello-00001", 100))
	b.answers("hello-00001", 1)
	stop := b.load(4, func(int) *http.Request { return b.request(context.Background(), http.MethodGet, "/", nil) })
	p.term()
	<-time.After(500 * time.Millisecond)
	b.pod("q", "hello-00001", says("hello"))
	b.answers("hello-00001", 2)
	p.leaving()
	<-p.done
	if total, bad := stop(); len(bad) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(bad), total, bad[0])
	}
}

func TestHeldFromZero(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	c := newClient(t, false)
	var clients sync.WaitGroup
	results := make(chan string, 50)
	for range cap(results) {
		clients.Go(func() { results <- b.get(c, "/") })
	}
	b.waiting("hello-00001", cap(results))
	if lines := b.told.take(); len(lines) == 0 || lines[0] != "held hello-00001 1" {
		t.Errorf("the controller heard %q", lines)
	}
	b.pod("p", "hello-00001", says("hello"))
	clients.Wait()
	close(results)
	for r := range results {
		if r != "200 hello" {
			t.Errorf("got %q", r)
		}
	}
}

// TestHeldRequestFollowsTheRoute edits a service while a request waits for
// the old revision.
func TestHeldRequestFollowsTheRoute(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	result := make(chan string)
	go func() { result <- b.get(newClient(t, false), "/") }()
	b.waiting("hello-00001", 1)
	b.pod("p", "hello-00002", says("new"))
	b.answers("hello-00002", 1)
	b.route(to("hello-00002", 100))
	if got := <-result; got != "200 new" {
		t.Errorf("got %q", got)
	}
	for _, rev := range b.activator.roads.all() {
		b.until(fmt.Sprintf("nothing is in flight for %s", rev.key), func() bool { return rev.count.InFlight() == 0 })
	}
}

func TestOneAtATime(t *testing.T) {
	b := newBox(t)
	one := func(r *servingv1.Revision) { r.Spec.ContainerConcurrency = ptr(int64(1)) }
	b.revision("hello-00001", one)
	var running, most, served atomic.Int64
	user := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		<-time.After(time.Millisecond)
		served.Add(1)
		fmt.Fprint(w, "ok")
	})
	b.pod("p", "hello-00001", user, func(c *podConfig) { c.queue.Concurrency = 1 })
	b.route(to("hello-00001", 100))
	c := newClient(t, false)
	var clients sync.WaitGroup
	for range 100 {
		clients.Go(func() {
			if got := b.get(c, "/"); got != "200 ok" {
				t.Errorf("got %q", got)
			}
		})
	}
	clients.Wait()
	if most.Load() != 1 || served.Load() != 100 {
		t.Errorf("%d served, %d at a time", served.Load(), most.Load())
	}
}

func TestPodDiesUnderLoad(t *testing.T) {
	b := newBox(t)
	user := says("ok")
	dead := b.pod("p", "hello-00001", user)
	b.pod("q", "hello-00001", user)
	b.route(to("hello-00001", 100))
	b.answers("hello-00001", 2)
	stop := b.load(8, func(int) *http.Request { return b.request(context.Background(), http.MethodGet, "/", nil) })
	// The container goes without a word, and its pod stays listed.
	_ = dead.user.Close()
	b.answers("hello-00001", 1)
	// It is back.
	dead.user = &http.Server{Addr: dead.user.Addr, Handler: user}
	dead.startUser()
	b.answers("hello-00001", 2)
	total, bad := stop()
	// What the dead container had in hand is lost; what came later is not.
	if len(bad) > 8 {
		t.Errorf("%d of %d requests failed, first: %s", len(bad), total, bad[0])
	}
	t.Logf("%d of %d failed", len(bad), total)
}

// TestRefusedConnectionIsTriedElsewhere has a pod in the table at an address
// where nobody listens any more.
func TestRefusedConnectionIsTriedElsewhere(t *testing.T) {
	b := newBox(t)
	gone := b.pod("gone", "hello-00001", says("gone"))
	b.route(to("hello-00001", 100))
	b.answers("hello-00001", 1)
	gone.term()
	<-gone.done
	result := make(chan string)
	go func() {
		resp, err := newClient(t, false).Do(b.request(t.Context(), http.MethodPost, "/", io.MultiReader(strings.NewReader("body"))))
		if err != nil {
			result <- err.Error()
			return
		}
		result <- read(resp)
	}()
	b.waiting("hello-00001", 1) // refused, and back in the hold with its body
	b.pod("new", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	if got := <-result; got != "200 body" {
		t.Errorf("got %q", got)
	}
}

func TestTimeouts(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) { r.Spec.TimeoutSeconds = ptr(int64(1)) })
	b.route(to("hello-00001", 100))
	c := newClient(t, false)
	if got := b.get(c, "/"); got != "504 no pod of revision default/hello-00001 took the request in 1s" {
		t.Errorf("from zero: got %q", got)
	}
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	b.pod("p", "hello-00001", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }), func(c *podConfig) { c.queue.Timeout = time.Second })
	if got := b.get(c, "/"); got != "504 request timeout" {
		t.Errorf("from a container that is silent: got %q", got)
	}
}

// TestContainerFallsSilent answers half and says no more. With an idle timeout
// the client notices; and the pod's place is free again.
func TestContainerFallsSilent(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) { r.Spec.ContainerConcurrency = ptr(int64(1)) })
	var asked atomic.Int64
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		if asked.Add(1) == 1 {
			<-r.Context().Done()
		}
	}), func(c *podConfig) { c.queue.Concurrency, c.queue.Idle = 1, 200*time.Millisecond })
	b.route(to("hello-00001", 100))
	c := newClient(t, false)
	if got := b.get(c, "/"); got != "unexpected EOF" {
		t.Errorf("got %q", got)
	}
	if got := b.get(c, "/"); got != "200 half" {
		t.Errorf("the next one got %q", got)
	}
}

// TestPodThatOnlyAnswersProbes has a container with a readiness probe on one
// port that is happy, and nobody on the port for requests.
func TestPodThatOnlyAnswersProbes(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) { r.Spec.TimeoutSeconds = ptr(int64(1)) })
	b.route(to("hello-00001", 100))
	other := listen(t)
	defer func() { _ = other.Close() }()
	b.pod("p", "hello-00001", says("never"), func(c *podConfig) {
		c.lateUser = true
		probe := fmt.Sprintf(`{"tcpSocket":{"port":%d}}`, other.Addr().(*net.TCPAddr).Port)
		if err := json.Unmarshal([]byte(probe), &c.queue.Probe); err != nil {
			t.Fatal(err)
		}
	})
	if got := b.get(newClient(t, false), "/"); got != "504 no pod of revision default/hello-00001 took the request in 1s" {
		t.Errorf("got %q", got)
	}
}

// TestFrozenPod is a node that is paused: its kernel takes connections, and
// nobody answers.
func TestFrozenPod(t *testing.T) {
	b := newBox(t)
	frozen := listen(t)
	defer func() { _ = frozen.Close() }()
	b.revision("hello-00001", func(r *servingv1.Revision) { r.Spec.TimeoutSeconds = ptr(int64(1)) })
	b.change(func(o *objects) {
		o.pods = []corev1.Pod{makePod("frozen", "hello-00001", "127.0.0.1", func(p *corev1.Pod) {
			port := int32(frozen.Addr().(*net.TCPAddr).Port)
			p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "queue-port", ContainerPort: port}}}}
		})}
	})
	b.route(to("hello-00001", 100))
	for _, rev := range b.activator.roads.all() {
		for _, p := range rev.pods {
			rev.opened(p) // it had answered before it froze
		}
	}
	if got := b.get(newClient(t, false), "/"); got != "504 the pod gave no answer in time" {
		t.Errorf("got %q", got)
	}
	b.answers("hello-00001", 0) // nothing more is given to it
}

func TestGarbage(t *testing.T) {
	b := newBox(t)
	p := b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if r.URL.Path == "/cut" {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
			return
		}
		fmt.Fprint(conn, "I am no web server\r\n\r\n")
	}))
	_ = p
	b.route(to("hello-00001", 100))
	c := newClient(t, false)
	if got := b.get(c, "/"); !strings.HasPrefix(got, "502 the user container gave no answer: ") {
		t.Errorf("got %q", got)
	}
	// The client has half of it or, where its end came before it was sent on, a
	// word about that; never what looks whole.
	const ended = "502 the pod gave no answer: the connection ended before there was an answer"
	if got := b.get(c, "/cut"); got != "unexpected EOF" && got != ended {
		t.Errorf("half an answer: got %q", got)
	}
}

func TestH2CToTheContainer(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) {
		r.Spec.Containers = []servingv1.Container{{Ports: []servingv1.ContainerPort{{Name: "h2c"}}}}
	})
	b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }),
		func(c *podConfig) { c.queue.UserH2C = true })
	b.route(to("hello-00001", 100))
	for _, h2c := range []bool{false, true} {
		if got := b.get(newClient(t, h2c), "/"); got != "200 HTTP/2.0" {
			t.Errorf("client h2c=%t: got %q", h2c, got)
		}
	}
}

// TestDrainUnderLoadH2C has streams on one connection while its pod leaves.
func TestDrainUnderLoadH2C(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) {
		r.Spec.Containers = []servingv1.Container{{Ports: []servingv1.ContainerPort{{Name: "h2c"}}}}
	})
	h2c := func(c *podConfig) { c.queue.UserH2C = true }
	old := b.pod("p", "hello-00001", says("ok"), h2c)
	b.route(to("hello-00001", 100))
	b.answers("hello-00001", 1)
	stop := b.load(8, func(int) *http.Request {
		return b.request(context.Background(), http.MethodPost, "/", io.MultiReader(strings.NewReader("body")))
	})
	b.pod("q", "hello-00001", says("ok"), h2c)
	b.answers("hello-00001", 2)
	old.term()
	<-time.After(20 * time.Millisecond)
	old.leaving()
	<-old.done
	if total, bad := stop(); len(bad) > 0 {
		t.Errorf("%d of %d requests failed, first: %s", len(bad), total, bad[0])
	}
}
