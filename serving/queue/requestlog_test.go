package queue

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// knatives is the template of Knative's documentation.
const knatives = `{"httpRequest": {"requestMethod": "{{.Request.Method}}", "requestUrl": "{{js .Request.RequestURI}}", "requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, "responseSize": "{{.Response.Size}}", "userAgent": "{{js .Request.UserAgent}}", "revision": "{{.Revision.Namespace}}/{{.Revision.Service}}/{{.Revision.Configuration}}/{{.Revision.Name}}", "pod": "{{.Revision.PodName}} {{.Revision.PodIP}}", "slow": {{gt .Response.Latency 100.0}}}, "traceId": "{{.TraceID}}"}`

func TestRequestLog(t *testing.T) {
	for name, test := range map[string]struct {
		template string
		probes   bool
		want     []string
	}{
		"Knative's": {template: knatives, want: []string{
			`{"httpRequest": {"requestMethod": "GET", "requestUrl": "/a?b\u003D\"c", "requestSize": "0", "status": 418, "responseSize": "6", "userAgent": "test", "revision": "ns/svc/cfg/rev", "pod": "pod 10.0.0.1", "slow": false}, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736"}`,
		}},
		"with probes":            {template: "{{.Request.Host}} {{.Response.Code}}", probes: true, want: []string{"hello.example.com 418", "hello.example.com 200"}},
		"none":                   {},
		"no template":            {template: "{{.Request"},
		"a field we lack":        {template: "{{.Nothing}}"},
		"a header, on two lines": {template: "{{.Request.Header.Get \"User-Agent\"}}\nend", want: []string{"test", "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			user := userServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprint(w, "teapot")
			})
			s, err := newSidecar(Config{
				UserAddress: user, RequestLogTemplate: test.template, LogProbes: test.probes, RequestLog: &out, PodIP: "10.0.0.1",
				Labels: Labels{Namespace: "ns", Service: "svc", Configuration: "cfg", Revision: "rev", Pod: "pod"},
			}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			s.ready.set(nil)
			h := s.handler()
			for _, probe := range []string{"", proxy.Queue} {
				r := httptest.NewRequest(http.MethodGet, `/a?b="c`, nil)
				r.Host = "hello.example.com"
				r.Header.Set("User-Agent", "test")
				r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
				if probe != "" {
					r.Header.Set(proxy.NetworkProbe, probe)
				}
				h.ServeHTTP(discard{}, r)
			}
			want := ""
			if len(test.want) > 0 {
				want = strings.Join(test.want, "\n") + "\n"
			}
			if got := out.String(); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
