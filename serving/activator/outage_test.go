package activator_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// cable leads connections from one address to another, until it is cut.
type cable struct {
	address, to string
	listener    net.Listener
	copies      sync.WaitGroup

	refused atomic.Int64 // connections while it was cut

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{address: listener.Addr().String(), to: to, listener: listener, conns: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut()
		c.copies.Wait()
	})
	c.copies.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c.copies.Go(func() { c.lead(conn) })
		}
	})
	return c
}

// cableTo returns a cable to an API server, and config by way of it.
func cableTo(t *testing.T, config *rest.Config) (*cable, *rest.Config) {
	t.Helper()
	u, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	c := newCable(t, u.Host)
	config = rest.CopyConfig(config)
	config.ServerName = u.Hostname()
	u.Host = c.address
	config.Host = u.String()
	return c, config
}

func (c *cable) lead(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer far.Close()
	if !c.enter(near, far) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
	_, _ = io.Copy(far, near)
	_ = far.Close()
	back.Wait()
}

func (c *cable) enter(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = true
	}
	if c.isCut {
		c.refused.Add(1)
	}
	return !c.isCut
}

// cut ends all connections, and those that are made from now on.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = false
}

// route leads the host to a revision.
func (w *world) route(revision string) (host string) {
	w.t.Helper()
	all := int64(100)
	host = "hello." + w.namespace + ".example.com"
	route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hello"}}
	route.Spec.Traffic = []servingv1.TrafficTarget{{ConfigurationName: "hello", Percent: &all}}
	w.create(route)
	route.Status.URL = "http://" + host
	route.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: revision, Percent: &all}}
	w.writeStatus(route)
	w.until("the route is known", func() bool { return probe(w.url, host) == revision })
	return host
}

// load asks again and again until stop is called, which returns the answers
// that were not want.
func (w *world) load(host, want string) (stop func() (total int64, bad []string)) {
	var clients sync.WaitGroup
	var total atomic.Int64
	var bad []string
	end := make(chan struct{})
	clients.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			if got := get(w.url, host); got != want {
				bad = append(bad, got)
			}
			total.Add(1)
		}
	})
	return func() (int64, []string) {
		close(end)
		clients.Wait()
		return total.Load(), bad
	}
}

// TestAPIServerGone cuts the activator off from the API server. What runs is
// served, and the news comes in when the connection is back.
func TestAPIServerGone(t *testing.T) {
	w := newWorld(t)
	w.revision("hello-00001")
	w.pod("one", "hello-00001", "hello")
	host := w.route("hello-00001")
	w.hears("pod one of hello-00001 answers: true")
	stop := w.load(host, "200 hello")

	w.api.cut()
	w.pod("two", "hello-00001", "hello")
	w.until("it has tried in vain to get back", func() bool { return w.api.refused.Load() >= 5 })
	if got := get(w.health+"/readyz", ""); got != "200" {
		t.Errorf("without the API server it is not ready: %q", got)
	}
	w.api.mend()
	w.hears("pod two of hello-00001 answers: true")
	if total, bad := stop(); len(bad) > 0 || total == 0 {
		t.Errorf("%d of %d requests failed, first: %v", len(bad), total, bad)
	}
}

// loseStream cuts the stream, and returns when the controller has noticed.
func (w *world) loseStream() {
	w.t.Helper()
	before := w.gone.Load()
	w.stream.cut()
	w.until("the stream is down", func() bool { return w.gone.Load() > before })
}

// TestControllerGone cuts the stream while a request is held. It goes on
// waiting, the controller hears of it when it is back, and running revisions
// do not notice.
func TestControllerGone(t *testing.T) {
	w := newWorld(t)
	w.revision("hello-00001")
	host := w.route("hello-00001")
	held := make(chan string, 1)
	go func() { held <- get(w.url, host) }()
	w.hears("held for hello-00001: 1")

	w.loseStream()
	go func() { held <- get(w.url, host) }() // nobody hears of it now
	w.until("it is held too", func() bool {
		return strings.Contains(get(w.health+"/metrics", ""), `activator_requests_held{namespace_name="`+w.namespace+`",service_name="",configuration_name="",revision_name="hello-00001"} 2`)
	})
	w.stream.mend()
	w.hears("held for hello-00001: 2")
	w.pod("one", "hello-00001", "hello")
	for range 2 {
		if got := <-held; got != "200 hello" {
			t.Errorf("got %q", got)
		}
	}
	const answers = "pod one of hello-00001 answers: true"
	w.hears(answers)
	stop := w.load(host, "200 hello")
	w.loseStream()
	before := w.heardTimes(answers)
	w.stream.mend()
	w.until("it is back, with all that answers", func() bool { return w.heardTimes(answers) > before })
	if total, bad := stop(); len(bad) > 0 || total == 0 {
		t.Errorf("%d of %d requests failed, first: %v", len(bad), total, bad)
	}
}

// TestLeavesWithAHeldRequest tells the activator to go while a request waits
// for a pod. It serves it first.
func TestLeavesWithAHeldRequest(t *testing.T) {
	w := newWorld(t)
	w.revision("hello-00001")
	host := w.route("hello-00001")
	held, left := make(chan string, 1), make(chan error, 1)
	go func() { held <- get(w.url, host) }()
	w.hears("held for hello-00001: 1")
	go func() { left <- w.stop() }()
	w.until("it is not ready any more", func() bool { return strings.HasPrefix(get(w.health+"/readyz", ""), "503 ") })
	w.pod("one", "hello-00001", "hello")
	if got := <-held; got != "200 hello" {
		t.Errorf("got %q", got)
	}
	if err := <-left; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestOthersSendNoStream has other pods of the box try to speak for an
// activator.
func TestOthersSendNoStream(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct{ token, want string }{
		"without a token":                  {"", "401 want a token"},
		"with a token of nobody":           {"nonsense", "403 the API server does not know this token: "},
		"with a user container's token":    {w.token("default", "https://kubernetes.default.svc"), "403 the API server does not know this token: "},
		"with another account's":           {w.token("default", stream.Audience), "403 this is the token of system:serviceaccount:" + w.namespace + ":default"},
		"with the activator's for the API": {w.token("activator", "https://kubernetes.default.svc"), "403 the API server does not know this token: "},
	} {
		lie := fmt.Sprintf(`{"pod":{"namespace":%q,"name":"lie","uid":"1","revision":"hello-00001","answers":true}}`, w.namespace)
		req, err := http.NewRequest(http.MethodPost, "http://"+w.stream.address+stream.Path, strings.NewReader(lie+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Devbox-Activator", "a liar")
		if test.token != "" {
			req.Header.Set("Authorization", "Bearer "+test.token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := fmt.Sprintf("%d %s", resp.StatusCode, body); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	if n := w.heardTimes("pod lie of hello-00001 answers: true"); n > 0 {
		t.Error("the controller believes others")
	}
}
