package trace

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sample is one span with all that a span can have.
func sample() Span {
	c := Context{Trace: TraceID{0x4b, 15: 0x36}, Debug: true}
	s := c.New("throttler_try", Server, SpanID{7: 9}, time.UnixMicro(1_000_000))
	s.ID = span
	s.End = s.Start.Add(1500 * time.Microsecond)
	s.Set("http.request.method", "GET")
	s.Set("url.path", "/"+strings.Repeat("ä", 200)) // cut, perhaps in the middle of a letter
	s.Set("nothing", "")
	s.Happened("created", s.Start.Add(time.Millisecond))
	s.Failed = "503"
	return s
}

// received is one batch that a collector got.
type received struct {
	path, kind string
	body       []byte
}

// running is a Tracer that runs, and the batches that its collector gets.
func running(t *testing.T, p Protocol, path string) (*Tracer, <-chan received) {
	got := make(chan received, 16)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- received{r.URL.Path, r.Header.Get("Content-Type"), body}
	}))
	t.Cleanup(server.Close)
	tr := New("hello", 8, slog.New(slog.DiscardHandler))
	tr.Use(Settings{p, server.URL + path, 1})
	ctx, stop := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { tr.Run(ctx) })
	t.Cleanup(func() { stop(); run.Wait() })
	return tr, got
}

func TestOTLP(t *testing.T) {
	tr, batches := running(t, OTLP, "/v1/traces")
	tr.Finish(sample(), sample())
	got := <-batches
	if got.path != "/v1/traces" || got.kind != "application/x-protobuf" {
		t.Errorf("sent to %s as %s", got.path, got.kind)
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(got.body, &request); err != nil {
		t.Fatal(err)
	}
	resource := request.ResourceSpans[0]
	if a := resource.Resource.Attributes[0]; a.Key != "service.name" || a.Value.GetStringValue() != "hello" {
		t.Errorf("the resource is %v", resource.Resource)
	}
	scope := resource.ScopeSpans[0]
	if scope.Scope.Name != "devbox" || len(scope.Spans) != 2 {
		t.Errorf("got %d spans of %v", len(scope.Spans), scope.Scope)
	}
	s, want := scope.Spans[0], sample()
	if TraceID(s.TraceId) != want.Trace || SpanID(s.SpanId) != want.ID || SpanID(s.ParentSpanId) != want.Parent || s.Name != want.Name {
		t.Errorf("got %v", s)
	}
	if s.Kind != otlp.Span_SPAN_KIND_SERVER || s.StartTimeUnixNano != 1_000_000_000 || s.EndTimeUnixNano != 1_001_500_000 {
		t.Errorf("got %v", s)
	}
	if len(s.Attributes) != 2 || s.Attributes[0].Value.GetStringValue() != "GET" || len(s.Attributes[1].Value.GetStringValue()) > mostText+3 {
		t.Errorf("attributes are %v", s.Attributes)
	}
	if e := s.Events[0]; e.Name != "created" || e.TimeUnixNano != 1_001_000_000 {
		t.Errorf("events are %v", s.Events)
	}
	if s.Status.Code != otlp.Status_STATUS_CODE_ERROR || s.Status.Message != "503" {
		t.Errorf("the status is %v", s.Status)
	}
	if len(request.ProtoReflect().GetUnknown())+len(s.ProtoReflect().GetUnknown()) > 0 {
		t.Error("there are fields that nobody knows")
	}
}

func TestZipkin(t *testing.T) {
	tr, batches := running(t, Zipkin, "/api/v2/spans")
	tr.Finish(sample())
	got := <-batches
	if got.path != "/api/v2/spans" || got.kind != "application/json" {
		t.Errorf("sent to %s as %s", got.path, got.kind)
	}
	var spans []map[string]any
	if err := json.Unmarshal(got.body, &spans); err != nil {
		t.Fatal(err)
	}
	tags := spans[0]["tags"].(map[string]any)
	delete(tags, "url.path")
	want := map[string]any{
		"traceId": "4b000000000000000000000000000036", "id": spanHex, "parentId": "0000000000000009",
		"name": "throttler_try", "kind": "SERVER", "timestamp": 1_000_000., "duration": 1500., "debug": true,
		"localEndpoint": map[string]any{"serviceName": "hello"},
		"tags":          map[string]any{"http.request.method": "GET", "error": "503"},
		"annotations":   []any{map[string]any{"timestamp": 1_001_000., "value": "created"}},
	}
	if diff := cmp.Diff(want, spans[0]); diff != "" {
		t.Errorf("span (-want +got):\n%s", diff)
	}
}

// transport answers for a collector.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(body)}
}

