//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/panel"
	"github.com/kind-in-a-box/devbox/test/box"
)

// chosen is what a person would choose above a dashboard.
var chosen = panel.Scope{Namespace: "default", Service: "hello", Configuration: "hello", Revision: ".*"}

// TestObservability looks at a box through Prometheus and Zipkin: every target
// is up, every query of every panel finds something once there was load, and a
// cold request is one trace.
func TestObservability(t *testing.T) {
	if os.Getenv("DEVBOX_ENGINE") == "embedded" {
		t.Skip("this is the story of kind; TestObservabilityEmbedded is the other")
	}
	b := box.New(t, "devbox-watched")
	dir := box.Project(t, "hello")
	w := &watched{Box: b, dir: dir, main: filepath.Join(dir, "main.go"), jobs: map[string]int{
		"serving": 3, "queue-proxy": 2, "envoy": 1, "istiod": 1, "kubelet": 1, "cadvisor": 1, "prometheus": 1, "zipkin": 1,
	}, hops: []hop{
		{"istio-ingressgateway.istio-system", ""}, {"istio-ingressgateway.istio-system", ""},
		{"activator", "activator"}, {"activator", "activator_proxy"}, {"hello", "kn.queueproxy.proxy"},
	}}
	w.up = b.Up("--port", "18081", "--with", "observability", dir)
	for _, story := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"up and status say where it is", w.addresses},
		{"a cold request is one trace", w.coldTrace},
		{"every panel has data", w.panels},
		{"every target is up", w.targets},
		{"it can be taken away", w.without},
	} {
		if !t.Run(story.name, story.tell) {
			t.FailNow()
		}
	}
}

type watched struct {
	*box.Box
	up        *box.Session
	dir, main string
	jobs      map[string]int // targets that Prometheus has at least, by their jobs
	hops      []hop          // of a request that comes to a service at zero
	uncounted bool           // nobody measures containers here: their panels are empty
}

// hop is a span of a request's way, by whose it is and by its name.
type hop struct{ service, name string }

func (w *watched) addresses(t *testing.T) {
	w.up.Wait("the first revision", soon, live)
	out, code := w.Run("status")
	for _, part := range []string{"prometheus", "zipkin"} {
		address := "http://" + part + ".localhost:18081"
		if code != 0 || !strings.Contains(out, address) {
			t.Errorf("devbox status: exit %d, want %s in\n%s", code, address, out)
		}
		done := w.up.Wait("the step", soon, func(e event.Event) bool { return e.Kind == event.StepDone && e.Step == "observability" })
		if !strings.Contains(done.Message, address) {
			t.Errorf("devbox up says %q; want %s", done.Message, address)
		}
	}
}

// ask asks a part of the box, by its name, and reads its JSON.
func (w *watched) ask(t *testing.T, part, path string, into any) {
	t.Helper()
	status, body, err := w.Get(part+".localhost:18081", path)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET %s of %s: status %d, error %v: %s", path, part, status, err, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("GET %s of %s: %v: %s", path, part, err, body)
	}
}

// edit saves a change and waits until it is live.
func (w *watched) edit(t *testing.T, file, old, replacement string) {
	mark := w.up.Mark()
	box.Edit(t, file, old, replacement)
	w.up.WaitAfter(mark, "the new revision", soon, live)
}

type span struct {
	TraceID, ID, ParentID, Kind, Name string
	Duration                          int64 // in microseconds
	LocalEndpoint                     struct{ ServiceName string }
	Tags                              map[string]string
}

// coldTrace sends a request to a service at zero, and finds its trace: a span
// for each hop, each the child of the one before it, and the time it was held.
func (w *watched) coldTrace(t *testing.T) {
	w.edit(t, filepath.Join(w.dir, "service.yaml"), "  template:\n",
		"  template:\n    metadata:\n      annotations:\n        autoscaling.knative.dev/window: 6s\n")
	box.Eventually(t, "no pod is left without a request", func() bool { return w.Pods() == 0 })
	if status, body, err := w.Get(host, "/"); err != nil || status != http.StatusOK {
		t.Fatalf("GET: %d %q %v", status, body, err)
	}
	var cold []span
	box.Eventually(t, "Zipkin has the trace of a cold request with the first hop's span and the last's", func() bool {
		var traces [][]span
		w.ask(t, "zipkin", "/api/v2/traces?serviceName=activator&limit=20", &traces)
		i := slices.IndexFunc(traces, func(spans []span) bool {
			begun := slices.ContainsFunc(spans, func(s span) bool { return s.ParentID == "" }) // Envoy tells of its spans last
			cold := slices.ContainsFunc(spans, func(s span) bool { return s.Tags["devbox.cold"] == "true" })
			return begun && cold && find(spans, "kn.queueproxy.proxy") != nil
		})
		if i >= 0 {
			cold = traces[i]
		}
		return i >= 0
	})
	parent := ""
	for _, hop := range w.hops {
		i := slices.IndexFunc(cold, func(s span) bool {
			return s.ParentID == parent && s.LocalEndpoint.ServiceName == hop.service && (hop.name == "" || s.Name == hop.name)
		})
		if i < 0 {
			t.Fatalf("no span of %s, %q below %q in %+v", hop.service, hop.name, parent, cold)
		}
		t.Logf("%-34s %-32s %8.1f ms", hop.service, cold[i].Name, float64(cold[i].Duration)/1000)
		parent = cold[i].ID
	}
	held, whole := find(cold, "throttler_try"), find(cold, "activator")
	if held == nil || held.ParentID != whole.ID || 2*held.Duration < whole.Duration {
		t.Errorf("the time that the request was held is %+v; want a child of the activator's span, and most of its %d µs", held, whole.Duration)
	}
}

