package activator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestTooManyHeld has more clients than may wait: the others are told to come
// back, and those that wait are served in the end.
func TestTooManyHeld(t *testing.T) {
	for name, test := range map[string]struct {
		room  int64
		most  int
		extra string
	}{
		"by memory": {3 * heldCost / 2, 1, "503 " + errNoRoom.Error()},
		"by number": {defaultHoldMemory, maxHeld, "503 10000 requests wait for revision default/hello-00001 already"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.activator.roads.room.left.Store(test.room)
			b.revision("hello-00001", func(r *servingv1.Revision) { r.Spec.ContainerConcurrency = ptr(int64(50)) })
			b.route(to("hello-00001", 100))
			clients := newCrowd(t, strings.TrimPrefix(b.url, "http://"), test.most, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			b.waiting("hello-00001", test.most)
			resp, err := newClient(t, false).Do(b.request(t.Context(), http.MethodGet, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			if got, after := read(resp), resp.Header.Get("Retry-After"); got != test.extra || after != "1" {
				t.Errorf("got %q, again after %q", got, after)
			}
			b.pod("p", "hello-00001", says("hello"))
			if answers := clients.answers(); answers["200 hello"] != test.most {
				t.Errorf("those that waited got %v", answers)
			}
			b.until("their room is free again", func() bool { return b.activator.roads.room.left.Load() == test.room })
		})
	}
}

// TestCrowdForARevisionThatNeverStarts is as many held requests as may be,
// for nothing: each gets its answer when the revision's time is over, and
// others are not disturbed.
func TestCrowdForARevisionThatNeverStarts(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(r *servingv1.Revision) { r.Spec.TimeoutSeconds = ptr(int64(4)) })
	b.pod("q", "other-00001", says("other"))
	b.change(func(o *objects) {
		o.routes = []servingv1.Route{makeRoute("hello", to("hello-00001", 100)), makeRoute("other", to("other-00001", 100))}
	})
	b.answers("other-00001", 1)
	clients := newCrowd(t, strings.TrimPrefix(b.url, "http://"), maxHeld, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	stop := b.load(2, func(int) *http.Request {
		req := b.request(context.Background(), http.MethodGet, "/", nil)
		req.Host = "other.default.example.com"
		return req
	})
	answers := clients.answers()
	for answer, n := range answers {
		if !strings.HasPrefix(answer, "504 no pod of revision default/hello-00001 took the request in 4s") {
			t.Errorf("%d got %q", n, answer)
		}
	}
	if total, bad := stop(); len(bad) > 0 || total == 0 {
		t.Errorf("another revision: %d of %d requests failed, first: %v", len(bad), total, bad)
	}
}

// TestHeldClientGoes has clients give up while they wait. Nobody is to start
// a pod for them, or to call it busy.
func TestHeldClientGoes(t *testing.T) {
	for name, test := range map[string]struct {
		h2c  bool
		body func() io.Reader
	}{
		"GET":        {},
		"GET, h2c":   {h2c: true},
		"POST":       {body: func() io.Reader { return strings.NewReader("body") }},
		"POST, h2c":  {body: func() io.Reader { return strings.NewReader("body") }, h2c: true},
		"large POST": {body: func() io.Reader { return strings.NewReader(strings.Repeat("x", 32<<10)) }},
		// In HTTP/1.1 these hide that the client has gone.
		"larger POST, h2c":  {body: func() io.Reader { return strings.NewReader(strings.Repeat("x", 1<<20)) }, h2c: true},
		"endless POST, h2c": {body: func() io.Reader { return endless{} }, h2c: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			b.route(to("hello-00001", 100))
			ctx, cancel := context.WithCancel(t.Context())
			var body io.Reader
			method := http.MethodGet
			if test.body != nil {
				body, method = test.body(), http.MethodPost
			}
			go func() {
				b.waiting("hello-00001", 1)
				cancel()
			}()
			if _, err := newClient(t, test.h2c).Do(b.request(ctx, method, "/", body)); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			b.waiting("hello-00001", 0)
			b.until("it is no error of the server's", func() bool {
				return strings.Contains(b.exposed(), `response_code="other",response_code_class="4xx"} 1`)
			})
		})
	}
}

// endless is a body of unknown length.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestHeldBodyArrives sends bodies from zero: one that is there when the
// request waits, one that the client keeps back until it is asked for it, and
// one that comes later than the pod.
func TestHeldBodyArrives(t *testing.T) {
	b := newBox(t)
	b.route(to("hello-00001", 100))
	p := b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}), func(c *podConfig) { c.lateUser = true })
	late, later := io.Pipe()
	bodies := map[string]*http.Request{
		"at once":  b.request(t.Context(), http.MethodPost, "/", strings.NewReader("at once")),
		"when due": b.request(t.Context(), http.MethodPost, "/", strings.NewReader("when due")),
		"late":     b.request(t.Context(), http.MethodPost, "/", late),
	}
	bodies["when due"].Header.Set("Expect", "100-continue")
	bodies["late"].ContentLength = 4
	results := make(chan string)
	for want, req := range bodies {
		go func() {
			resp, err := newClient(t, false).Do(req)
			if err != nil {
				results <- err.Error()
				return
			}
			if got := read(resp); got != "200 "+want {
				results <- fmt.Sprintf("got %q, want %q", got, want)
				return
			}
			results <- ""
		}()
	}
	b.waiting("hello-00001", len(bodies))
	p.startUser()
	b.answers("hello-00001", 1)
	fmt.Fprint(later, "late")
	for range bodies {
		if wrong := <-results; wrong != "" {
			t.Error(wrong)
		}
	}
}

// TestPoisonIsTakenOnce sends a request at which its container dies. There is
// another pod, and the container comes back, but neither is to die of it too.
func TestPoisonIsTakenOnce(t *testing.T) {
	b := newBox(t)
	var deaths atomic.Int64
	var dies func()
	user := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/poison" {
			deaths.Add(1)
			dies()
		}
		fmt.Fprint(w, "ok")
	})
	p := b.pod("p", "hello-00001", user)
	first := p.user
	dies = func() { _ = first.Close() }
	b.route(to("hello-00001", 100))
	c := newClient(t, false)
	if got := b.get(c, "/"); got != "200 ok" { // so that all connections were used before
		t.Fatalf("got %q", got)
	}
	if got := b.get(c, "/poison"); !strings.HasPrefix(got, "502 ") {
		t.Errorf("got %q", got)
	}
	p.user = &http.Server{Addr: p.user.Addr, Handler: user}
	p.startUser()
	if got := b.get(c, "/"); got != "200 ok" {
		t.Errorf("afterwards: got %q", got)
	}
	if n := deaths.Load(); n != 1 {
		t.Errorf("the container died %d times of one request", n)
	}
}

// TestPostToAContainerThatRestarts waits for it, with its body.
func TestPostToAContainerThatRestarts(t *testing.T) {
	b := newBox(t)
	user := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	p := b.pod("p", "hello-00001", user)
	b.route(to("hello-00001", 100))
	b.answers("hello-00001", 1)
	_ = p.user.Close()
	result := make(chan string)
	go func() {
		resp, err := newClient(t, false).Do(b.request(t.Context(), http.MethodPost, "/", io.MultiReader(strings.NewReader("body"))))
		if err != nil {
			result <- err.Error()
			return
		}
		result <- read(resp)
	}()
	b.waiting("hello-00001", 1) // refused by the container, and back in the hold
	p.user = &http.Server{Addr: p.user.Addr, Handler: user}
	p.startUser()
	select {
	case got := <-result:
		if got != "200 body" {
			t.Errorf("got %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits on")
	}
}