// noise is an answer that does not end.
type noise struct{}

func (noise) Read(p []byte) (int, error) { return len(p), nil }

// TestCollectors are bad ones. A request waits for none of them, and the next
// spans go to one that is well again.
func TestCollectors(t *testing.T) {
	for name, bad := range map[string]transport{
		"down":    func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"failing": func(*http.Request) (*http.Response, error) { return answer(500, strings.NewReader("no")), nil },
		"full":    func(*http.Request) (*http.Response, error) { return answer(429, noise{}), nil },
		"elsewhere": func(*http.Request) (*http.Response, error) {
			resp := answer(302, http.NoBody)
			resp.Header = http.Header{"Location": {"http://elsewhere/"}}
			return resp, nil
		},
		"slow": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				well := false
				taken, asked := 0, 0
				tr := tracer(1)
				tr.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
					asked++
					if !well {
						return bad(r)
					}
					var spans []zipkinSpan
					if err := json.NewDecoder(r.Body).Decode(&spans); err != nil {
						t.Error(err)
					}
					taken += len(spans)
					return answer(200, noise{}), nil // and it talks without an end
				})
				ctx, stop := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { tr.Run(ctx) })
				for range 100 { // more than there is room for
					before := time.Now()
					tr.Finish(sample())
					if waited := time.Since(before); waited > 0 {
						t.Fatalf("a request waited for %s", waited)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := tr.dropped.Load(); got != 100 || asked == 0 || len(tr.wait) != 0 {
					t.Errorf("%d were dropped in %d batches, %d wait", got, asked, len(tr.wait))
				}
				well = true
				tr.Finish(sample(), sample())
				time.Sleep(time.Minute)
				synctest.Wait()
				if taken != 2 {
					t.Errorf("%d were taken by one that is well", taken)
				}
				tr.Finish(sample())
				stop()
				run.Wait() // the last ones go too
				if taken != 3 || tr.dropped.Load() != 100 {
					t.Errorf("%d were taken at the end, %d dropped", taken, tr.dropped.Load())
				}
			})
		})
	}
}

// TestLeavingASlowCollector does not take longer than its farewell.
func TestLeavingASlowCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := tracer(1)
		tr.client.Transport = transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		ctx, stop := context.WithCancel(t.Context())
		tr.Finish(sample())
		stop()
		began := time.Now()
		tr.Run(ctx)
		if took := time.Since(began); took > farewell {
			t.Errorf("it took %s", took)
		}
	})
}

// TestManyTraces is a client that has a trace of its own in every request, and
// a collector that takes none.
func TestManyTraces(t *testing.T) {
	tr := tracer(0)
	for range 10_000 {
		c := tr.Join(http.Header{"Traceparent": {"00-" + newTraceID().String() + "-" + parentHex + "-01"}})
		s := c.New("x", Server, c.Parent, time.Now())
		s.Set("url.path", strings.Repeat("x", 60<<10))
		tr.Finish(s)
	}
	if len(tr.wait) != tr.most || cap(tr.wait) > 2*tr.most || tr.dropped.Load() != uint64(10_000-tr.most) {
		t.Errorf("%d wait, %d were dropped", len(tr.wait), tr.dropped.Load())
	}
	if got := len(tr.wait[0].Attributes[0].Value); got != mostText {
		t.Errorf("%d bytes are kept of a path", got)
	}
	var b strings.Builder
	tr.WriteMetrics(&b, `pod_name="p"`)
	if !strings.Contains(b.String(), "\ntrace_spans_dropped_total{pod_name=\"p\"} 9992\n") {
		t.Errorf("metrics say %s", b.String())
	}
}