func find(spans []span, name string) *span {
	for i := range spans {
		if spans[i].Name == name {
			return &spans[i]
		}
	}
	return nil
}

// panels works the box, and asks what every panel asks: first of a revision
// that is scaled by concurrency, then of one by requests a second.
func (w *watched) panels(t *testing.T) {
	w.edit(t, w.main, "func(w http.ResponseWriter, _ *http.Request) {", `func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/4xx":
			http.Error(w, "on purpose", http.StatusTeapot)
			return
		case "/5xx":
			http.Error(w, "on purpose", http.StatusInternalServerError)
			return
		}`)
	found := map[string]int{} // series by query
	w.load(t, found)
	w.edit(t, filepath.Join(w.dir, "service.yaml"), "        autoscaling.knative.dev/window: 6s\n",
		"        autoscaling.knative.dev/window: 6s\n        autoscaling.knative.dev/metric: rps\n        autoscaling.knative.dev/target: \"20\"\n")
	w.load(t, found)

	var table strings.Builder
	for _, d := range panel.Dashboards {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					n := found[q.PromQL(chosen)]
					fmt.Fprintf(&table, "%-24s | %-46s | %-32s | %d\n", d.Title, p.Title, q.Legend, n)
					if n == 0 && (!w.uncounted || !strings.HasPrefix(q.Metric, "container_")) {
						t.Errorf("%s, %s: nothing for %s", d.Title, p.Title, q.PromQL(chosen))
					}
				}
			}
		}
	}
	t.Logf("series of each query:\n%s", table.String())
}

// load sends requests of every class until every query has found something,
// or for so long that none will.
func (w *watched) load(t *testing.T, found map[string]int) {
	t.Helper()
	for path, perSecond := range map[string]int{"/": 30, "/4xx": 2, "/5xx": 2} {
		l := w.Caller(host, path).Start(perSecond)
		defer l.Stop()
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Second) {
		missing := 0
		for _, query := range w.queries() {
			found[query] = max(found[query], w.series(t, query))
			if found[query] == 0 {
				missing++
			}
		}
		if missing == 0 {
			return
		}
	}
}

func (w *watched) queries() []string {
	var all []string
	for _, d := range panel.Dashboards {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					if !w.uncounted || !strings.HasPrefix(q.Metric, "container_") {
						all = append(all, q.PromQL(chosen))
					}
				}
			}
		}
	}
	return all
}

// series is how many series with a number a query has now.
func (w *watched) series(t *testing.T, query string) (n int) {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	w.ask(t, "prometheus", "/api/v1/query?query="+url.QueryEscape(query), &answer)
	for _, s := range answer.Data.Result {
		if s.Value[1] != "NaN" {
			n++
		}
	}
	return n
}

// targets: each of the parts that a box has is asked, and answers.
func (w *watched) targets(t *testing.T) {
	var said string
	box.Eventually(t, "every target is there and up", func() bool {
		if status, body, err := w.Get(host, "/"); err != nil || status != http.StatusOK { // so that there is a pod
			t.Fatalf("GET: %d %q %v", status, body, err)
		}
		var answer struct {
			Data struct {
				ActiveTargets []struct {
					ScrapeURL, Health, LastError string
					Labels                       map[string]string
				}
			}
		}
		w.ask(t, "prometheus", "/api/v1/targets?state=active", &answer)
		said = ""
		up := map[string]int{}
		for _, target := range answer.Data.ActiveTargets {
			said += fmt.Sprintf("%-12s %-62s %s %s\n", target.Labels["job"], target.ScrapeURL, target.Health, target.LastError)
			if target.Health == "up" {
				up[target.Labels["job"]]++
			}
		}
		for job, n := range w.jobs {
			if up[job] < n {
				return false
			}
		}
		return !strings.Contains(said, "down")
	})
	t.Logf("targets:\n%s", said)
}

// without takes it all away; the box goes on.
func (w *watched) without(t *testing.T) {
	w.up.Interrupt()
	if out, code := w.Run("up", "--without", "observability", "--detach", w.dir); code != 0 {
		t.Fatalf("devbox up --without observability: exit %d\n%s", code, out)
	}
	if out, code := w.Run("status"); code != 0 || strings.Contains(out, "zipkin") {
		t.Errorf("devbox status: exit %d, and Zipkin in it:\n%s", code, out)
	}
	box.Eventually(t, "the namespace is gone", func() bool {
		_, err := w.Kubernetes().CoreV1().Namespaces().Get(t.Context(), "devbox-observability", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if status, _, err := w.Get(host, "/"); err != nil || status != http.StatusOK {
		t.Errorf("GET: %d %v", status, err)
	}
}
