package controller

import (
	"context"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// The registry is known to the node as localhost:5001 and to the controller
// by another name.
func TestDigests(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(stdlog.New(new(strings.Builder), "", 0))))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(at.Host + "/hello:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	d := newDigests(map[string]*url.URL{"localhost:5001": at}, newInForce("").podsOfAll, fake.NewClientset().CoreV1())
	rang := start(t, d)

	for image, want := range map[string]string{
		"localhost:5001/hello:v1":                  "localhost:5001/hello@" + digest.String(),
		"localhost:5001/x@" + digest.String():      "localhost:5001/x@" + digest.String(),
		"localhost:5001/hello:v2":                  "error: resolving image",
		"dev.local/hello:v1":                       "",
		"devbox.local/anything":                    "",
		"Not An Image":                             "error: parsing image",
		"kind.local/hello@" + digest.String() + "": "kind.local/hello@" + digest.String(),
	} {
		rev := &servingv1.Revision{}
		rev.Namespace, rev.Name = "default", "hello-00001"
		got, known, err := d.of(t.Context(), rev, image)
		if !known {
			if key := <-rang; key.Name != rev.Name {
				t.Fatalf("the bell rang for %s", key)
			}
			got, known, err = d.of(t.Context(), rev, image)
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if !known || !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s is %q (known: %t), want %q", image, got, known, want)
		}
		d.forget(rev.UID)
	}
	if len(d.found) != 0 {
		t.Errorf("%d lookups are kept after they were forgotten", len(d.found))
	}
}

func TestAFailedLookupIsTriedAgain(t *testing.T) {
	d := newDigests(nil, newInForce("").podsOfAll, nil)
	now := time.Now()
	d.now = func() time.Time { return now }
	l := lookup{image: "localhost:1/hello"}
	d.found[l] = found{err: context.DeadlineExceeded, at: now}
	if _, ask := d.known(l); ask {
		t.Error("asked again at once")
	}
	now = now.Add(digestRetry)
	if _, ask := d.known(l); !ask {
		t.Error("not asked again after a while")
	}
}

// start runs d until the test ends. What its bell rings for is received from
// the channel.
func start(t *testing.T, d *digests) <-chan reconcile.Request {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	if err := d.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	rang := make(chan reconcile.Request, 1)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = d.run(ctx) })
	running.Go(func() {
		for {
			key, over := queue.Get()
			if over {
				return
			}
			queue.Done(key)
			rang <- key
		}
	})
	t.Cleanup(func() { stop(); queue.ShutDown(); running.Wait() })
	return rang
}

func TestGateway(t *testing.T) {
	var known sync.Map // the hosts; a question may still be under way when the next host becomes known
	known.Store("hello.default.example.com", true)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if _, ok := known.Load(r.Host); !ok || r.Header.Get("K-Network-Probe") != "activator" {
			http.Error(w, "no such host", http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte("activator"))
	}))
	defer server.Close()
	g := newGateway(server.URL)
	one := []string{"hello.default.example.com"}
	two := append(one, "blue-hello.default.example.com")

	if g.led("uid", one) {
		t.Error("led before it was asked")
	}
	if err := g.leads(t.Context(), "uid", one); err != nil || !g.led("uid", one) {
		t.Errorf("does not lead to a host it knows: %v", err)
	}
	if g.led("uid", two) {
		t.Error("led to a host that was never asked for")
	}
	if err := g.leads(t.Context(), "uid", two); err == nil {
		t.Error("leads to a host it does not know")
	}
	known.Store(two[1], true)
	if err := g.leads(t.Context(), "uid", two); err != nil || !g.led("uid", two) {
		t.Errorf("does not lead to both hosts: %v", err)
	}
	if asked.Load() == 0 || g.led("another", two) {
		t.Error("one route's answer counts for another")
	}
}

func TestAskAgain(t *testing.T) {
	for since, want := range map[time.Duration]time.Duration{
		0: 10 * time.Millisecond, 100 * time.Millisecond: 10 * time.Millisecond, 2 * time.Second: 100 * time.Millisecond, time.Hour: 5 * time.Second,
	} {
		if got := askAgain(noon.Add(-since), noon); got != want {
			t.Errorf("after %s: %s, want %s", since, got, want)
		}
	}
}
