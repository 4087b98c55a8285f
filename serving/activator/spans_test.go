package activator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// seen is a span as a collector has it.
type seen struct {
	trace, id, parent, service, name string
	start, end                       time.Time
	attributes                       map[string]string
	events                           []string
}

// collecting is a collector of both formats.
type collecting struct {
	url string

	mu    sync.Mutex
	spans map[string]seen // by name
	n     int
}

func newCollector(t *testing.T) *collecting {
	c := &collecting{spans: map[string]seen{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		read := zipkinSpans
		if r.URL.Path == "/v1/traces" {
			read = otlpSpans
		}
		spans, err := read(body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range spans {
			c.spans[s.name] = s
			c.n++
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// all waits for n spans, and returns them by their names.
func (c *collecting) all(b *box, n int) map[string]seen {
	b.t.Helper()
	b.until(fmt.Sprintf("%d spans are collected", n), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.n >= n
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

func otlpSpans(body []byte) (all []seen, err error) {
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	for _, r := range request.ResourceSpans {
		for _, s := range r.ScopeSpans[0].Spans {
			all = append(all, otlpSpan(r.Resource.Attributes[0].Value.GetStringValue(), s))
		}
	}
	return all, nil
}

func otlpSpan(service string, s *otlp.Span) seen {
	got := seen{
		trace: fmt.Sprintf("%x", s.TraceId), id: fmt.Sprintf("%x", s.SpanId), parent: fmt.Sprintf("%x", s.ParentSpanId),
		service: service, name: s.Name, attributes: map[string]string{},
		start: time.Unix(0, int64(s.StartTimeUnixNano)), end: time.Unix(0, int64(s.EndTimeUnixNano)),
	}
	for _, a := range s.Attributes {
		got.attributes[a.Key] = a.Value.GetStringValue()
	}
	for _, e := range s.Events {
		got.events = append(got.events, e.Name)
	}
	return got
}

func zipkinSpans(body []byte) (all []seen, err error) {
	var spans []struct {
		TraceID, ID, ParentID, Name string
		Timestamp, Duration         int64
		LocalEndpoint               struct{ ServiceName string }
		Tags                        map[string]string
		Annotations                 []struct{ Value string }
	}
	if err := json.Unmarshal(body, &spans); err != nil {
		return nil, err
	}
	for _, s := range spans {
		start := time.UnixMicro(s.Timestamp)
		got := seen{s.TraceID, s.ID, s.ParentID, s.LocalEndpoint.ServiceName, s.Name, start, start.Add(time.Duration(s.Duration) * time.Microsecond), s.Tags, nil}
		for _, a := range s.Annotations {
			got.events = append(got.events, a.Value)
		}
		all = append(all, got)
	}
	return all, nil
}

// traced has the box's activator trace by s.
func (b *box) traced(s trace.Settings) *trace.Tracer {
	tracer := trace.New("activator", mostSpans, slog.New(slog.DiscardHandler))
	tracer.Use(s)
	b.activator.forward.tracer = tracer
	ctx, stop := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { tracer.Run(ctx) })
	b.t.Cleanup(func() { stop(); run.Wait() })
	return tracer
}

const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

// TestOneTrace sends one request to a revision at zero: there is one trace of
// it, whose spans are each other's children, from the gateway to the container.
func TestOneTrace(t *testing.T) {
	for name, test := range map[string]struct {
		protocol trace.Protocol
		path     string
		headers  map[string]string
	}{
		"OTLP, W3C": {trace.OTLP, "/v1/traces", map[string]string{"Traceparent": "00-" + clientTrace + "-" + clientSpan + "-01"}},
		"Zipkin, B3 as from Istio's gateway": {trace.Zipkin, "/api/v2/spans", map[string]string{
			"X-B3-Traceid": clientTrace, "X-B3-Spanid": clientSpan, "X-B3-Sampled": "1",
			"Traceparent": "00-11111111111111111111111111111111-2222222222222222-01",
		}},
		"Zipkin, B3 in one": {trace.Zipkin, "/api/v2/spans", map[string]string{"B3": clientTrace + "-" + clientSpan + "-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t)
			b := newBox(t)
			settings := trace.Settings{Protocol: test.protocol, Endpoint: c.url + test.path}
			b.traced(settings)
			b.route(to("hello-00001", 100))
			headers := make(chan http.Header, 1)
			go b.comesUp(settings, headers)
			req := b.request(t.Context(), http.MethodGet, "/path?secret=1", nil)
			for k, v := range test.headers {
				req.Header[k] = []string{v}
			}
			resp, err := newClient(t, false).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(resp); got != "200 ok" {
				t.Fatalf("got %q", got)
			}
			spans := c.all(b, 5)
			parents := map[string]string{
				"activator":           clientSpan,
				"throttler_try":       spans["activator"].id,
				"activator_proxy":     spans["activator"].id,
				"kn.queueproxy.proxy": spans["activator_proxy"].id,
				"kn.queueproxy.wait":  spans["kn.queueproxy.proxy"].id,
			}
			for name, parent := range parents {
				if s := spans[name]; s.trace != clientTrace || s.parent != parent || s.id == "" {
					t.Errorf("%s is %+v, want its parent to be %s", name, s, parent)
				}
			}
			if len(spans) != len(parents) {
				t.Errorf("there are %d spans: %v", len(spans), spans)
			}
			held, whole := spans["throttler_try"], spans["activator"]
			if got := strings.Join(held.events, " "); got != "decided created sandbox started listening" || held.attributes["devbox.cold"] != "true" {
				t.Errorf("it was held while %q, and cold: %v", got, held.attributes)
			}
			if took := held.end.Sub(held.start); took < slowStart || held.end.After(whole.end.Add(time.Millisecond)) {
				t.Errorf("it was held for %s of %s", took, whole.end.Sub(whole.start))
			}
			if a := whole.attributes; a["http.response.status_code"] != "200" || a["url.path"] != "/path" || a["kn.revision.name"] != "hello-00001" || a["http.request.method"] != "GET" {
				t.Errorf("the attributes are %v", a)
			}
			if whole.service != "activator" || spans["kn.queueproxy.proxy"].service != "hello" {
				t.Errorf("they are of %s and %s", whole.service, spans["kn.queueproxy.proxy"].service)
			}
			parent := spans["kn.queueproxy.proxy"].id
			got := <-headers
			if h := got.Get("Traceparent"); h != "00-"+clientTrace+"-"+parent+"-01" {
				t.Errorf("the container gets %q", h)
			}
			for form, want := range map[string]string{"X-B3-Spanid": parent, "B3": clientTrace + "-" + parent + "-1-" + spans["activator_proxy"].id} {
				if _, came := test.headers[form]; came && got.Get(form) != want {
					t.Errorf("the container gets %s %q, want %q", form, got.Get(form), want)
				}
			}
		})
	}
}

// slowStart is how long the pod of comesUp takes.
const slowStart = 100 * time.Millisecond

// comesUp starts a pod, step by step, when a request waits for it.
func (b *box) comesUp(s trace.Settings, headers chan<- http.Header) {
	b.waiting("hello-00001", 1)
	began := time.Now()
	b.change(func(o *objects) {
		o.pods = []corev1.Pod{makePod("p", "hello-00001", "", func(p *corev1.Pod) {
			p.Annotations = map[string]string{servingv1.DecidedAnnotation: began.Format(time.RFC3339Nano)}
		})}
	})
	p := b.pod("p", "hello-00001", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		fmt.Fprint(w, "ok")
	}), named("p", "hello-00001"), func(c *podConfig) {
		c.lateUser = true
		c.queue.Tracing, c.queue.Concurrency, c.queue.Labels.Service = s, 1, "hello"
	})
	b.until("queue-proxy takes connections, and it has taken a while", func() bool {
		return time.Since(began) > slowStart && b.look("hello-00001", func(r *revision) int {
			if r.pods[p.pod.UID].reached.started.IsZero() {
				return 0
			}
			return 1
		}) == 1
	})
	p.startUser()
}

// TestWarmTrace is of a request that waits for nothing, and begins its trace here.
func TestWarmTrace(t *testing.T) {
	c := newCollector(t)
	b := newBox(t)
	b.traced(trace.Settings{Protocol: trace.OTLP, Endpoint: c.url + "/v1/traces", Rate: 1})
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", says("ok"))
	b.answers("hello-00001", 1)
	if got := b.get(newClient(t, true), "/"); got != "200 ok" {
		t.Fatalf("got %q", got)
	}
	spans := c.all(b, 3)
	if s := spans["activator"]; s.parent != "" || s.trace == "" {
		t.Errorf("it begins with %+v", s)
	}
	if s := spans["throttler_try"]; s.attributes["devbox.cold"] != "false" || len(s.events) > 0 || s.attributes["k8s.pod.name"] != "p" {
		t.Errorf("it was held as %+v", s)
	}
}

// TestFailedTrace is of a request that no pod takes.
func TestFailedTrace(t *testing.T) {
	c := newCollector(t)
	b := newBox(t)
	b.traced(trace.Settings{Protocol: trace.Zipkin, Endpoint: c.url + "/api/v2/spans", Rate: 1})
	b.route(to("hello-00001", 100))
	b.change(func(o *objects) {
		o.revisions = []servingv1.Revision{makeRevision("hello-00001", func(r *servingv1.Revision) { r.Spec.TimeoutSeconds = new(int64(1)) })}
	})
	if got := b.get(newClient(t, false), "/"); !strings.HasPrefix(got, "504") {
		t.Fatalf("got %q", got)
	}
	spans := c.all(b, 2)
	if got := spans["activator"].attributes["error"]; got != "504" {
		t.Errorf("the error is %q", got)
	}
	if got := spans["throttler_try"].attributes["error"]; got != errHeldTooLong.Error() {
		t.Errorf("it was not held longer because %q", got)
	}
}

// TestUnrecordedTrace is decided on once: the container learns of it.
func TestUnrecordedTrace(t *testing.T) {
	b := newBox(t)
	tracer := b.traced(trace.Settings{Protocol: trace.Zipkin, Endpoint: "http://127.0.0.1:1/"})
	b.route(to("hello-00001", 100))
	headers := make(chan http.Header, 2)
	b.pod("p", "hello-00001", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header }), func(c *podConfig) {
		c.queue.Tracing = trace.Settings{Protocol: trace.Zipkin, Endpoint: "http://127.0.0.1:1/", Rate: 1}
	})
	c := newClient(t, false)
	b.get(c, "/")
	if got := (<-headers).Get("Traceparent"); len(got) != 55 || !strings.HasSuffix(got, "-00") {
		t.Errorf("of a trace that begins here the container gets %q", got)
	}
	req := b.request(t.Context(), http.MethodGet, "/", nil)
	came := "00-" + clientTrace + "-" + clientSpan + "-00"
	req.Header.Set("Traceparent", came)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	read(resp)
	if got := (<-headers).Get("Traceparent"); got != came {
		t.Errorf("of a client's the container gets %q", got)
	}
	tracer.Use(trace.Settings{})
	req.Header.Set("Traceparent", "garbage")
	if resp, err = c.Do(req); err != nil {
		t.Fatal(err)
	}
	read(resp)
}

// TestCollectorsDoNotDelay has a collector that takes connections and says
// nothing, and clients with 10,000 traces of their own.
func TestCollectorsDoNotDelay(t *testing.T) {
	silent := listen(t) // nobody accepts
	defer silent.Close()
	b := newBox(t)
	settings := trace.Settings{Protocol: trace.OTLP, Endpoint: "http://" + silent.Addr().String()}
	tracer := b.traced(settings)
	b.route(to("hello-00001", 100))
	b.pod("p", "hello-00001", says("ok"), func(c *podConfig) { c.queue.Tracing = settings })
	c := newClient(t, false)
	for i := range 10_000 {
		req := b.request(t.Context(), http.MethodGet, "/", nil)
		req.Header.Set("Traceparent", fmt.Sprintf("00-%032x-%016x-01", i+1, i+1))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(resp); got != "200 ok" {
			t.Fatalf("request %d got %q", i, got)
		}
	}
	var metrics strings.Builder
	tracer.WriteMetrics(&metrics, "")
	if strings.Contains(metrics.String(), "total 0\n") {
		t.Errorf("none of 30,000 spans is lost: %s", metrics.String())
	}
}
