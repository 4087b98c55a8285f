package activator

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// BenchmarkProxied is what the activator itself does and allocates for a
// request: nothing is sent, and the next hop answers at once. The reference is
// the standard library's reverse proxy, which is inside of it.
func BenchmarkProxied(b *testing.B) {
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"text/plain"}}, ContentLength: 5, Body: io.NopCloser(strings.NewReader("hello"))}, nil
	})
	box := newBox(b)
	box.pod("p", "hello-00001", says("hello"))
	box.route(to("hello-00001", 100))
	box.answers("hello-00001", 1)
	activator := *box.activator.forward
	activator.http1 = next

	traced := func(rate float64) http.Handler {
		f := activator
		f.tracer = trace.New("activator", mostSpans, slog.New(slog.DiscardHandler)) // nobody sends what it records
		f.tracer.Use(trace.Settings{Protocol: trace.OTLP, Endpoint: "http://127.0.0.1:1", Rate: rate})
		return f.handler()
	}

	var reference float64
	for _, test := range []struct {
		name    string
		handler http.Handler
	}{
		{"net-http", &httputil.ReverseProxy{Transport: next, Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Host = "pod" }}},
		{"reverse", proxy.New(next, slog.New(slog.DiscardHandler), func(r *httputil.ProxyRequest) { r.Out.URL.Host = "pod" })},
		{"activator", activator.handler()},
		{"traced-1-percent", traced(0.01)},
		{"traced-100-percent", traced(1)},
	} {
		b.Run(test.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = host
			r.Header = http.Header{"User-Agent": {"curl/8.5.0"}, "Accept": {"*/*"}}
			w := &discardWriter{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				test.handler.ServeHTTP(w, r)
			}
			each := float64(b.Elapsed()) / float64(b.N)
			if reference == 0 {
				reference = each
			}
			b.ReportMetric(each/reference, "x-net-http")
		})
	}
}

// discardWriter is a ResponseWriter that keeps nothing.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header       { return w.header }
func (*discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (*discardWriter) WriteHeader(int)             {}
func (*discardWriter) Flush()                      {}
